"""The browser of the journeys: Debian's Chromium, quiet, talking to nothing but the server under test."""

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Request, expect

# A page drawn for the first time on a busy machine takes longer than the usual five seconds.
expect.set_options(timeout=30_000)

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}

# Playwright keeps an event loop on the test's thread, which makes Django think that it is called from async code.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {
        **browser_type_launch_args,
        "executable_path": os.environ.get("GANTRY_CHROMIUM", "/usr/bin/chromium"),
        "args": [*browser_type_launch_args.get("args", []), *QUIET],
    }


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "locale": "en-GB", "timezone_id": "Europe/London"}


@pytest.fixture(scope="session")
def base_url() -> None:
    """Journeys name the whole address; the plugin's own fixture of this name is refused by pytest 9."""


@pytest.fixture
def context(context: BrowserContext) -> Iterator[BrowserContext]:
    """A page that asks an outside address for anything fails its journey."""
    outside: list[str] = []

    def judge(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.hostname not in LOOPBACK:
            outside.append(request.url)

    context.on("request", judge)
    yield context
    assert not outside, f"the page asked for {outside}"
