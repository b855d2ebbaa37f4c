"""Sends one message to a patient, asks after one that has no receipt, and says what came of it. Ids alone are logged."""

import json
import logging
import time
from datetime import datetime, timedelta
from uuid import UUID

import httpx
from django.db import DatabaseError

from gantry.apps.audit import outbox
from gantry.apps.correspondence import services as correspondence
from gantry.apps.correspondence.models import PatientMessage
from gantry.apps.correspondence.services.writing import reach_of
from gantry.domain.message import Channel, MessageState, address_for
from gantry.gateways.messages import accounts, mail, notify
from gantry.gateways.messages.notify import Fate, Receipt

ANSWER_WITHIN = timedelta(seconds=20)
MOST_OF_AN_ANSWER = 1 << 18
NO_RECEIPT = "No receipt came in time"
log = logging.getLogger(__name__)


def send(message_id: UUID, *, now: datetime) -> None:
    """Hand it over once. Handed over is not delivered: that is for the receipt to say, or for a person to find out."""
    message = outbox.take(message_id, now=now)
    if message is None:
        return
    taken = correspondence.begin(message, now=now)
    if taken is None:
        return
    row, before = taken
    try:
        if before is MessageState.SENT:
            ask_after(row, now=now)
        elif before is not MessageState.SENDING or not left_already(row, now=now):
            hand_over(row, now=now)
    except accounts.NoWay as none:
        if before is MessageState.SENT:
            correspondence.not_delivered(row, reason=NO_RECEIPT, now=now)
        else:
            correspondence.not_handed_over(row, phase="account", reason=str(none), now=now, for_good=True)
    except DatabaseError:
        raise
    except Exception as fault:
        # Raised on, it would be tried for ever, and nobody would own it.
        log.exception("message not written", extra={"outbox": str(message.pk)})
        reason = f"Not written: {type(fault).__name__}"
        correspondence.not_handed_over(row, phase="write", reason=reason, now=now)


def hand_over(row: PatientMessage, *, now: datetime) -> None:
    channel = Channel(row.channel)
    to = address_for(reach_of(row.referral, now), channel)
    if not to:
        correspondence.not_handed_over(row, phase="address", reason="No address any more", now=now, for_good=True)
        return
    server = accounts.mail_server() if channel is Channel.EMAIL else None
    if server is not None:
        by_mail(row, server, to, now=now)
    else:
        by_notify(row, accounts.account(), to, now=now)


def by_mail(row: PatientMessage, server: mail.MailServer, to: str, *, now: datetime) -> None:
    try:
        written = mail.letter(
            server, to=to, subject=row.subject, body=row.body, reference=str(row.pk), written_at=row.created_at
        )
        code = mail.post(server, written)
    except mail.NotTaken as refused:
        correspondence.not_handed_over(
            row, phase=refused.phase, reason=f"Mail server: {refused.reason}", now=now, for_good=refused.for_good
        )
        return
    except ValueError:
        # A name or an address that cannot stand in a header: line ends, most of all.
        correspondence.not_handed_over(row, phase="address", reason="Not an email address", now=now, for_good=True)
        return
    correspondence.handed_over(row, address=to, their_id=str(written["Message-ID"]), proof=code, now=now)


def by_notify(row: PatientMessage, account: notify.Account, to: str, *, now: datetime) -> None:
    path, body = notify.request(account, outgoing_of(row, to))
    try:
        status, answer = ask("POST", account, path, now=now, body=body)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        correspondence.not_handed_over(row, phase="connect", reason=type(error).__name__, now=now)
        return
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # It may have arrived there: the state stays at sending, and the next try asks before it sends.
        correspondence.not_handed_over(row, phase="answer", reason=type(error).__name__, now=now, in_doubt=True)
        return
    if status == 201 and (their_id := notify.accepted_id(answer)):
        correspondence.handed_over(row, address=to, their_id=their_id, proof=str(status), now=now)
        return
    correspondence.not_handed_over(
        row, phase="answer", reason=notify.refusal(status, answer), now=now, for_good=notify.for_good(status),
        in_doubt=status == 201,
    )  # fmt: skip


def outgoing_of(row: PatientMessage, to: str) -> notify.Outgoing:
    patient, channel = row.referral.patient, Channel(row.channel)
    post = None
    if channel is Channel.LETTER:
        name = " ".join(part for part in (patient.title, patient.given_name, patient.family_name) if part)
        post = notify.Letter(notify.address_lines(name, patient.address, patient.postcode))
    return notify.Outgoing(channel, str(row.pk), row.subject, row.body, to, post, row.large_print)


def left_already(row: PatientMessage, *, now: datetime) -> bool:
    """A try that ended in doubt: has the far end a message of this reference? Then it is not sent a second time."""
    if Channel(row.channel) is Channel.EMAIL and accounts.mail_server() is not None:
        return False
    account = accounts.account()
    try:
        status, answer = ask("GET", account, f"/v2/notifications?reference={row.pk}", now=now)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        correspondence.not_handed_over(row, phase="connect", reason=type(error).__name__, now=now, in_doubt=True)
        return True
    found = notify.found_in(answer, str(row.pk)) if status == 200 else None
    if found is None:
        return False
    to = address_for(reach_of(row.referral, now), Channel(row.channel))
    correspondence.handed_over(row, address=to, their_id=found.their_id, proof="found there", now=now)
    apply(found, now=now)
    return True


def ask_after(row: PatientMessage, *, now: datetime) -> None:
    """No receipt has come by the time that one should have: ask once, then a person rings."""
    status, answer = 0, b""
    if not row.their_id.startswith("<"):
        try:
            account = accounts.account()
            status, answer = ask("GET", account, f"/v2/notifications/{row.their_id}", now=now)
        except (httpx.HTTPError, httpx.InvalidURL):
            status = 0
    found = notify.receipt_in(json_of(answer)) if status == 200 else None
    if isinstance(found, Receipt) and found.reference == str(row.pk) and found.fate is not Fate.WAITING:
        apply(found, now=now)
    elif row.known:
        correspondence.leave_it_at_that(row, now=now)
    else:
        correspondence.not_delivered(row, reason=NO_RECEIPT, now=now)


def apply(receipt: Receipt, *, now: datetime) -> str:
    """What a receipt changes: delivered, failed, waiting, overtaken or unknown. Heard twice it changes nothing more."""
    row = correspondence.of_reference(receipt.reference)
    if row is None or (row.their_id and receipt.their_id != row.their_id):
        return "unknown"
    if receipt.fate is Fate.DELIVERED:
        at = min(receipt.at or now, now)
        changed = correspondence.delivered(row, at=max(at, row.created_at), proof=receipt.status, now=now)
        return "delivered" if changed else "overtaken"
    if receipt.fate is Fate.FAILED:
        return "failed" if correspondence.not_delivered(row, reason=receipt.reason, now=now) else "overtaken"
    return "waiting"


def ask(method: str, account: notify.Account, path: str, *, now: datetime, body: bytes = b"") -> tuple[int, bytes]:
    """The answer with the beginning of its body: one that never ends, or drips, may not hold a worker."""
    headers = {"Authorization": f"Bearer {notify.token(account, now)}", "Content-Type": "application/json"}
    ends = time.monotonic() + ANSWER_WITHIN.total_seconds()
    with httpx.stream(
        method, account.url + path, content=body, headers=headers, timeout=ANSWER_WITHIN.total_seconds()
    ) as answer:
        read = b""
        for piece in answer.iter_raw():
            read += piece
            if len(read) > MOST_OF_AN_ANSWER or time.monotonic() > ends:
                break
    return answer.status_code, read[:MOST_OF_AN_ANSWER]


def json_of(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
