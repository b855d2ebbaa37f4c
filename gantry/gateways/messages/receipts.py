"""Takes the receipts of the notification service: proved by a token, kept whole before the answer, heard once."""

import hashlib
import hmac
import json
import logging

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from gantry.apps.accounts.access import public
from gantry.apps.audit.models import InboxMessage
from gantry.gateways.messages import notify, outgoing
from gantry.gateways.messages.notify import LONGEST_RECEIPT, Receipt, Unreadable

DOOR = "messages"
SENDER = "notification service"
SHORTEST_TOKEN = 16
log = logging.getLogger(__name__)


@csrf_exempt
@public
def receipts(request: HttpRequest) -> HttpResponse:
    """Open as a door; behind it stands the token that only the service and we know."""
    if request.method != "POST":
        return refused(405, "method", "POST a receipt", Allow="POST")
    if not proved(request.headers.get("Authorization", "")):
        return refused(401, "Authorization", "not the token of this service", **{"WWW-Authenticate": "Bearer"})
    if request.content_type != "application/json":
        return refused(415, "Content-Type", "send application/json")
    length = request.headers.get("Content-Length") or "0"
    if not length.isdecimal() or len(length) > 9 or int(length) > LONGEST_RECEIPT:
        return refused(413, "body", f"longer than {LONGEST_RECEIPT} bytes")
    body = request.read(LONGEST_RECEIPT + 1)
    read = notify.read_receipt(body)
    if isinstance(read, Unreadable):
        return refused(413 if len(body) > LONGEST_RECEIPT else 400, read.place, read.why)
    return answered(request, read, body)


def answered(request: HttpRequest, receipt: Receipt, body: bytes) -> HttpResponse:
    digest = hashlib.sha256(body).hexdigest()
    with transaction.atomic():
        kept, first = InboxMessage.objects.get_or_create(
            door=DOOR,
            sender=SENDER,
            key=receipt.reference or receipt.their_id,
            digest=digest,
            defaults={"received_at": request.now, "body": body, "outcome": "received"},
        )
        if first or kept.outcome == "unknown":
            kept.outcome = outgoing.apply(receipt, now=request.now)
            InboxMessage.objects.filter(pk=kept.pk).update(outcome=kept.outcome)
    if kept.outcome == "unknown":
        return refused(404, "reference", "no message of ours")
    return HttpResponse(status=204)


def proved(header: str) -> bool:
    """Compared in constant time; without a token set up here nobody is let in."""
    wanted = settings.MESSAGES_RECEIPT_TOKEN
    kind, _, given = header.partition(" ")
    same = hmac.compare_digest(given.strip().encode(), wanted.encode())
    return len(wanted) >= SHORTEST_TOKEN and kind.lower() == "bearer" and same


def refused(status: int, place: str, why: str, **headers: str) -> HttpResponse:
    body = json.dumps({"status_code": status, "errors": [{"error": place, "message": why}]})
    log.info("receipt refused", extra={"status": status, "place": place})
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)
