"""Every page that opens, at a desk and on a phone: nothing that axe finds, nothing that sticks out."""

import mimetypes
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse
from playwright.sync_api import Page, Route, TimeoutError

from gantry.apps.ui.styles import stylesheet
from tests.journeys.axe import violations
from tests.journeys.test_every_address import World, made_once, undone, world

__all__ = ["made_once", "world"]
pytestmark = [pytest.mark.journey]
HOST = "http://127.0.0.1"
WIDTHS = (1280, 320)


def fits(page: Page) -> bool:
    """Once the menu has folded itself, which it does a moment after the window has changed."""
    try:
        page.wait_for_function(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth", timeout=3000
        )
    except TimeoutError:
        return False
    return True


def is_page(answer: object) -> bool:
    """A whole page, and no part of one that another page asks for."""
    kind = answer.headers.get("Content-Type", "")
    return answer.status_code == 200 and kind.startswith("text/html") and b"<html" in answer.content[:2000]


def test_every_page_that_opens_is_accessible_and_fits(world: World, page: Page) -> None:
    """The pages come from the lived world's own transaction: no server could see it."""
    pages: dict[str, bytes] = {}
    nhsuk = reverse("ui:nhsuk_css")
    styled = set()

    def answered(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path in pages:
            route.fulfill(status=200, content_type="text/html; charset=utf-8", body=pages[path])
        elif path == nhsuk:
            styled.add(path)
            route.fulfill(status=200, content_type="text/css; charset=utf-8", body=stylesheet()[1][""])
        elif path.startswith("/static/") and (file := finders.find(path.removeprefix("/static/"))):
            kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
            route.fulfill(status=200, content_type=kind, body=Path(file).read_bytes())
        else:
            route.fulfill(status=204)

    page.route("**/*", answered)
    wrong, seen = [], set()
    for place, path in world.right:
        answer = undone(world.everything, "GET", path)
        if not is_page(answer):
            continue
        seen.add(place.route)
        pages[urlsplit(path).path] = answer.content
        page.goto(HOST + path)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            fits(page)
            wrong += [f"{path} at {width}: {one}" for one in violations(page)]
            if not fits(page):
                wrong.append(f"{path} is wider than {width}")
    assert not wrong, "\n".join(wrong)
    assert len(seen) > 50, sorted(seen)
    assert styled, "the pages were judged without their stylesheet"
