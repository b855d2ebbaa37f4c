from django.urls import path

from gantry.apps.quality import views

app_name = "quality"
urlpatterns = [
    path("", views.measures, name="measures"),
    path("<str:code>/", views.measure, name="measure"),
]
