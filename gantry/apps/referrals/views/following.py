"""Where are my patients? The list, one referral with its timeline and questions, and what may be done to it."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from markupsafe import Markup

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.estate.models import Site
from gantry.apps.referrals import services
from gantry.apps.referrals.forms import (
    AnswerText,
    HoldForm,
    ReasonForm,
    ReferralForm,
    WithdrawForm,
    label_of,
)
from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.services.stages import read_stages
from gantry.apps.ui.listing import Column, Filter, Listing, Search
from gantry.apps.ui.parts import Card, Link, NextStep, Tag
from gantry.apps.ui.wording import say_nhs_number
from gantry.domain.access import Role, Verb
from gantry.domain.identifiers import clean_nhs_number
from gantry.domain.lifecycle import IllegalMove, allowed
from gantry.domain.referral import OPEN_STATES, REFERRAL, Kind, ReferralEvent, ReferralState, choices_of
from gantry.domain.referral.data_set import ITEMS

STATE_TAG = {
    ReferralState.DRAFT: ("Draft", "off"),
    ReferralState.RECEIVED: ("Received", "info"),
    ReferralState.AWAITING_REFERRER: ("Needs your answer", "soon"),
    ReferralState.TO_VET: ("Being decided", "info"),
    ReferralState.ACCEPTED: ("Accepted", "info"),
    ReferralState.ON_HOLD: ("On hold", "held"),
    ReferralState.CLOSED: ("Done", "good"),
    ReferralState.REFUSED: ("Refused", "late"),
    ReferralState.REJECTED: ("Not accepted", "late"),
    ReferralState.REDIRECTED: ("Passed on", "held"),
    ReferralState.WITHDRAWN: ("Withdrawn", "off"),
}
PRIORITY = {1: "Routine", 2: "Urgent", 3: "Two-week-wait type"}
LOOKING = (Verb.SEE_REFERRALS,)


def state_tag(referral: Referral) -> Tag:
    return Tag(*STATE_TAG[ReferralState(referral.state)])


class Where:
    """Where a referral is, in words; the acts are read once for the whole page."""

    def __init__(self, referral: Referral) -> None:
        self.referral = referral

    def tag(self) -> Tag:
        stage = getattr(self.referral, "stage", None)
        return Tag(*stage) if stage and self.referral.state == ReferralState.ACCEPTED else state_tag(self.referral)

    def __str__(self) -> str:
        return str(self.tag())

    def __html__(self) -> str:
        return self.tag().__html__()


class Next:
    """The next step with its owner, on two lines."""

    def __init__(self, referral: Referral) -> None:
        self.referral = referral

    def __str__(self) -> str:
        owner = self.referral.next_owner.replace("_", " ")
        return f"{self.referral.next_step} ({owner})" if owner else ""

    def __html__(self) -> str:
        if not self.referral.next_step:
            return Markup('<span class="nothing">–</span>')
        owner = self.referral.next_owner.replace("_", " ")
        return Markup('{} <span class="list-table__second">{}</span>').format(self.referral.next_step, owner)


class Person:
    """A patient's name with the NHS number under it."""

    def __init__(self, referral: Referral) -> None:
        self.patient = referral.patient

    def __str__(self) -> str:
        return self.patient.name

    def __html__(self) -> str:
        number = say_nhs_number(self.patient.nhs_number) if self.patient.nhs_number else "no NHS number"
        return Markup('{} <span class="list-table__second">{}</span>').format(self.patient.name, number)


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


@requires(*LOOKING)
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
        {"listing": listed, "cards": cards(request, rows), "may_refer": request.acting.may(Verb.REFER)},
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


def one(request: HttpRequest, key: UUID) -> Referral:
    rows = Referral.objects.for_user(request.acting.scope)
    return get_object_or_404(
        rows.select_related("patient", "referring_organisation", "provider", "network", "pathway"), pk=key
    )


@requires(*LOOKING)
def detail(request: HttpRequest, key: UUID) -> HttpResponse:
    referral = one(request, key)
    read_stages([referral])
    return render(request, "referrals/detail.html", shown(request, referral))


def shown(request: HttpRequest, referral: Referral, **more: Any) -> dict[str, Any]:
    on = timezone.localdate(request.now)
    case = services.case_of(referral, on)
    names = {site.pk: site.name for site in Site.objects.all()}
    return {
        "referral": referral,
        "where": Where(referral),
        "who": who(referral),
        "what": what(referral),
        "answers": said_answers(case),
        "findings": [
            (label_of(row.field), row) for row in referral.findings.filter(resolved_at=None).order_by("severity", "pk")
        ],
        "questions": list(referral.questions.select_related("asked_by", "answered_by").order_by("-asked_at")),
        "decisions": list(referral.decisions.select_related("by").order_by("-at")),
        "procedures": list(referral.procedures.order_by("created_at")),
        "authorisations": authorisations(referral),
        "priors": list(referral.priors.order_by("-on")),
        "recipients": [row.organisation.name for row in referral.recipients.select_related("organisation")],
        "events": timeline(referral.pk, where=lambda site: names.get(site, "")),
        "next_step": next_step(request, referral),
        "acts": acts(request, referral),
        **more,
    }


def who(referral: Referral) -> list[tuple[str, Any]]:
    patient = referral.patient
    return [
        ("NHS number", say_nhs_number(patient.nhs_number) if patient.nhs_number else "None given"),
        ("Born", patient.date_of_birth),
        ("Phone", patient.phone_primary),
        ("Postcode", patient.postcode),
        ("Needs", patient.adjustments.replace("_", " ")),
        ("Interpreter", patient.language if patient.interpreter_required else "Not needed"),
    ]


def what(referral: Referral) -> list[tuple[str, Any]]:
    return [
        ("From", f"{referral.referrer_name or '–'}, {referral.referring_organisation.name}"),
        ("Received", referral.received_at),
        ("Priority", PRIORITY.get(referral.priority, "")),
        ("Wanted by", referral.needed_by),
        ("Not before", referral.not_before),
        ("First breach", referral.breach_on),
        ("Tracer", referral.tracer),
        ("Site must offer", ", ".join(referral.capabilities).replace("_", " ")),
    ]


def said_answers(case: Any) -> list[tuple[str, list[tuple[str, Any]]]]:
    """What was answered, by part of the data set, in the words of its choices."""
    parts: dict[str, list[tuple[str, Any]]] = {}
    for item in ITEMS:
        value = case.answers.get(item.name)
        if value in (None, ""):
            continue
        words = {choice.value: choice.label for choice in choices_of(item, case.context)}
        parts.setdefault(item.group.value, []).append((item.label, in_words(value, words, item.columns)))
    return list(parts.items())


def in_words(value: Any, words: dict[str, str], columns: Iterable[Any] = ()) -> Any:
    if isinstance(value, tuple) and not value:
        return "None"
    if isinstance(value, tuple) and isinstance(value[0], dict):
        return [row_in_words(row, columns) for row in value]
    if isinstance(value, tuple):
        return ", ".join(words.get(each, str(each)) for each in value)
    return words.get(value, value) if isinstance(value, str) else value


def row_in_words(row: dict[str, Any], columns: Iterable[Any]) -> str:
    cells = []
    for column in columns:
        value = row.get(column.name)
        if value in (None, ""):
            continue
        if column.kind is Kind.CHOICE:
            value = next((one.label for one in column.choices if one.value == value), value)
        if column.kind is Kind.YES_NO:
            value = f"{column.label.lower()}: {'yes' if value else 'no'}"
        cells.append(f"{value:%-d %b %Y}" if column.kind is Kind.DATE else str(value))
    return ", ".join(cells)


def authorisations(referral: Referral) -> list[tuple[Any, list[str]]]:
    """Each with the names of the sites it reaches."""
    names = {site.pk: site.name for site in Site.objects.filter(network=referral.network)}
    found = []
    for procedure in referral.procedures.all():
        for row in procedure.authorisations.select_related("practitioner").order_by("-at"):
            found.append((row, [names.get(key, "another network's site") for key in row.sites]))
    return found


def next_step(request: HttpRequest, referral: Referral) -> NextStep | None:
    if not referral.next_step:
        return None
    late = referral.due_at is not None and referral.due_at < request.now
    return NextStep(referral.next_step, referral.next_owner.replace("_", " ").capitalize(), referral.due_at, late=late)


def acts(request: HttpRequest, referral: Referral) -> dict[str, Any]:
    """What this person may do to it now: the lifecycle and their roles both agree."""
    can = allowed(REFERRAL, ReferralState(referral.state))
    acting = request.acting
    return {
        "answer": acting.may(Verb.ANSWER) and referral.state == ReferralState.AWAITING_REFERRER,
        "vet": acting.may(Verb.VET) and ReferralEvent.ACCEPT in can,
        "withdraw": acting.may(Verb.REFER) and ReferralEvent.WITHDRAW in can,
        "hold": acting.may(Verb.BOOK) and ReferralEvent.HOLD in can,
        "resume": acting.may(Verb.BOOK) and ReferralEvent.RESUME in can,
        "back": (acting.may(Verb.BOOK) or acting.may(Verb.VET)) and ReferralEvent.RETURN_TO_VETTING in can,
        "close": acting.may(Verb.BOOK) and ReferralEvent.CLOSE in can,
        "reopen": (acting.may(Verb.VET) or acting.may(Verb.BOOK)) and ReferralEvent.REOPEN in can,
        "again": acting.may(Verb.REFER),
        "book": booking_links(referral) if acting.may(Verb.BOOK) and referral.state == ReferralState.ACCEPTED else [],
    }


def booking_links(referral: Referral) -> list[Link]:
    """The room above says where a procedure is booked; where it is not there, nothing is offered."""
    try:
        return [Link(f"Book {row.title}", reverse("booking:book", args=[row.pk])) for row in referral.procedures.all()]
    except NoReverseMatch:
        return []


@requires(Verb.ANSWER)
def answer(request: HttpRequest, key: UUID) -> HttpResponse:
    """Only what is open, filled with what was sent, and words beside it."""
    referral = one(request, key)
    on = timezone.localdate(request.now)
    context = services.context_for(referral.network, on, referring=referral.referring_organisation)
    names = services.open_items(referral)
    case = services.case_of(referral, on, context)
    filled = {}
    if "declaration" in names and request.POST.get("declaration"):
        filled = {"declared_by": request.acting.person.name, "declared_at": request.now}
    form = ReferralForm(
        request.POST if request.method == "POST" else None,
        context=context,
        on=on,
        now=request.now,
        only=names,
        answers={name: value for name, value in case.answers.items() if name not in names},
        filled=filled,
        initial=initial_of(referral.answers, names),
    )
    words = AnswerText(request.POST if request.method == "POST" else None, now=request.now)
    if request.method != "POST":
        return answer_page(request, referral, form, words)
    if request.POST.get("version") != str(referral.version):
        messages.warning(request, "Somebody else changed this referral while you were typing: check it and send again")
        return answer_page(request, referral, form, words, status=409)
    words.is_valid()
    open_words = any(not question.fields for question in services.open_questions(referral))
    if open_words and not words.cleaned_data.get("text", "").strip():
        words.add_error("text", "Write the answer")
        return answer_page(request, referral, form, words, status=422)
    given = {name: form.answers[name] for name in names if name in form.answers} | filled
    unreadable = [one for one in form.found if one.code == "MDS-02"]
    try:
        answered = services.answer(
            referral,
            given,
            text=words.cleaned_data.get("text", ""),
            version=referral.version,
            now=request.now,
            by=request.acting.actor,
            person=request.acting.person,
            unreadable=unreadable,
        )
    except Stale as stale:
        return overtaken(request, referral, stale)
    if answered.left:
        fresh = one(request, key)
        form.show(each for each in answered.left if form.place(each.field))
        messages.info(request, "What you answered is kept. Some of it is still open.")
        return answer_page(request, fresh, form, words, status=422)
    messages.success(request, "Answered: it goes on to be decided")
    return redirect("referrals:detail", referral.pk)


def initial_of(answers: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Kept answers as the form's fields show them; rows are spread over their cells."""
    initial: dict[str, Any] = {}
    for name in names:
        value = answers.get(name)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            initial |= {f"{name}-{n}-{cell}": v for n, row in enumerate(value) for cell, v in row.items()}
        elif name in answers:
            codes = next((item for item in ITEMS if item.name == name and item.kind is Kind.CODES), None)
            initial[name] = ", ".join(value) if codes and isinstance(value, list) else value
            if value == []:
                initial[f"{name}_none"] = True
    return initial


def answer_page(
    request: HttpRequest, referral: Referral, form: ReferralForm, words: AnswerText, status: int = 200
) -> HttpResponse:
    context = {
        "referral": referral,
        "form": form,
        "words": words,
        "parts": list(form.parts()),
        "questions": services.open_questions(referral),
    }
    return render(request, "referrals/answer.html", context, status=status)


def overtaken(request: HttpRequest, referral: Referral, stale: Stale) -> HttpResponse:
    """Nothing was saved: the page says who changed what, and the person decides again."""
    who = stale.last.by_name if stale.last else "Somebody else"
    what = stale.last.kind.replace("_", " ") if stale.last else "changed it"
    messages.error(request, f"{who} changed this first ({what}). Nothing of yours was saved: look again and decide.")
    return redirect("referrals:detail", referral.pk)


def act(
    request: HttpRequest,
    key: UUID,
    form_class: type[Any],
    title: str,
    button: str,
    verb: Callable[..., Any],
    done: str,
) -> HttpResponse:
    """A small form, then one verb."""
    referral = one(request, key)
    form = form_class(request.POST or None, initial={"version": referral.version}, now=request.now)
    if request.method == "POST" and form.is_valid():
        given = {name: value for name, value in form.cleaned_data.items() if name != "version"}
        try:
            verb(referral, given, version=form.cleaned_data["version"], now=request.now, by=request.acting.actor)
        except Stale as stale:
            return overtaken(request, referral, stale)
        except IllegalMove as illegal:
            messages.error(request, f"Not possible now: the referral is {illegal.state.replace('_', ' ')}")
            return redirect("referrals:detail", referral.pk)
        messages.success(request, done)
        return redirect("referrals:detail", referral.pk)
    context = {"referral": referral, "form": form, "title": title, "button": button}
    return render(request, "referrals/act.html", context, status=422 if form.errors else 200)


@requires(Verb.REFER)
def withdraw(request: HttpRequest, key: UUID) -> HttpResponse:
    def verb(referral: Referral, given: dict[str, Any], **more: Any) -> Any:
        return services.withdraw(referral, **given, **more)

    return act(request, key, WithdrawForm, "Withdraw the referral", "Withdraw", verb, "Withdrawn")


@requires(Verb.BOOK)
def hold(request: HttpRequest, key: UUID) -> HttpResponse:
    def verb(referral: Referral, given: dict[str, Any], **more: Any) -> Any:
        until = timezone.make_aware(timezone.datetime.combine(given["until"], timezone.datetime.min.time().replace(9)))
        return services.put_on_hold(referral, reason=given["reason"], until=until, **more)

    return act(request, key, HoldForm, "Put on hold", "Put on hold", verb, "On hold")


@requires(Verb.BOOK, Verb.VET)
def return_to_vetting(request: HttpRequest, key: UUID) -> HttpResponse:
    def verb(referral: Referral, given: dict[str, Any], **more: Any) -> Any:
        return services.return_to_vetting(referral, given["reason"], **more)

    done = "Back with the practitioner"
    return act(request, key, ReasonForm, "Send back to be decided again", "Send back", verb, done)


@requires(Verb.BOOK)
def close(request: HttpRequest, key: UUID) -> HttpResponse:
    def verb(referral: Referral, given: dict[str, Any], **more: Any) -> Any:
        return services.close(referral, **given, **more)

    return act(request, key, ReasonForm, "Close the referral", "Close", verb, "Closed")


@requires(Verb.BOOK, Verb.VET)
def reopen(request: HttpRequest, key: UUID) -> HttpResponse:
    def verb(referral: Referral, given: dict[str, Any], **more: Any) -> Any:
        return services.reopen(referral, **given, **more)

    return act(request, key, ReasonForm, "Open it again", "Open again", verb, "Open again: to be decided")


@requires(Verb.BOOK)
@require_POST
def resume(request: HttpRequest, key: UUID) -> HttpResponse:
    referral = one(request, key)
    version = request.POST.get("version", "")
    try:
        services.resume(
            referral,
            version=int(version) if version.isdecimal() else None,
            now=request.now,
            by=request.acting.actor,
        )
    except Stale as stale:
        return overtaken(request, referral, stale)
    except IllegalMove:
        messages.error(request, "It is not on hold any more")
    else:
        messages.success(request, "Resumed: it waits for a date again")
    return redirect("referrals:detail", referral.pk)
