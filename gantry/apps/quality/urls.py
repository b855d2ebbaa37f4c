from django.urls import path

from gantry.apps.quality.views import measures, owning

app_name = "quality"
urlpatterns = [
    path("", measures.measures, name="measures"),
    path("incidents/", owning.incidents, name="incidents"),
    path("incidents/<uuid:key>/", owning.incident, name="incident"),
    path("causes/<uuid:key>/", owning.cause, name="cause"),
    path("<str:code>/", measures.measure, name="measure"),
]
