"""What a web process does once, beside its first requests, so that none of the later ones waits for it."""

import gc

from django.urls import get_resolver

from gantry.solvers.offers import load

PACE = (10_000, 20, 20)
"""Objects, then rounds of the young, then of the middle ones, before the collector goes through the next older."""


def settle() -> None:
    """Loads what is loaded late, and takes all that stays for good out of the collector's rounds.

    A full round over every module, model and compiled search stops the process for a fifth of a second or more. Its usual
    pace is meant for scripts: pages leave few circles behind, so that rounds may be rarer.
    """
    _ = get_resolver().url_patterns  # imports every view
    load()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*PACE)
