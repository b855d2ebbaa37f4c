"""Whom we told what, when, how far it came, and who rings those whom it did not reach."""

from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from gantry.apps.accounts.access import requires
from gantry.apps.correspondence.models import PatientMessage
from gantry.apps.ui.listing import Column, Filter, Listing, Search
from gantry.apps.ui.parts import Card, Tag
from gantry.domain.access import Verb
from gantry.domain.message import OPEN, Channel, MessageState, Occasion

S = MessageState
TAGS = {
    S.QUEUED: Tag("Waits to leave", "info"),
    S.SENDING: Tag("Leaving", "info"),
    S.SENT: Tag("Sent, no receipt", "soon"),
    S.DELIVERED: Tag("Delivered", "good"),
    S.TO_RING: Tag("To ring", "late"),
    S.FAILED: Tag("Not delivered", "late"),
    S.SPOKEN: Tag("Spoken to", "good"),
    S.TAKEN_BACK: Tag("Taken back", "off"),
}
OCCASIONS = {
    Occasion.BOOKED: "Booked",
    Occasion.MOVED: "Moved",
    Occasion.CANCELLED: "Cancelled",
    Occasion.RESTORED: "As it was",
}
CHANNELS = {Channel.TEXT: "Text", Channel.EMAIL: "Email", Channel.LETTER: "Letter", Channel.CALL: "Call"}
LISTS: dict[str, tuple[str, Q, str]] = {
    "ring": ("To ring", Q(state=S.TO_RING.value) | Q(state=S.FAILED.value, known=False), "late"),
    "waiting": ("Waits to leave", Q(state__in=[S.QUEUED.value, S.SENDING.value]), "plain"),
    "sent": ("Sent, no receipt", Q(state=S.SENT.value), "plain"),
    "failed": ("Not delivered", Q(state=S.FAILED.value), "plain"),
    "done": ("They know", Q(state__in=[S.DELIVERED.value, S.SPOKEN.value]), "plain"),
    "back": ("Taken back", Q(state=S.TAKEN_BACK.value), "plain"),
    "all": ("All", Q(), "plain"),
}


def search(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    return rows.filter(referral__patient__family_name__istartswith=text.split(",")[0].strip())


def together(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """All of one recovery or published plan."""
    try:
        return rows.filter(under=UUID(text))
    except ValueError:
        return rows.none()


def state_shown(row: PatientMessage) -> Any:
    tag = TAGS[MessageState(row.state)]
    said = row.reason or (row.why if row.state == S.TO_RING else "")
    known = "they know by voice" if row.known and row.state in OPEN else ""
    shown = "; ".join(part for part in (said, known) if part)
    return (tag, shown) if shown else tag


LISTING = Listing(
    caption="Messages to patients",
    columns=(
        Column("name", "Patient", lambda r: r.referral.patient.name, sort="referral__patient__family_name"),
        Column("what", "What", lambda r: OCCASIONS[Occasion(r.occasion)]),
        Column("concerns", "First moment", lambda r: r.concerns_at, sort="concerns_at"),
        Column("by", "By", lambda r: CHANNELS[Channel(r.channel)]),
        Column("state", "How far", state_shown),
        Column("owner", "Who rings", lambda r: r.owner.name if r.owner and r.state in OPEN else None),
        Column("written", "Written", lambda r: r.created_at, sort="created_at"),
        Column("settled", "Settled", lambda r: r.settled_at, sort="settled_at", hide_narrow=True),
    ),
    href=lambda r: reverse("correspondence:message", args=[r.pk]),
    filters=(
        Filter(
            "channel", "By", lambda rows, value: rows.filter(channel=value), [(c.value, w) for c, w in CHANNELS.items()]
        ),
        Search("q", "Family name", search),
    ),
    default_sort="concerns",
)


@requires(Verb.BOOK, Verb.OWN_FAILURES)
def messages_list(request: HttpRequest) -> HttpResponse:
    rows, under = PatientMessage.objects.for_user(request.acting.scope), request.GET.get("under", "")
    if under:
        rows = together(rows, under)
    counts = rows.aggregate(**{each: Count("pk", filter=test) for each, (_, test, _) in LISTS.items() if each != "all"})
    name = request.GET.get("list", "")
    # Who has to ring somebody sees those first; else everything.
    name = name if name in LISTS else "ring" if counts["ring"] else "all"
    chosen = rows.filter(LISTS[name][1]).select_related("referral__patient", "owner")
    if LISTING.wants_csv(request):
        return LISTING.csv(request, chosen, f"messages-{name}.csv")
    cards = [
        Card(words, counts[each], href=f"?list={each}" + (f"&under={under}" if under else ""), tone=tone if counts[each] and tone == "late" else current(each, name))
        for each, (words, _, tone) in LISTS.items()
        if each != "all"
    ]  # fmt: skip
    return render(
        request,
        "correspondence/list.html",
        {
            "listing": LISTING.page(request, chosen),
            "cards": cards,
            "name": name,
            "heading": LISTS[name][0],
            "under": under,
        },
    )


def current(each: str, name: str) -> str:
    return "info" if each == name else "plain"
