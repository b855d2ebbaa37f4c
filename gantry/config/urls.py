"""Addresses: each room's pages, the doors over HTTP, and sign-in."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.urls")),
]
