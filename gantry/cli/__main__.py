"""`python -m gantry.cli` is `gantry`, for whoever starts it without knowing where scripts are installed."""

from gantry.cli import app

app()
