"""The WSGI entry that granian serves."""

import os
from threading import Thread

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gantry.config.settings")
application = get_wsgi_application()

from gantry.config.start import settle  # noqa: E402 - imports what needs the settings

# In the background: nobody waits for a compiler before the first page.
Thread(target=settle, name="settle", daemon=True).start()
