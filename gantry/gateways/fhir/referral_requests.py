"""Takes a ServiceRequest in as a referral, with every finding at the sender's own FHIRPath; or takes it back."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Referral
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.referral import Severity as Gravity
from gantry.domain.referral import typed
from gantry.gateways.fhir.booking_requests import uuid_of
from gantry.gateways.fhir.issues import Issue, IssueType, Severity
from gantry.gateways.fhir.message import Message, Placed
from gantry.gateways.fhir.outcomes import Errors, Refusal
from gantry.gateways.fhir.requests import Asked, read_request
from gantry.gateways.fhir.sender import Sender

LONGEST_ORDER_NUMBER = 80
ISSUE = {Gravity.REFUSE: Severity.ERROR}
CODE = {"MDS-01": IssueType.REQUIRED, "MDS-02": IssueType.VALUE}


@dataclass(frozen=True, slots=True)
class Taken:
    """Kept; `issues` are what will be asked back."""

    referral: Referral
    issues: tuple[Issue, ...] = ()
    repeated: bool = False


def carry_out(message: Message, sender: Sender, *, inbox: UUID, now: datetime) -> Taken:
    """Raises Refusal."""
    focus = message.focus
    if message.ends:
        return withdraw(focus, sender, now=now)
    others = [placed for _, placed in message.entries]
    return receive(focus, others, message.resolve, sender, inbox=inbox, now=now)


def receive(
    request: Placed, others: list[Placed], resolve: Any, sender: Sender, *, inbox: UUID | None, now: datetime
) -> Taken:
    """Raises Refusal with all findings, and where to send the request instead."""
    asked = read_request(request, others, resolve)
    if len(asked.placer_order_number) > LONGEST_ORDER_NUMBER:
        # Cut to length, two orders could be one.
        said = f"An order number has at most {LONGEST_ORDER_NUMBER} characters"
        raise Refusal(Errors.NOT_VALID, text=said, where=f"{request.path}.identifier")
    context = referrals.context_for(sender.network, timezone.localdate(now), referring=sender.organisation)
    raw = {
        "referring_org_ods": sender.organisation.ods_code,
        "report_to": (sender.organisation.ods_code,),
        **asked.answers,
    }
    answers, unreadable = typed(raw, context)
    outcome = referrals.receive(
        referrals.Submission(
            door="fhir",
            source_key=source_key(request, asked, sender),
            answers=answers,
            network=sender.network,
            coordinates=asked.coordinates,
            sender_organisation=sender.organisation,
            raw_inbox_id=inbox,
            placer_order_number=asked.placer_order_number,
            findings=tuple(unreadable),
        ),
        now=now,
        by=sender.acting.actor,
    )
    issues = tuple(issues_of(outcome.found))
    if isinstance(outcome, referrals.Refused):
        where_to = Issue(IssueType.INFORMATIONAL, "", outcome.where_to, Severity.INFORMATION)
        raise NotTaken(*issues, *([where_to] if outcome.where_to else []))
    return Taken(outcome.referral, issues, outcome.repeated)


class NotTaken(Refusal):
    """The request was not taken, and its refusal is in the history: the door must let that stand."""

    def __init__(self, *issues: Issue) -> None:
        super().__init__(Errors.UNPROCESSABLE, *issues)


def issues_of(found: Iterable[referrals.Found]) -> Iterable[Issue]:
    for one in found:
        yield Issue(
            CODE.get(one.finding.code, IssueType.BUSINESS_RULE),
            one.coordinate or "ServiceRequest",
            one.finding.message,
            ISSUE.get(one.finding.severity, Severity.WARNING),
        )


def source_key(request: Placed, asked: Asked, sender: Sender) -> str:
    """The sender's own identity of the request: its business identifier, else its id, with the patient in it."""
    said = asked.placer_order_number or str(request.tree.get("id") or "")
    who = "|".join(str(asked.answers.get(name) or "") for name in ("nhs_number", "date_of_birth", "family_name"))
    what = said or str(asked.answers.get("request_datetime") or "")
    digest = hashlib.sha256(f"{who}|{what}".upper().encode()).hexdigest()[:24]
    return f"fhir|{sender.organisation.ods_code}|{what[:100]}|{digest}"[:200]


def withdraw(request: Placed, sender: Sender, *, now: datetime) -> Taken:
    """Raises Refusal."""
    referral = known(request, sender)
    if referral is None:
        raise Refusal(Errors.NOT_FOUND, text="No referral with this identity is here", where=request.path)
    try:
        gone = referrals.withdraw(
            referral, reason="Taken back by the sender's message", now=now, by=sender.acting.actor
        )
    except IllegalMove as illegal:
        text = f"The referral is {illegal.state.replace('_', ' ')}: ring the service"
        raise Refusal(Errors.CONFLICT, text=text, where=f"{request.path}.status") from illegal
    return Taken(gone)


def known(request: Placed, sender: Sender) -> Referral | None:
    """One of ours by the id that we gave it, or by the sender's order number."""
    mine = Referral.objects.for_user(sender.acting.scope)
    key = uuid_of(str(request.tree.get("id") or ""))
    numbers = [str(one["value"]) for one in request.tree.get("identifier") or () if one.get("value")]
    return (mine.filter(pk=key).first() if key else None) or (
        mine.filter(placer_order_number__in=numbers, referring_organisation=sender.organisation)
        .order_by("-received_at")
        .first()
        if numbers
        else None
    )
