"""How people get accounts: an administrator makes them; nobody signs up by themselves."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

NEEDLESS = frozenset({"account/messages/logged_in.txt", "account/messages/logged_out.txt"})
"""The page that follows shows it already: whose name is on top, or the form to sign in."""


class Adapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *rest: Any, **more: Any
    ) -> None:
        if message_template not in NEEDLESS:
            super().add_message(request, level, message_template, *rest, **more)
