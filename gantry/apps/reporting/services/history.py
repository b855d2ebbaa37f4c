"""All that a reporter looks at beside the text: the question, the history, the day's facts, and what came before."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch

from gantry.apps.referrals.models import Prior, RequestedProcedure
from gantry.apps.reporting.models import Report
from gantry.apps.scanning.models import DoseRecord, ImageDispatch, Injection, StepDone, Study, StudyState, Visit
from gantry.apps.scanning.services.performed import Disagreement, disagreements


@dataclass(frozen=True, slots=True)
class Given:
    """One injection as the room recorded it, and the uptake to the scan that followed."""

    tracer: str
    net_mbq: float | None
    drawn_mbq: float
    injected_at: datetime
    uptake_min: int | None
    body_site: str


@dataclass(frozen=True, slots=True)
class DoseSaid:
    """What one source says of the injection; sources that disagree stand beside each other."""

    source: str
    mbq: float | None
    at: datetime | None
    weight_kg: float | None
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TheDay:
    given: tuple[Given, ...]
    doses: tuple[DoseSaid, ...]
    weight_kg: float | None
    glucose_mmol_per_l: float | None
    site: str
    scanner: str
    disagreements: tuple[Disagreement, ...]
    breaches: tuple[str, ...]


def technique(procedure: RequestedProcedure) -> str:
    """What the room recorded, as the first words of the technique: the reporter changes them as they like."""
    day = the_day(procedure)
    if day is None or not day.given:
        return ""
    said = []
    for each in day.given:
        uptake = f", uptake {each.uptake_min} minutes" if each.uptake_min is not None else ""
        said.append(f"{each.net_mbq or each.drawn_mbq:.0f} MBq {each.tracer}{uptake}")
    glucose = f"; glucose {day.glucose_mmol_per_l:g} mmol/L" if day.glucose_mmol_per_l else ""
    weight = f"; weight {day.weight_kg:g} kg" if day.weight_kg else ""
    return f"{procedure.title}: {'; '.join(said)}{glucose}{weight}. {day.scanner}, {day.site}."


MBQ_APART, MINUTES_APART, KG_APART = 0.05, 2, 0.5
"""Further apart than this (a share, minutes, kg) and two sources differ."""


def visits_of(procedures: Iterable[RequestedProcedure]) -> dict[UUID, Visit]:
    """The last visit of each at which somebody was seen, with its steps and its injections."""
    rows = (
        Visit.objects.filter(appointment__procedure__in=procedures)
        .exclude(state="not_seen")
        .select_related("site", "appointment__scanner")
        .prefetch_related(
            Prefetch("steps", StepDone.objects.filter(current=True).order_by("happened_at")),
            Prefetch("injections", Injection.objects.select_related("dose").order_by("injected_at")),
        )
    )
    return {visit.appointment.procedure_id: visit for visit in rows.order_by("on", "pk")}


def given_at(visit: Visit) -> tuple[Given, ...]:
    scans = [step.happened_at for step in visit.steps.all() if step.act == "acquire" and step.phase == "start"]
    return tuple(
        Given(
            each.dose.tracer,
            each.dose.net_mbq,
            each.dose.drawn_mbq,
            each.injected_at,
            next((round((at - each.injected_at).total_seconds() / 60) for at in scans if at >= each.injected_at), None),
            each.body_site,
        )
        for each in visit.injections.all()
    )


def the_day(procedure: RequestedProcedure) -> TheDay | None:
    visit = visits_of([procedure]).get(procedure.pk)
    if visit is None:
        return None
    given = given_at(visit)
    return TheDay(
        given,
        doses_said(procedure, given, visit.weight_kg),
        visit.weight_kg,
        visit.glucose_mmol_per_l,
        visit.site.name,
        visit.appointment.scanner.name,
        tuple(disagreements(visit)),
        tuple(reason for step in visit.steps.all() for reason in step.breach),
    )


def doses_said(
    procedure: RequestedProcedure, given: tuple[Given, ...], weight_kg: float | None
) -> tuple[DoseSaid, ...]:
    """The room's record first, then each source of the images, with what differs named."""
    room = [DoseSaid("Room", each.net_mbq or each.drawn_mbq, each.injected_at, weight_kg) for each in given]
    records = DoseRecord.objects.filter(study__procedure=procedure, study__state=StudyState.MATCHED).order_by("pk")
    said = {
        (row.total_dose_mbq, row.injected_at, row.weight_kg): DoseSaid(
            f"Images ({row.radiopharmaceutical or 'tracer not named'})",
            row.total_dose_mbq,
            row.injected_at,
            row.weight_kg,
            apart(row, room),
        )
        for row in records
    }
    return (*room, *said.values())


def apart(row: DoseRecord, room: list[DoseSaid]) -> tuple[str, ...]:
    """What no injection of the room's record agrees with."""
    if not room:
        return ()
    found = []
    mbq = [each.mbq for each in room if each.mbq]
    if row.total_dose_mbq and mbq and all(abs(row.total_dose_mbq - each) > MBQ_APART * each for each in mbq):
        found.append("activity")
    times = [each.at for each in room if each.at]
    if row.injected_at and all(abs((row.injected_at - at).total_seconds()) > MINUTES_APART * 60 for at in times):
        found.append("time")
    weights = [each.weight_kg for each in room if each.weight_kg]
    if row.weight_kg and weights and all(abs(row.weight_kg - each) > KG_APART for each in weights):
        found.append("weight")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier scan of this person that we hold."""

    procedure: RequestedProcedure
    report: Report | None
    scanner: str
    uptake_min: int | None
    differs: str


def earlier(procedure: RequestedProcedure, now: TheDay | None) -> list[Earlier]:
    """Each of ours with a warning when its scanner or its uptake was another than `now`: values do not compare."""
    others = RequestedProcedure.objects.filter(
        referral__patient=procedure.referral.patient_id, created_at__lt=procedure.created_at
    )
    rows = list(others.select_related("report").order_by("-created_at")[:10])
    visits = visits_of(rows)
    here = now.given[0].uptake_min if now and now.given else None
    found = []
    for other in rows:
        was = visits.get(other.pk)
        scanner = was.appointment.scanner.name if was else ""
        given = given_at(was) if was else ()
        uptake = given[0].uptake_min if given else None
        differs = []
        if was and now and scanner != now.scanner:
            differs.append(f"scanned on {scanner}, now on {now.scanner}")
        if uptake and here and abs(uptake - here) > 10:
            differs.append(f"uptake {uptake} minutes, now {here}")
        found.append(Earlier(other, getattr(other, "report", None), scanner, uptake, "; ".join(differs)))
    return found


def outside(procedure: RequestedProcedure) -> list[Prior]:
    return list(procedure.referral.priors.order_by("-on", "pk"))


def studies(procedure: RequestedProcedure) -> list[Study]:
    return list(
        procedure.studies.filter(state=StudyState.MATCHED).prefetch_related("checks", "series").order_by("received_at")
    )


def sent(procedure: RequestedProcedure) -> list[ImageDispatch]:
    rows = ImageDispatch.objects.filter(study__procedure=procedure).select_related("organisation", "message")
    return list(rows.order_by("organisation__name"))
