"""Draws a Code 128 barcode as SVG, for labels that a scanner reads at the vein."""

from markupsafe import Markup, escape
from reportlab.graphics.barcode.code128 import Code128

QUIET, HEIGHT = 10, 40
"""ISO/IEC 15417: ten modules of white on each side."""


def code_128(text: str) -> Markup:
    """Raises ValueError for a character that Code 128 does not have."""
    symbol = Code128(text)
    symbol.validate()
    if not symbol.valid:
        raise ValueError(f"{text!r} cannot be a Code 128 barcode")
    symbol.encode()
    symbol.decompose()
    bars, x = [], QUIET
    for module in symbol.decomposed:  # upper case is a bar, lower case a space, a to d how wide
        width = ord(module.lower()) - ord("a") + 1
        if module.isupper():
            bars.append(f'<rect x="{x}" y="0" width="{width}" height="{HEIGHT}"/>')
        x += width
    return Markup(
        f'<svg class="barcode" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {x + QUIET} {HEIGHT}" role="img" '
        f'aria-label="Barcode {escape(text)}" preserveAspectRatio="none">{"".join(bars)}</svg>'
    )
