from django.urls import path

from gantry.apps.accounts import views

urlpatterns = [
    path("switch/", views.switch_person, name="switch_person"),
    path("open/<uuid:patient>/", views.open_patient, name="break_glass"),
    path("opened/", views.opened, name="break_glass_review"),
]
