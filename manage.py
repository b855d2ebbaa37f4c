#!/usr/bin/env python
"""Django's own command line, for developers; operators use `gantry`."""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gantry.config.settings")
execute_from_command_line(sys.argv)
