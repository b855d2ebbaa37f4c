"""Dose reports of injectors: kept as they came, matched to the injection that they surely speak of, or held for a person."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.services import Stale, append
from gantry.apps.estate.models import Device, Scanner
from gantry.apps.scanning.models import Injection, InjectorReport, Instance
from gantry.apps.scanning.services.dosing import READER, look_at_sources
from gantry.apps.scanning.services.keeping import Conflict, ReceivedInstance, only_provider, whose
from gantry.apps.scanning.services.reconciling import NeedsNote
from gantry.apps.scanning.services.steps import subjects
from gantry.domain.events import Actor, EventKind
from gantry.domain.injector import Held, Recorded, Rule, Told, match
from gantry.domain.instrument import DeviceKind
from gantry.reference.hot_lab import INJECTOR_NEAR
from gantry.reference.tracers import tracer

DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.68"
OPEN = ("waits", "held")
WAITS_FOR = timedelta(days=1)
"""After this nobody will record the injection any more: a person says what it was."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a report's tree states, in its own words."""

    told: Told
    radiopharmaceutical: str = ""
    manufacturer: str = ""


def is_ours_to_keep(sop_class_uid: str, calling_ae_title: str) -> bool:
    """A tracer's dose report from whatever is no scanner of ours: an injector, or somebody we do not know."""
    return sop_class_uid == DOSE_REPORT and not Scanner.objects.filter(ae_title=calling_ae_title).exists()


def keep(received: ReceivedInstance, *, now: datetime) -> InjectorReport | Conflict:
    """The row of a stored report. The same object again is kept once; another under its name is refused."""
    there = InjectorReport.objects.filter(sop_instance_uid=received.sop_instance_uid).first()
    if there is None:
        another = Instance.objects.filter(sop_instance_uid=received.sop_instance_uid).exists()
        if another:
            return Conflict("An image or report of a scanner is stored under this SOP Instance UID")
        try:
            with transaction.atomic():
                return kept(received, now=now)
        except IntegrityError:
            there = InjectorReport.objects.get(sop_instance_uid=received.sop_instance_uid)
    if there.sha256 != received.sha256:
        return Conflict("Another object is stored under this SOP Instance UID; it was not replaced")
    return there


def kept(received: ReceivedInstance, *, now: datetime) -> InjectorReport:
    device = device_of(received.calling_ae_title)
    site = device.site if device else None
    return InjectorReport.objects.create(
        pk=new_id(), site=site, device=device, provider_id=site.network.provider_id if site else only_provider(),
        calling_ae_title=received.calling_ae_title[:16], sop_instance_uid=received.sop_instance_uid,
        sop_class_uid=received.sop_class_uid, study_uid=received.study_uid, path=received.path,
        size=received.size_bytes, sha256=received.sha256, received_at=now, nhs_number=received.nhs_number[:10],
        patient_id=received.patient_id[:64], patient_name=received.patient_name[:324],
        accession_number=received.accession_number[:64],
    )  # fmt: skip


def device_of(ae_title: str) -> Device | None:
    """The injector in use that sends under this title."""
    if not ae_title:
        return None
    known = Device.objects.filter(kind=DeviceKind.INJECTOR, ae_title=ae_title, retired_at=None)
    return known.select_related("site__network").first()


def unread() -> list[InjectorReport]:
    return list(InjectorReport.objects.filter(state="came").select_related("site").order_by("received_at")[:200])


def waiting(*, now: datetime) -> list[InjectorReport]:
    """Those that came before the room had recorded the injection."""
    rows = InjectorReport.objects.filter(state="waits", received_at__gt=now - WAITS_FOR)
    return list(rows.select_related("site", "device").order_by("received_at")[:200])


@transaction.atomic
def read(row: InjectorReport, said: Said | None, *, now: datetime) -> InjectorReport:
    """What it says is kept beside it, and judged at once. None: its tree states no injection."""
    row = InjectorReport.objects.select_for_update(of=("self",)).select_related("site", "device").get(pk=row.pk)
    if row.state != "came":
        return row
    if said is None:
        return settle(row, [Held(Rule.UNREADABLE, "its tree holds no administration that we can read")], now=now)
    told = said.told
    row.radiopharmaceutical, row.manufacturer = said.radiopharmaceutical[:64], said.manufacturer[:64]
    row.injected_at, row.clock_stated, row.nuclide = told.at, told.clock_stated, told.nuclide[:10]
    row.activity, row.unit, row.replaces = told.activity, told.unit[:16], sorted(told.replaces)
    row.save(
        update_fields=[
            "radiopharmaceutical", "manufacturer", "injected_at", "clock_stated", "nuclide", "activity", "unit", "replaces",
        ]
    )  # fmt: skip
    return judge(row, now=now)


@transaction.atomic
def judge_again(row: InjectorReport, *, now: datetime) -> InjectorReport:
    row = InjectorReport.objects.select_for_update(of=("self",)).select_related("site", "device").get(pk=row.pk)
    return judge(row, now=now) if row.state == "waits" else row


def judge(row: InjectorReport, *, now: datetime) -> InjectorReport:
    """Sender, person, then the injection. Each reason is kept; one that only time can settle is asked again."""
    if row.device is None:
        said = f"no scanner of ours and no injector in use sends as {row.calling_ae_title or 'nobody'}"
        return settle(row, [Held(Rule.UNKNOWN_SENDER, said)], now=now)
    procedure, reason = whose(row.accession_number, row.nhs_number)
    if procedure is None:
        return settle(row, [Held(Rule.WRONG_PERSON, reason)], now=now)
    given = Injection.objects.filter(visit__appointment__procedure=procedure).select_related("dose", "visit")
    injections = {str(each.pk): each for each in given}
    answer = match(told_of(row), recorded(row, injections.values()), now=now, near=INJECTOR_NEAR.value)
    if isinstance(answer, Recorded):
        return settle(row, [], injection=injections[answer.key], now=now)
    return settle(row, answer, about={"procedure": procedure.pk, "referral": procedure.referral_id,
        "patient": procedure.referral.patient_id}, now=now)  # fmt: skip


def told_of(row: InjectorReport) -> Told:
    """In the clock of its site: a bare wall clock was read in it."""
    zone = ZoneInfo(row.site.zone) if row.site else None
    at = row.injected_at.astimezone(zone) if row.injected_at else None
    return Told(at, row.clock_stated, row.activity, row.unit, row.nuclide, frozenset(row.replaces))


def recorded(row: InjectorReport, injections: Iterable[Injection]) -> list[Recorded]:
    found = []
    for each in injections:
        standing = InjectorReport.objects.filter(injection=each, device=row.device, state="matched").exclude(pk=row.pk)
        said = {one.sop_instance_uid: one for one in standing}
        replaced = {uid for one in said.values() for uid in one.replaces}
        found.append(
            Recorded(
                str(each.pk),
                each.injected_at,
                each.dose.net_mbq or each.dose.drawn_mbq,
                tracer(each.dose.tracer).nuclide.symbol,
                here=each.visit.site_id == row.site_id,
                said=frozenset(said) - replaced,
            )
        )
    return found


def settle(
    row: InjectorReport,
    held: Sequence[Held],
    *,
    injection: Injection | None = None,
    about: dict[str, UUID] | None = None,
    now: datetime,
) -> InjectorReport:
    """Matched, or held with its reasons. The same reasons again are no news."""
    reasons = [str(each) for each in held]
    state = "matched" if injection else "waits" if all(each.waits for each in held) else "held"
    if (row.state, row.reasons) == (state, reasons):
        return row
    row.state, row.reasons, row.injection = state, reasons, injection
    row.save(update_fields=["state", "reasons", "injection"])
    said = f"{row.device.name if row.device else 'An unknown injector'}: " + (
        f"{row.activity:.1f} MBq" if injection and row.activity else "; ".join(reasons)
    )
    tell(row, said, about=subjects(injection.visit) if injection else about or {}, by=READER, now=now)
    if injection:
        look_at_sources(injection, now=now)
    return row


def tell(row: InjectorReport, said: str, *, about: dict[str, UUID], by: Actor, now: datetime) -> None:
    append(
        EventKind.DOSE_RECORDED,
        subjects={"injector_report": row.pk, **about},
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=row.provider_id,
        site=row.site_id,
        data={"said": said},
    )


def near(row: InjectorReport, among: Iterable[Injection]) -> list[Injection]:
    """Which injections a person may choose from: those of the person or the accession it names, and those near its time."""
    found = []
    for each in among:
        appointment = each.visit.appointment
        theirs = row.accession_number and appointment.procedure.accession_number == row.accession_number
        theirs = theirs or (row.nhs_number and appointment.referral.patient.nhs_number == row.nhs_number)
        close = row.injected_at and abs(each.injected_at - row.injected_at) <= INJECTOR_NEAR.value
        if theirs or (close and each.visit.site_id == row.site_id):
            found.append(each)
    return found


@transaction.atomic
def decide(
    row: InjectorReport, injection: Injection | None, *, note: str, by: Actor, now: datetime
) -> InjectorReport:  # fmt: skip
    """A person says which injection it speaks of, or that it speaks of none of ours. Raises NeedsNote and Stale."""
    if not note.strip():
        raise NeedsNote
    changed = InjectorReport.objects.filter(pk=row.pk, state__in=OPEN).update(
        state="matched" if injection else "set_aside", injection=injection, note=note.strip(), settled_at=now,
        settled_by_name=by.name,
    )  # fmt: skip
    if not changed:
        raise Stale(row.pk)
    row.refresh_from_db()
    said = f"{'Matched by hand' if injection else 'Set aside'}: {note.strip()}"
    tell(row, said, about=subjects(injection.visit) if injection else {}, by=by, now=now)
    if injection:
        look_at_sources(injection, now=now)
    return row
