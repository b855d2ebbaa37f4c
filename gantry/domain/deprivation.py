"""Decides in which fifth of the country's areas somebody lives, by how deprived the area is."""

import re

FIFTHS = (
    "most deprived fifth", "second most deprived fifth", "middle fifth", "second least deprived fifth",
    "least deprived fifth",
)  # fmt: skip


def normal(postcode: str) -> str:
    """A postcode as a key: capitals, no spaces; empty for what cannot be one."""
    made = re.sub(r"\s", "", postcode).upper()
    return made if re.fullmatch(r"[A-Z]{1,2}\d[A-Z\d]?\d[A-Z]{2}", made) else ""


def decile_of_rank(rank: int, areas: int) -> int:
    """1 for the most deprived tenth of the areas, as the index's own deciles count. Raises ValueError."""
    if not 1 <= rank <= areas:
        raise ValueError(f"rank {rank} of {areas} areas")
    return -(-rank * 10 // areas)


def fifth(decile: int) -> str:
    """Raises IndexError for what is no decile."""
    if not 1 <= decile <= 10:
        raise IndexError(decile)
    return FIFTHS[(decile - 1) // 2]
