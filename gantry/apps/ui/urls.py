"""Addresses of the shared pages: the stylesheet and the component page."""

from django.urls import path

from gantry.apps.ui import styles, views

app_name = "ui"
urlpatterns = [
    path("nhsuk.css", styles.nhsuk_css, name="nhsuk_css"),
    path("components/", views.components, name="components"),
    path("components/<slug:part>/", views.components, name="component"),
]
