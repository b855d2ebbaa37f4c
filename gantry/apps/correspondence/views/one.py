"""One message: its words, its way, what came of it, and the call that settles it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from gantry.apps.accounts.access import requires
from gantry.apps.audit import timeline as words
from gantry.apps.correspondence import services
from gantry.apps.correspondence.forms import RangForm, RecordForm
from gantry.apps.correspondence.models import PatientMessage
from gantry.apps.correspondence.views.listing import CHANNELS, OCCASIONS, TAGS
from gantry.apps.patients.services import protect_contact, record_death
from gantry.domain.access import Verb
from gantry.domain.message import MESSAGE, OPEN, Channel, MessageEvent, MessageState, Occasion


def found(request: HttpRequest, key: UUID) -> PatientMessage:
    rows = PatientMessage.objects.for_user(request.acting.scope).select_related(
        "referral__patient", "referral__provider", "appointment__site__organisation", "appointment__procedure",
        "message", "owner",
    )  # fmt: skip
    return get_object_or_404(rows, pk=key)


@requires(Verb.BOOK, Verb.OWN_FAILURES)
def message(request: HttpRequest, message: UUID) -> HttpResponse:
    return page(request, found(request, message))


def page(request: HttpRequest, row: PatientMessage, *, status: int = 200, **more: Any) -> HttpResponse:
    state = MessageState(row.state)
    may_ring = request.acting.may(Verb.BOOK)
    context = {
        "message": row,
        "patient": row.referral.patient,
        "state": TAGS[state],
        "what": OCCASIONS[Occasion(row.occasion)],
        "facts": facts(row),
        "tries": row.message.tries.order_by("at", "pk")[:50] if row.message else [],
        "timeline": words.timeline(row.pk),
        "may_ring": may_ring and row.state in OPEN and not row.referral.patient.died_on,
        "may_try": may_ring
        and (state, MessageEvent.TRY_AGAIN) in MESSAGE
        and row.message_id
        and row.concerns_at > request.now,
        "rang": RangForm(now=request.now),
        "record": RecordForm(
            now=request.now,
            initial={"protected": row.referral.patient.contact_protected, "died_on": row.referral.patient.died_on},
        ),
        "may_record": may_ring,
    }
    return render(request, "correspondence/message.html", {**context, **more}, status=status)


def facts(row: PatientMessage) -> list[tuple[str, Any]]:
    patient = row.referral.patient
    return [
        ("How", CHANNELS[Channel(row.channel)]),
        ("Why so", row.why),
        ("Went to", row.address),
        ("Telephone", [number for number in (patient.phone_primary, patient.phone_alt) if number]),
        ("Written", row.created_at),
        ("Handed over", row.sent_at),
        ("Settled", (row.settled_by, row.settled_at) if row.settled_at else None),
        ("What is wrong", row.reason),
        ("Who rings", row.owner.name if row.owner and row.state in OPEN else None),
    ]


type Act = Callable[[HttpRequest, PatientMessage], HttpResponse]


def acting_on(act: Act) -> Callable[..., HttpResponse]:
    @requires(Verb.BOOK)
    @require_POST
    def posted(request: HttpRequest, message: UUID) -> HttpResponse:
        return act(request, found(request, message))

    return posted


@acting_on
def rang(request: HttpRequest, row: PatientMessage) -> HttpResponse:
    form = RangForm(request.POST, now=request.now)
    if not form.is_valid():
        return page(request, row, status=422, rang=form)
    given = form.cleaned_data
    services.spoken(
        row, outcome=given["outcome"], note=given["note"], now=request.now, by=request.acting.actor,
        happened_at=min(given["at"], request.now),
    )  # fmt: skip
    knows = given["outcome"] == "spoke"
    messages.success(request, "The patient knows." if knows else "The call is on record: ring again.")
    return redirect("correspondence:message", row.pk)


@acting_on
def again(request: HttpRequest, row: PatientMessage) -> HttpResponse:
    if services.try_again(row, now=request.now, by=request.acting.actor):
        messages.success(request, "It is sent once more.")
    else:
        messages.warning(request, "It is not sent again: what it says is over, or they know already.")
    return redirect("correspondence:message", row.pk)


@acting_on
def record(request: HttpRequest, row: PatientMessage) -> HttpResponse:
    form = RecordForm(request.POST, now=request.now)
    if not form.is_valid():
        return page(request, row, status=422, record=form)
    given, now, by, patient = form.cleaned_data, request.now, request.acting.actor, row.referral.patient
    protect_contact(patient, protected=given["protected"], reason="On the message page", now=now, by=by)
    if given["died_on"]:
        record_death(patient, on=given["died_on"], source=given["source"], now=now, by=by)
    messages.success(request, "On record.")
    return redirect("correspondence:message", row.pk)
