"""One screen after a failure: what happened, who is injected, three whole options, and a person who accepts one."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale
from gantry.apps.booking.models import Appointment
from gantry.apps.correspondence.models import PatientMessage
from gantry.apps.correspondence.views.listing import TAGS
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.views.sites import sites_for
from gantry.apps.scheduling.models import RecoveryPlan
from gantry.apps.scheduling.services import network, recovering, reopening, undoing
from gantry.apps.scheduling.services.building import Built
from gantry.apps.scheduling.services.recovering import Looked
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.apps.scheduling.views.odd import in_words
from gantry.apps.ui.parts import Tag
from gantry.apps.ui.wording import pluralise
from gantry.domain.access import Verb
from gantry.domain.events import CauseCode, EventKind
from gantry.domain.message import MessageState
from gantry.domain.scheduling.failures import Standing, protected, standing
from gantry.domain.scheduling.recovery import Move, Need, NeedKind, Option, given_less, lengthening_rule
from gantry.reference.causes import said as cause_said

WHERE = {
    Standing.AT_HOME: "at home",
    Standing.TRAVELLING: "on the way",
    Standing.HERE: "here",
    Standing.INJECTED: "injected",
    Standing.SCANNING: "being scanned",
    Standing.SCANNED: "scanned",
}


NEEDS = {
    NeedKind.PATIENT: "patients to agree",
    NeedKind.PRACTITIONER: "a practitioner to authorise",
    NeedKind.SUPPLIER: "the supplier to confirm",
    NeedKind.ADVISER: "the radiation protection adviser's rule",
}


@dataclass(frozen=True, slots=True)
class MoveLine:
    name: str
    where: str
    was: str
    now: str
    far: str
    note: str
    clock: str


@dataclass(frozen=True, slots=True)
class OptionCard:
    number: int
    title: str
    ready: bool
    sentence: str
    facts: list[tuple[str, str]]
    """Who moves, clocks, costs, needs: the same lines in every option."""
    moves: list[MoveLine]
    asks: list[tuple[str, str]]
    """(key, what must be agreed or confirmed): ticked by whoever spoke to them."""
    blocks: list[str]
    """What no tick can replace."""
    incidents: list[str]
    decide_by: datetime
    clocks: int


@dataclass(frozen=True, slots=True)
class Hot:
    name: str
    where: str
    injected_at: datetime
    scan_at: datetime
    least_at: datetime
    most_at: datetime


@requires(Verb.OWN_FAILURES, Verb.BOOK, Verb.RECORD_ACT)
@in_words
def recover(request: HttpRequest, event: UUID, site: UUID | None = None) -> HttpResponse:
    """One site's options; of an event that hits several, every site's first."""
    root = recovering.root_event(event)
    mine = {place.pk for place in sites_for(request)}
    hit = [place for place, _ in recovering.sites_hit(root) if place.pk in mine] if root is not None else []
    if root is None or not hit or (site is not None and site not in {place.pk for place in hit}):
        raise Http404("recovery")
    if site is None and len(hit) > 1:
        return network_page(request, root, [place.pk for place in hit])
    return site_page(request, root, next(place for place in hit if site in (None, place.pk)))


@dataclass(frozen=True, slots=True)
class SiteLine:
    site: Site
    on: date
    count: int | None
    card: OptionCard | None
    accepted: str
    broken: str


def network_page(request: HttpRequest, root: Event, sites: list[UUID]) -> HttpResponse:
    if request.method == "POST" and request.acting.may(Verb.OWN_FAILURES):
        now, by = request.now, request.acting.actor
        try:
            if request.POST.get("what") == "undo_all":
                back = network.undo_all(root, sites, now=now, by=by)
                messages.success(
                    request, f"Undone at {pluralise(len(back), 'site')}: everybody is back where they were."
                )
            else:
                done = network.accept_all(root, sites, now=now, by=by)
                messages.success(
                    request,
                    f"Accepted for {pluralise(len(done), 'site')}. Word leaves in two minutes: until then an undo reaches nobody.",
                )
        except NotPossible as refused:
            for reason in refused.reasons:
                messages.error(request, reason)
        except Stale:
            messages.warning(request, "Somebody accepted at one of these sites first: look again.")
        return redirect("scheduling:recover", root.pk)
    rows = []
    for each in network.of_event(root, sites, now=request.now):
        with timezone.override(ZoneInfo(each.site.zone)):
            ready, made = each.ready, None
            if ready is not None and each.looked is not None:
                made = card(ready, each.options[ready], each.looked, seen(request, each.looked))
        done = each.row.accepted_by if each.row.state == "accepted" else ""
        count = len(each.looked.built.appointments) if each.looked else None
        rows.append(SiteLine(each.site, each.on, count, None if done else made, done, each.broken))
    waiting = [row for row in rows if not row.accepted]
    done_at = len(rows) - len(waiting)
    elsewhere = [place.name for place, _ in recovering.sites_hit(root) if place.pk not in sites]
    moving = sum(len(row.card.moves) for row in waiting if row.card)
    return render(
        request,
        "scheduling/network.html",
        {
            "event": root,
            "title": title_of(root, request.now),
            "rows": rows,
            "waiting": len(waiting),
            "stuck": [row.site.name for row in waiting if row.card is None],
            "total": f"{pluralise(moving, 'person moves', 'people move')}.",
            "accepted": done_at,
            "why_not_undone": network.why_not_undone(root, sites) if done_at else [],
            "elsewhere": list(dict.fromkeys(elsewhere)),
            "may_accept": request.acting.may(Verb.OWN_FAILURES),
        },
    )


def site_page(request: HttpRequest, root: Event, site: Site) -> HttpResponse:
    with timezone.override(ZoneInfo(site.zone)):
        what = request.POST.get("what", "")
        refused = False
        if request.method == "POST":
            refused = request.acting.may(Verb.OWN_FAILURES) and not act(request, root, site, what)
            if not (refused and what == "accept"):
                return redirect("scheduling:recover_site", root.pk, site.pk)
        row, looked, options = recovering.open_recovery(root, now=request.now, site=site)
        visible, since = seen(request, looked), reopening.reopened(root, site)
        cards = [card(i, o, looked, visible) for i, o in enumerate(options)]
        done = list(row.moves.select_related("was__referral__patient", "now__site")) if row.state != "open" else []
        return render(
            request,
            "scheduling/recover.html",
            {
                "event": root,
                "site": site,
                "on": looked.built.on,
                "recovery": row,
                "title": ("Over: " if since else "") + title_of(root, request.now),
                "about": visible.get(looked.situation.failure.subject, ""),
                "cards": cards,
                "ticked": frozenset(request.POST.getlist("agreed")) if refused else frozenset(),
                "ticked_in": request.POST.get("option", ""),
                "reopened": since,
                "lead": lead(cards),
                "phones": phones(request, [m.was for m in done]),
                "hot": hot(looked, visible),
                "odd": odd_words(request, looked.built),
                "count": len(looked.built.appointments),
                "done": [
                    (m, visible.get(str(m.was_id)) or name_if_seen(request, m.was)) for m in done if not m.undone
                ],
                "why_not_undone": undoing.why_not_undone(row) if row.state == "accepted" else [],
                "word": word_of(request, row),
                "may_accept": request.acting.may(Verb.OWN_FAILURES),
                "shut": reopening.still_shut(root, site, now=request.now),
            },
            status=422 if refused else 200,
        )  # fmt: skip


def word_of(request: HttpRequest, row: RecoveryPlan) -> dict[UUID, tuple[PatientMessage, Tag]]:
    """What each of them has been written, and how far it has come."""
    found = PatientMessage.objects.for_user(request.acting.scope).filter(under=row.pk)
    return {message.appointment_id: (message, TAGS[MessageState(message.state)]) for message in found}


def act(request: HttpRequest, root: Event, site: Site, what: str) -> bool:
    """Whether it was done."""
    now, by = request.now, request.acting.actor
    row = RecoveryPlan.objects.for_user(request.acting.scope).filter(root_event=root.pk, site=site).first()
    try:
        if what == "again":
            recovering.open_recovery(root, now=now, again=True, site=site)
        elif what == "undo" and row is not None:
            undoing.undo(row, now=now, by=by)
            messages.success(request, "Undone: everybody is back at the time they were told.")
        elif what == "reopen":
            reopening.reopen(root, site, now=now, by=by)
            messages.success(request, "It is over: people can come again, and whatever is offered here counts on it.")
        elif what == "accept" and row is not None:
            number = int(request.POST.get("option", "0")) if request.POST.get("option", "0").isdigit() else 0
            agreed = frozenset(request.POST.getlist("agreed"))
            recovering.accept(row, number, met=agreed, now=now, by=by)
            messages.success(request, said_after(agreed))
    except NotPossible as refused:
        for reason in refused.reasons:
            messages.error(request, reason)
        return False
    except Stale:
        messages.warning(request, "Somebody accepted a recovery first: it is below.")
    return True


def said_after(agreed: frozenset[str]) -> str:
    """The same as was said before: whoever said yes has been spoken to, the others have not."""
    asked = sum(":" not in key for key in agreed)
    if not asked:
        return "Accepted. Nobody has been told yet: ring them from the list below."
    yes = pluralise(asked, "person", "people")
    return f"Accepted. {yes} said yes to it; nothing is recorded as told yet: confirm their times from the list below, and ring the others."


def seen(request: HttpRequest, looked: Looked) -> dict[str, str]:
    """Names of the patients that this person may see, by appointment."""
    rows = Appointment.objects.for_user(request.acting.scope).filter(pk__in=list(looked.built.appointments))
    return {str(row.pk): row.referral.patient.name for row in rows.select_related("referral__patient")}


def odd_words(request: HttpRequest, built: Built) -> list[str]:
    """Rows that are in no option because they contradict themselves, by name where it may be seen."""
    return [f"{name_if_seen(request, each.row)}: {each.words}" for each in built.odd]


def phones(request: HttpRequest, rows: list[Appointment]) -> dict[UUID, str]:
    """Of those whom this person may see: whoever rings a whole list has the numbers beside the names."""
    mine = Appointment.objects.for_user(request.acting.scope).filter(pk__in=[row.pk for row in rows])
    people = {row.pk: row.referral.patient for row in mine.select_related("referral__patient")}
    return {key: who.phone_primary or who.phone_alt or "no number" for key, who in people.items()}


def name_if_seen(request: HttpRequest, row: Appointment) -> str:
    found = Appointment.objects.for_user(request.acting.scope).filter(pk=row.pk).exists()
    return row.referral.patient.name if found else "A patient of another organisation"


def named(visible: dict[str, str], ref: str) -> str:
    return visible.get(ref, "A patient of another organisation")


def title_of(event: Event, now: datetime) -> str:
    if event.kind == EventKind.DAY_DISRUPTED:
        return event.cause_note
    said = cause_said(CauseCode(event.cause_code), now.date()) if event.cause_code else event.kind.replace("_", " ")
    number = event.data.get("number")
    return f"{said}: {number}" if number else said


def hot(looked: Looked, visible: dict[str, str]) -> list[Hot]:
    """People with tracer in them who have not been scanned: they come first."""
    found = []
    for patient in looked.situation.day.patients:
        where = standing(looked.situation, patient)
        if where in (Standing.INJECTED, Standing.SCANNING):
            row, visit = looked.built.appointments[patient.ref], looked.built.plan.visit(patient.ref)
            given = visit.injection_min if visit else 0
            window = [looked.built.at(given + m) for m in (patient.uptake.least_min, patient.uptake.most_min)]
            at = looked.built.injected_at.get(patient.ref) or row.injection_at
            found.append(Hot(named(visible, patient.ref), WHERE[where], at, row.scan_at, *window))
    return found


def card(number: int, o: Option, looked: Looked, visible: dict[str, str]) -> OptionCard:
    clocks = dict(o.clocks)
    waits = [need for need in o.needs if need.holds_up]
    asked = [NEEDS[kind] for kind in dict.fromkeys(need.kind for need in waits)]
    return OptionCard(
        number=number,
        title=o.title,
        ready=o.ready,
        sentence=sentence(o),
        facts=facts_of(o, looked, asked, visible),
        moves=[line(m, o, looked, visible, clocks.get(m.patient, "")) for m in in_order(o.moves)],
        asks=[(n.key, said(n, o, looked, visible)) for n in waits if n.can_be_met],
        blocks=[said(n, o, looked, visible) for n in waits if not n.can_be_met],
        incidents=[f"{named(visible, n.patient)} {n.words}" for n in o.needs if n.kind is NeedKind.INCIDENT],
        decide_by=looked.built.at(o.decide_by_min),
        clocks=len(o.clocks),
    )


def said(need: Need, o: Option, looked: Looked, visible: dict[str, str]) -> str:
    """What is read out on the telephone, or what a practitioner is asked."""
    move = next((m for m in o.moves if m.patient == need.patient), None)
    if need.kind is NeedKind.PATIENT and move is not None and move.now_min is not None:
        site = looked.built.sites[move.now_place]
        at = looked.built.at(move.now_min).astimezone(ZoneInfo(site.zone))
        return f"{named(visible, need.patient)} agrees to {site.name}, {at:%H:%M}, with our transport"
    return recovering.need_words(looked, need, named(visible, need.patient) if need.patient else "")


def lead(cards: list[OptionCard]) -> str:
    """The page in one sentence: which can be done at once, which ask somebody first."""
    if not cards:
        return ""
    now = [str(card.number + 1) for card in cards if card.ready]
    wait = [str(card.number + 1) for card in cards if not card.ready]
    parts = ["The best comes first"]
    if now:
        parts.append(f"{listed('option', now)} can be done now")
    if wait:
        parts.append(f"{listed('option', wait)} {'needs' if len(wait) == 1 else 'need'} somebody's word first")
    return f"{'; '.join(parts)}. Nobody moves before you accept."


def listed(word: str, numbers: list[str]) -> str:
    *some, last = numbers
    return f"{word}s {', '.join(some)} and {last}" if some else f"{word} {last}"


def in_order(moves: tuple[Move, ...]) -> list[Move]:
    return sorted(moves, key=lambda m: (not m.abandoned, m.was_min, m.patient))


def sentence(o: Option) -> str:
    """Who moves and how far, in one breath."""
    today = [m for m in o.moves if m.now_min is not None]
    if not o.moves:
        return "Nobody moves."
    parts = []
    if today:
        furthest = max(abs(m.minutes) for m in today)
        far = f", by up to {span(furthest)}" if furthest else ", at the same time"
        parts.append(f"{pluralise(len(today), 'person', 'people')} {'moves' if len(today) == 1 else 'move'} today{far}")
    called_off = len(o.called_off) - len(o.abandoned)
    if called_off:
        parts.append(
            f"{pluralise(called_off, 'person', 'people')} {'goes' if called_off == 1 else 'go'} to another day"
        )
    away = sum(m.other_place for m in o.moves)
    if away:
        parts.append(f"{away} of them to another site")
    if o.abandoned:
        parts.append(f"{pluralise(len(o.abandoned), 'person', 'people')} injected and not scanned")
    return f"{'; '.join(parts)}."


def cost(o: Option) -> str:
    """What it takes beyond the plan that failed."""
    more = "more" if o.extra_mbq > 0 else "less"
    said = f"{abs(o.extra_mbq):,.0f} MBq {more}" if abs(o.extra_mbq) >= 1 else "No more activity"
    pence = f", £{abs(o.extra_pence) / 100:,.2f} {'more' if o.extra_pence > 0 else 'less'}" if o.extra_pence else ""
    return said + pence


def journeys(o: Option, looked: Looked) -> str:
    """What has to be booked because the move is ours, and what it costs by the usual price of a kilometre."""
    away = [m for m in o.moves if m.other_place]
    if not away:
        return ""
    pence = sum(looked.situation.about(m.patient).elsewhere.get(m.now_place, 0) for m in away)
    price = f", about £{pence / 100:,.0f}" if pence else ""
    return f"{pluralise(len(away), 'journey')} to book{price}"


def less_words(o: Option, looked: Looked) -> str:
    """Who is given less, and on whose word."""
    less = given_less(looked.situation, o)
    if not less:
        return ""
    rule = lengthening_rule(looked.situation, looked.situation.day.patient(less[0]), o.fraction)
    whose = f", under the rule of {rule.approved_by}" if rule is not None else ""
    return f"{pluralise(len(less), 'person is', 'people are')} given {o.fraction:.0%} and scanned for longer{whose}"


def locks_words(o: Option, looked: Looked, visible: dict[str, str]) -> str:
    """Whom somebody had decided to leave where they are, and why."""
    rows = [(named(visible, ref), looked.built.locks.get(ref)) for ref in o.locks_broken]
    return "; ".join(f"Breaks the lock of {name}" + (f": {lock.reason} ({lock.by_name})" if lock else "")
                     for name, lock in rows)  # fmt: skip


def facts_of(o: Option, looked: Looked, waits: list[str], visible: dict[str, str]) -> list[tuple[str, str]]:
    """The same lines of every option, so that three can be read across; transport and less activity where there is any."""
    weight = {p.ref: p.weight for p in looked.situation.day.patients}
    urgent = sum(weight[ref] > 1 for ref, _ in o.clocks)
    clocks = f"{pluralise(len(o.clocks), 'clock')} broken" + (f", {urgent} urgent" if urgent else "")
    return [
        ("Who moves", sentence(o)),
        ("Clocks", clocks if o.clocks else "None is broken"),
        *([("Locks", locks)] if (locks := locks_words(o, looked, visible)) else []),
        *([("Gives less", less)] if (less := less_words(o, looked)) else []),
        *([("Transport", transport)] if (transport := journeys(o, looked)) else []),
        ("Costs", cost(o)),
        ("Still needs", "; ".join(waits) if waits else "Nothing: it can be done now"),
    ]


def span(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{hours} h {rest} min" if hours and rest else f"{hours} h" if hours else f"{rest} min"


def line(m: Move, o: Option, looked: Looked, visible: dict[str, str], clock: str) -> MoveLine:
    built, patient = looked.built, looked.situation.day.patient(m.patient)
    zone = ZoneInfo(built.site.zone)
    was = f"{built.at(m.was_min).astimezone(zone):%H:%M}"
    if m.abandoned:
        now, far = "No scan today", "injected"
    elif m.now_min is None:
        offer = looked.offers.get(m.patient)
        now, far = (recovering.said_offer(offer) if offer else "No other time found yet"), "another day"
    else:
        now = f"{built.at(m.now_min).astimezone(zone):%H:%M}"
        far = f"{span(m.minutes)} {'later' if m.minutes > 0 else 'earlier'}" if m.minutes else "the same time"
        if m.now_scanner:
            now = f"to {recovering.scanner_name(looked, m.now_scanner)} at {now}"
        if m.other_place:
            now = f"{now} at {built.sites[m.now_place].name}"
            far = f"{far}, another site"
    booked = built.appointments[m.patient]
    notes = [protected(looked.situation, patient)] if protected(looked.situation, patient) else []
    if m.moves_before:
        notes.append(f"was moved {'once' if m.moves_before == 1 else f'{m.moves_before} times'} before")
    if not m.told and m.standing is Standing.AT_HOME:
        notes.append("has not been told a time")
    if m.other_place:
        hot = m.standing is Standing.INJECTED
        notes.append(f"to book: {recovering.transport_words(booked, built.sites[m.now_place], hot=hot).lower()}")
    return MoveLine(named(visible, m.patient), WHERE[m.standing], was, now, far, "; ".join(notes), clock)
