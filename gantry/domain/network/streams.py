"""Decides where chance comes from: one stream for each run and cause, so that runs compare like for like."""

from random import Random


def stream(seed: int, run: int, cause: str) -> Random:
    """Adding breakdowns leaves arrivals as they were: no two causes share a stream."""
    return Random(f"{seed}/{run}/{cause}")
