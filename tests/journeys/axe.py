"""Judges a page by axe-core: a journey asserts it on each page that it opens."""

import json
from functools import cache
from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).resolve().parent.parent.parent / "node_modules" / "axe-core" / "axe.min.js"


@cache
def script() -> str:
    return AXE.read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """Each broken rule with the elements that break it. Evaluated by the debugger, which a strict CSP does not stop."""
    page.wait_for_load_state()  # a page that a press has just asked for may have come by half
    session = page.context.new_cdp_session(page)
    try:
        answer = session.send(
            "Runtime.evaluate",
            {
                "expression": f"{script()}; axe.run(document, {{resultTypes: ['violations']}})"
                ".then(r => JSON.stringify({rules: r.passes.length, found: r.violations.map("
                "v => [v.id, v.help, v.nodes.map(n => n.html)])}))",
                "awaitPromise": True,
                "returnByValue": True,
            },
        )
    finally:
        session.detach()
    if "value" not in answer["result"]:
        raise AssertionError(f"axe did not run: {answer}")
    result = json.loads(answer["result"]["value"])
    assert result["rules"] > 5, "axe looked at an empty page"
    return [
        f"{rule}: {said}\n" + "\n".join(f"    {html[:200]}" for html in elements)
        for rule, said, elements in result["found"]
    ]


def assert_accessible(page: Page) -> None:
    found = violations(page)
    assert not found, f"{page.url} breaks {len(found)} rules:\n" + "\n".join(found)


def assert_fits(page: Page) -> None:
    """Nothing makes the page itself scroll sideways."""
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    if widths[0] > widths[1]:
        wide = page.evaluate(WIDE, widths[1])
        raise AssertionError(f"{page.url} is {widths[0]} px wide in a window of {widths[1]} px: {wide}")


WIDE = """limit => [...document.querySelectorAll('body *')]
  .filter(one => one.getBoundingClientRect().right > limit + 1 && !one.closest('[role=region][tabindex]'))
  .map(one => `${one.tagName.toLowerCase()}.${one.className} ${Math.round(one.getBoundingClientRect().right)}`)
  .slice(0, 12)"""
"""The elements that stick out, without those that scroll within a region of their own."""
