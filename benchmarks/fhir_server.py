"""The application of Gantry with the peer's addresses beside its FHIR API, for granian to serve."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gantry.config.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.ROOT_URLCONF = "benchmarks.fhir_peer"
application = get_wsgi_application()
