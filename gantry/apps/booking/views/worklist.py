"""The worklist: who needs a call now, by risk."""

from datetime import date, timedelta
from typing import Any

from django.db.models import DateField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Least
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.booking.models import Appointment, ContactAttempt
from gantry.apps.booking.services.telling import OUTCOMES
from gantry.apps.estate.models import Closure, Fault, Site
from gantry.apps.referrals.models import RequestedProcedure
from gantry.apps.ui.listing import Column, Filter, Listing, Search
from gantry.apps.ui.parts import Card, Tag
from gantry.apps.ui.wording import say_nhs_number
from gantry.domain.access import Verb
from gantry.domain.appointment import AppointmentState
from gantry.domain.referral import ReferralState

S = AppointmentState
PROMISED = (S.BOOKED.value, S.TOLD.value)
ACTIVE = (S.HELD.value, *PROMISED, S.ARRIVED.value)
OPEN_REFERRALS = (
    ReferralState.ACCEPTED.value,
    ReferralState.TO_VET.value,
    ReferralState.AWAITING_REFERRER.value,
    ReferralState.ON_HOLD.value,
)
RISK_DAYS = 5
FAR = date(9999, 12, 31)
PRIORITIES = {1: "Routine", 2: "Urgent", 3: "Two-week wait"}
STATES = {
    S.HELD.value: Tag("Held", "held"),
    S.BOOKED.value: Tag("Booked, not told", "soon"),
    S.TOLD.value: Tag("Told", "good"),
    S.ARRIVED.value: Tag("Here", "info"),
}
LISTS = {
    "no_slot": "No slot yet",
    "at_risk": "Clock at risk",
    "must_move": "Must move",
    "no_answer": "Did not answer",
    "to_tell": "Not told yet",
    "held": "Held now",
    "coming": "Booked and told",
}


def open_procedures(request: HttpRequest) -> QuerySet[RequestedProcedure]:
    """Every scan still to come that this person may see, with its standing slot and the last attempt to ring."""
    active = Appointment.objects.filter(procedure=OuterRef("pk"), state__in=ACTIVE).order_by("-pk")
    done = Appointment.objects.filter(procedure=OuterRef("pk"), state=S.FULFILLED.value)
    rung = ContactAttempt.objects.filter(referral=OuterRef("referral")).order_by("-at", "-pk")
    return (
        RequestedProcedure.objects.for_user(request.acting.scope)
        .filter(referral__state__in=OPEN_REFERRALS)
        .filter(~Exists(done))
        .select_related("referral__patient")
        .annotate(
            slot=Subquery(active.values("pk")[:1]),
            slot_state=Subquery(active.values("state")[:1]),
            slot_at=Subquery(active.values("scan_at")[:1]),
            slot_site=Subquery(active.values("site__name")[:1]),
            rung_at=Subquery(rung.values("at")[:1]),
            rung_outcome=Subquery(rung.values("outcome")[:1]),
            risk_on=Least(
                Coalesce(F("referral__breach_on"), Value(FAR, DateField())),
                Coalesce(F("referral__needed_by"), Value(FAR, DateField())),
            ),
        )
        # A scan that waits for a decision and has no slot is the practitioner's to see, not a call to make.
        .filter(Q(referral__state=ReferralState.ACCEPTED.value) | Q(slot__isnull=False))
    )


def no_slot(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.filter(slot__isnull=True, referral__state=ReferralState.ACCEPTED.value)


def at_risk(rows: QuerySet[Any], today: date) -> QuerySet[Any]:
    """No slot and little time, or a slot after the limit."""
    return rows.filter(
        Q(slot__isnull=True, risk_on__lte=today + timedelta(days=RISK_DAYS))
        | Q(slot__isnull=False, slot_at__date__gt=F("risk_on"))
    )


def must_move(rows: QuerySet[Any], now: Any) -> QuerySet[Any]:
    """A promise that something has overtaken: the decision, the scanner, the site or the tracer."""
    shut = Closure.objects.filter(
        Q(scanner=None) | Q(scanner=OuterRef("scanner")),
        site=OuterRef("site"),
        from_at__lt=OuterRef("ends_at"),
        to_at__gt=OuterRef("arrival_at"),
    )
    broken = Fault.objects.filter(
        Q(to_at=None, from_at__gt=OuterRef("arrival_at") - timedelta(days=2)) | Q(to_at__gt=OuterRef("arrival_at")),
        scanner=OuterRef("scanner"),
        from_at__lt=OuterRef("ends_at"),
    )
    overtaken = Appointment.objects.filter(
        Q(Exists(shut))
        | Q(Exists(broken))
        | ~Q(authorisation__state="valid")
        | Q(allotment__usable_to__lt=F("injection_at")),
        procedure=OuterRef("pk"),
        state__in=PROMISED,
        ends_at__gt=now,
    )
    return rows.filter(Exists(overtaken))


def narrowed(rows: QuerySet[Any], name: str, now: Any) -> QuerySet[Any]:
    match name:
        case "no_slot":
            return no_slot(rows)
        case "at_risk":
            return at_risk(rows, timezone.localdate(now))
        case "must_move":
            return must_move(rows, now)
        case "no_answer":
            untold = Q(slot_state__isnull=True) | ~Q(slot_state=S.TOLD.value)
            return rows.filter(untold, rung_outcome__isnull=False).exclude(rung_outcome="spoke")
        case "to_tell":
            return rows.filter(slot_state=S.BOOKED.value)
        case "held":
            return rows.filter(slot_state=S.HELD.value)
        case _:
            return rows.filter(slot_state__in=[S.TOLD.value, S.ARRIVED.value])


def search(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    digits = "".join(each for each in text if each.isdigit())
    found = Q(referral__patient__family_name__istartswith=text.split(",")[0].strip()) | Q(accession_number=text)
    return rows.filter(found | Q(referral__patient__nhs_number=digits) if len(digits) == 10 else found)


def sites_of(request: HttpRequest) -> list[tuple[str, str]]:
    return [
        (str(key), name)
        for key, name in Site.objects.filter(network__provider__in=request.acting.scope.organisations)
        .order_by("name")
        .values_list("pk", "name")
    ]


def slot_shown(row: Any) -> Any:
    return (STATES[row.slot_state], row.slot_at, row.slot_site) if row.slot else Tag("None", "plain")


def rung_shown(row: Any) -> Any:
    return (OUTCOMES.get(row.rung_outcome, row.rung_outcome), row.rung_at) if row.rung_at else None


def href(row: Any) -> str:
    if row.slot and row.slot_state != S.HELD.value:
        return reverse("booking:appointment", args=[row.slot])
    return reverse("booking:book", args=[row.pk])


def listing_for(name: str) -> Listing:
    return Listing(
        caption=LISTS[name],
        columns=(
            Column("name", "Patient", lambda r: r.referral.patient.name, sort="referral__patient__family_name"),
            Column("nhs", "NHS number", lambda r: say_nhs_number(r.referral.patient.nhs_number), hide_narrow=True),
            Column("scan", "Scan", lambda r: r.title, hide_narrow=True),
            Column("priority", "Priority", lambda r: PRIORITIES.get(r.referral.priority, ""), "-referral__priority"),
            Column("needed", "Needed by", lambda r: r.referral.needed_by, sort="referral__needed_by"),
            Column(
                "risk",
                "Breach",
                lambda r: r.referral.breach_on,
                sort=("risk_on", "-referral__priority", "referral__received_at"),
            ),
            Column("slot", "Slot", slot_shown, sort="slot_at"),
            Column("rung", "Last call", rung_shown, sort="rung_at", hide_narrow=True),
            Column("next", "Next", lambda r: r.referral.next_step, hide_narrow=True),
            Column("due", "Due", lambda r: r.referral.due_at, sort="referral__due_at"),
        ),
        href=href,
        filters=(
            Filter("site", "Site", lambda rows, value: rows.filter(appointments__site=value).distinct(), sites_of),
            Search("q", "Name, NHS or accession number", search),
        ),
        default_sort="risk",
    )


@requires(Verb.BOOK)
def worklist(request: HttpRequest) -> HttpResponse:
    name = request.GET.get("list", "no_slot")
    name = name if name in LISTS else "no_slot"
    rows = open_procedures(request)
    listing = listing_for(name)
    chosen = narrowed(rows, name, request.now)
    if listing.wants_csv(request):
        return listing.csv(request, chosen, f"booking-{name.replace('_', '-')}.csv")
    cards = [
        Card(words, count, href=f"?list={each}", tone=tone(each, count, each == name))
        for each, words in LISTS.items()
        for count in [narrowed(rows, each, request.now).count()]
    ]
    return render(
        request,
        "booking/list.html",
        {"listing": listing.page(request, chosen), "cards": cards, "name": name, "heading": LISTS[name]},
    )


def tone(name: str, count: int, current: bool) -> str:
    if count and name in ("at_risk", "must_move"):
        return "late"
    return "info" if current else "plain"
