"""What a web process does once, beside its first requests, so that none of the later ones waits for it."""

import gc

from django.urls import get_resolver

from gantry.solvers.offers import load


def settle() -> None:
    """Loads what is loaded late, and takes all that stays for good out of the collector's rounds.

    A full round over every module, model and compiled search stops the process for a fifth of a second or more.
    """
    _ = get_resolver().url_patterns  # imports every view
    load()
    gc.collect()
    gc.freeze()
