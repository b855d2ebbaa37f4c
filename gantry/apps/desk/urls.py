from django.urls import path

from gantry.apps.desk import views

app_name = "desk"
urlpatterns = [
    path("", views.home, name="home"),
    path("timeline/<str:kind>/<uuid:key>/", views.subject, name="timeline"),
    path("search/", views.search, name="search"),
    path("watch/", views.watch, name="watch"),
]
