"""Says through whom this installation writes to patients; a demonstration writes to nobody outside the machine."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings

from gantry.gateways.messages.mail import MailServer
from gantry.gateways.messages.notify import Account

NOT_SET = "No service for messages is set up here"
NOT_HERE = "A demonstration writes to nobody outside this machine"


class NoWay(Exception):
    """Nothing can be sent; the words say why."""


def account() -> Account:
    """The notification service. Raises NoWay."""
    if not settings.MESSAGES_URL:
        raise NoWay(NOT_SET)
    near(urlsplit(settings.MESSAGES_URL).hostname or "")
    return Account(
        settings.MESSAGES_URL.rstrip("/"), settings.MESSAGES_SERVICE, settings.MESSAGES_SECRET,
        settings.MESSAGES_TEMPLATES,
    )  # fmt: skip


def mail_server() -> MailServer | None:
    """Our own mail server for emails, where one is named; else the notification service sends them too. Raises NoWay."""
    if not settings.MESSAGES_SMTP_HOST:
        return None
    near(settings.MESSAGES_SMTP_HOST)
    return MailServer(
        settings.MESSAGES_SMTP_HOST, settings.MESSAGES_SMTP_PORT, settings.MESSAGES_FROM, settings.MESSAGES_SMTP_USER,
        settings.MESSAGES_SMTP_PASSWORD, settings.MESSAGES_SMTP_TLS,
    )  # fmt: skip


def near(host: str) -> None:
    """Raises NoWay for a host of others while this is a demonstration."""
    if not settings.DEMONSTRATION or host == "localhost":
        return
    try:
        if ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    raise NoWay(NOT_HERE)
