"""The worklist: who needs a call now, by risk."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from gantry.apps.accounts.access import requires
from gantry.apps.booking.services.telling import OF_MESSAGES, OUTCOMES
from gantry.apps.booking.services.waiting import LISTS, PRIORITIES, counted, narrowed, open_procedures
from gantry.apps.estate.models import Site
from gantry.apps.ui.listing import Column, Filter, Listing, Search
from gantry.apps.ui.parts import Card, Tag
from gantry.apps.ui.wording import say_nhs_number
from gantry.domain.access import Verb
from gantry.domain.appointment import AppointmentState

S = AppointmentState
STATES = {
    S.HELD.value: Tag("Held", "held"),
    S.BOOKED.value: Tag("Booked, not told", "soon"),
    S.TOLD.value: Tag("Told", "good"),
    S.ARRIVED.value: Tag("Here", "info"),
}


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
    words = {**OUTCOMES, **OF_MESSAGES}
    return (words.get(row.rung_outcome, row.rung_outcome), row.rung_at) if row.rung_at else None


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
    rows = open_procedures(request.acting.scope)
    listing = listing_for(name)
    chosen = narrowed(rows, name, request.now)
    if listing.wants_csv(request):
        return listing.csv(request, chosen, f"booking-{name.replace('_', '-')}.csv")
    counts = counted(rows, request.now)
    cards = [
        Card(words, count, href=f"?list={each}", tone=tone(each, count, each == name))
        for each, words in LISTS.items()
        for count in [counts[each]]
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
