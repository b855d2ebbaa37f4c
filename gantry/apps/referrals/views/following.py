"""Where are my patients? The list, like a tracked parcel, with what is late on top."""

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.services.stages import read_stages
from gantry.apps.referrals.views.cells import Next, Person, Where
from gantry.apps.ui.listing import Column, Filter, Listing, Search
from gantry.apps.ui.parts import Card
from gantry.domain.access import Role, Verb
from gantry.domain.identifiers import clean_nhs_number
from gantry.domain.referral import OPEN_STATES, ReferralState


def search(rows: QuerySet, text: str) -> QuerySet:
    digits = clean_nhs_number(text)
    if digits.isdigit() and len(digits) == 10:
        return rows.filter(patient__nhs_number=digits)
    words = Q()
    for word in text.replace(",", " ").split():
        words &= Q(patient__family_name__istartswith=word) | Q(patient__given_name__istartswith=word)
    return rows.filter(words | Q(placer_order_number=text) | Q(procedures__accession_number=text.upper())).distinct()


def stage_filter(rows: QuerySet, value: str) -> QuerySet:
    groups = {
        "open": list(OPEN_STATES),
        "answer": [ReferralState.AWAITING_REFERRER],
        "deciding": [ReferralState.RECEIVED, ReferralState.TO_VET],
        "accepted": [ReferralState.ACCEPTED, ReferralState.ON_HOLD],
        "passed": [ReferralState.REDIRECTED],
        "ended": [ReferralState.CLOSED, ReferralState.REJECTED, ReferralState.WITHDRAWN, ReferralState.REFUSED],
    }
    return rows.filter(state__in=[state.value for state in groups[value]])


STAGES = (
    ("open", "Still open"),
    ("answer", "Needs an answer"),
    ("deciding", "Being decided"),
    ("accepted", "Accepted"),
    ("passed", "Passed on"),
    ("ended", "Ended"),
)


def list_for(request: HttpRequest) -> Listing:
    """A referrer starts with their own; everybody else with all they may see."""
    me = str(request.acting.person.pk)
    mine = me if request.acting.roles == {Role.REFERRER} else ""
    return Listing(
        caption="Referrals",
        columns=(
            Column("patient", "Patient", Person, sort=("patient__family_name", "patient__given_name")),
            Column("where", "Where it is", Where, sort="state"),
            Column("next", "Next", Next, sort="next_owner"),
            Column("due", "Due", lambda row: row.due_at, sort="due_at"),
            Column("breach", "Breach", lambda row: row.breach_on, sort="breach_on"),
            Column("wanted", "Wanted by", lambda row: row.needed_by, sort="needed_by", hide_narrow=True),
            Column("from", "From", lambda row: row.referring_organisation.name, hide_narrow=True),
            Column("sent", "Sent", lambda row: row.received_at, sort="received_at", hide_narrow=True),
        ),
        href=lambda row: reverse("referrals:detail", args=[row.pk]),
        filters=(
            Filter("who", "Whose", lambda rows, value: rows.filter(referrer=value), [(me, "Mine")], default=mine),
            Filter("stage", "Where it is", stage_filter, STAGES, default="open"),
            Search("q", "Name, NHS number or order number", search),
        ),
        default_sort="due",
    )


@requires(Verb.SEE_REFERRALS)
def referrals(request: HttpRequest) -> HttpResponse:
    rows = Referral.objects.for_user(request.acting.scope).select_related("patient", "referring_organisation")
    listing = list_for(request)
    if listing.wants_csv(request):
        return listing.csv(request, rows, "referrals.csv")
    listed = listing.page(request, rows)
    read_stages(line.item for line in listed.lines)
    return render(
        request,
        "referrals/list.html",
        {
            "listing": listed,
            "cards": cards(request, rows),
            "may_refer": request.acting.may(Verb.REFER),
            "any": rows.exists(),
        },
    )


def cards(request: HttpRequest, rows: QuerySet) -> list[Card]:
    """What stands behind each number is one click away."""
    if request.acting.roles == {Role.REFERRER}:
        rows = rows.filter(referrer=request.acting.person)
    rows = rows.filter(state__in=[state.value for state in OPEN_STATES])
    counts = {row["state"]: row["n"] for row in rows.order_by().values("state").annotate(n=Count("pk"))}
    late = rows.filter(due_at__lt=request.now).count()
    breaching = rows.filter(
        breach_on__lt=timezone.localdate(request.now),
        state__in=[state.value for state in (ReferralState.TO_VET, ReferralState.AWAITING_REFERRER)],
    ).count()

    def count(*states: ReferralState) -> int:
        return sum(counts.get(state.value, 0) for state in states)

    answers = count(ReferralState.AWAITING_REFERRER)
    return [
        Card("need an answer", answers, href="?stage=answer", tone="soon" if answers else "plain"),
        Card("being decided", count(ReferralState.RECEIVED, ReferralState.TO_VET), href="?stage=deciding"),
        Card("accepted", count(ReferralState.ACCEPTED, ReferralState.ON_HOLD), href="?stage=accepted"),
        Card("past their due time", late, "of every step" if late else "", tone="late" if late else "plain"),
        Card("past breach, not decided", breaching, tone="late" if breaching else "plain"),
    ]
