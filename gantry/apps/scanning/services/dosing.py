"""Dose reports: ours for each injection, those of scanners read and kept, and who is asked to look at a dose."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import DateField, F, Func
from django.db.models.functions import TruncDate
from django.db.models.lookups import LessThanOrEqual

from gantry.apps.audit import outbox
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event, OutboxMessage, OutboxState
from gantry.apps.audit.services import Outgoing, Stale, append, enqueue
from gantry.apps.estate.models import Site
from gantry.apps.estate.services import why_not_measured_with
from gantry.apps.referrals.models import RequestedProcedure
from gantry.apps.scanning.models import (
    DOSE_CLASSES,
    DoseObject,
    DoseRecord,
    DoseReport,
    DoseReview,
    Injection,
    Instance,
    Irradiation,
    Series,
    Study,
    StudyState,
    Visit,
)
from gantry.apps.scanning.services.keeping import TracerSeen, about
from gantry.apps.scanning.services.owners import owner_of_failures
from gantry.domain.activity import why_review as why_tracer_review
from gantry.domain.ct_dose import CtDose, CtEvent, Middle, StudyCt, middle_of, of_study
from gantry.domain.ct_dose import why_review as why_ct_review
from gantry.domain.events import Actor, EventKind, system
from gantry.domain.injector import why_look
from gantry.domain.instrument import DeviceKind
from gantry.domain.scan import age_in_years
from gantry.domain.uptake import Stated
from gantry.reference.hot_lab import CLOCKS_APART, TELLERS_APART_PERCENT
from gantry.reference.levels import (
    FAR_PERCENT,
    HALF_BODY,
    MIDDLE_OF,
    MIDDLE_OVER_DAYS,
    ct_level,
    region_of,
    tracer_level,
)
from gantry.reference.protocols import product_of
from gantry.reference.schemes import CHILD_UNDER

DOOR = "dicom.dose_report"
WRITER, READER = system("dose report writer"), system("dose report reader")
SR = "1.2.840.10008.5.1.4.1.1.88.68"
LOOK_BACK = timedelta(days=90)
"""A worker that was down for a season still reads what it missed."""
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
BY_WEIGHT = ("FDG", "FDG-CARDIAC")
"""Whose level goes by weight; a brain's does not."""
SAID_BY = {"pet_header": "the image header", "rrdsr": "the scanner's dose report"}


# Ours


def follow(event: Event) -> None:
    """Subscriber: an injection, its residual and its corrected time each ask for a report that says what is now known."""
    about_it = event.about
    if "dose" in about_it:
        asked = Injection.objects.filter(dose=UUID(about_it["dose"]))
        if event.kind != EventKind.DOSE_INJECTED and not asked.exists():
            return
        if event.kind == EventKind.DOSE_INJECTED and "visit" not in about_it:
            return
        body = {"dose": about_it["dose"]}
    elif event.kind == EventKind.STEP_CORRECTED and "visit" in about_it:
        injections = Injection.objects.filter(visit=UUID(about_it["visit"]), step_key=event.data.get("step", ""))
        dose = injections.values_list("dose", flat=True).first()
        if dose is None:
            return
        body = {"dose": str(dose)}
    else:
        return
    ask(event, body)


def ask(event: Event, body: dict[str, str]) -> None:
    enqueue(
        event, [Outgoing(DOOR, f"dose-report:{event.pk}", body, organisation=event.organisation)], now=event.recorded_at
    )


def injection_of(dose: str) -> Injection | None:
    """The injection with all that its report says, locked until its report is written."""
    rows = Injection.objects.select_related(
        "visit__site", "visit__appointment__procedure", "visit__appointment__referral__patient",
        "visit__appointment__authorisation", "dose__container", "dose__batch",
    )  # fmt: skip
    return rows.select_for_update(of=("self",)).filter(dose=UUID(dose)).first()


def standing(injection: Injection) -> DoseReport | None:
    """The report that holds for an injection now."""
    return DoseReport.objects.filter(injection=injection).order_by("-number").first()


def last_among_images(injection: Injection) -> DoseReport | None:
    return DoseReport.objects.filter(injection=injection, instance__isnull=False).order_by("-number").first()


def said_of_reports(visit: Visit) -> dict[UUID, str]:
    """By dose: which of our reports stands, and whether it has gone among the images."""
    said = {}
    for row in DoseReport.objects.filter(injection__visit=visit, replaced_by=None).select_related("injection"):
        where = "with the images" if row.instance_id else "waits for the images"
        said[row.injection.dose_id] = f"number {row.number}, {where}"
    return said


def study_for(injection: Injection) -> Study | None:
    """Where its images lie: under our own study UID if the scanner kept it, else wherever they were matched."""
    procedure = injection.visit.appointment.procedure
    found = list(Study.objects.filter(procedure=procedure, state=StudyState.MATCHED).order_by("received_at"))
    return next((each for each in found if each.study_uid == procedure.study_uid), found[0] if found else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A report as its file holds it."""

    report_uid: str
    series_uid: str
    study_uid: str
    says: str
    path: str
    size: int
    sha256: str


@transaction.atomic
def keep_report(injection: Injection, written: Written, *, now: datetime) -> DoseReport:
    """The row of a file that is there already. The one before it is replaced and no longer leaves with the images."""
    before = standing(injection)
    number = before.number + 1 if before else 1
    row = DoseReport(
        pk=new_id(), injection=injection, number=number, report_uid=written.report_uid, study_uid=written.study_uid,
        says=written.says, path=written.path, size=written.size, sha256=written.sha256,
        net_mbq=injection.dose.net_mbq or 0.0, injected_at=injection.injected_at, written_at=now, replaces=before,
    )  # fmt: skip
    appointment = injection.visit.appointment
    row.event = append(
        EventKind.DOSE_REPORT_WRITTEN,
        subjects={
            "visit": injection.visit_id,
            "appointment": appointment.pk,
            "procedure": appointment.procedure_id,
            "referral": appointment.referral_id,
            "patient": appointment.referral.patient_id,
            "dose": injection.dose_id,
        },
        happened_at=now,
        recorded_at=now,
        by=WRITER,
        site=injection.visit.site_id,
        data={"net_mbq": round(row.net_mbq, 3), "number": number, "replaces": number - 1 or None},
    ).pk
    row.save(force_insert=True)
    look_at_tracer(injection, now=now)
    look_at_sources(injection, now=now)
    attach(row, written.series_uid, now=now)
    return row


@transaction.atomic
def report_failed(message: OutboxMessage, *, reason: str, now: datetime) -> None:
    """Tried again later; after the last time a person owns it."""
    if outbox.failed(message, now=now, phase="write", reason=reason) != OutboxState.GIVEN_UP:
        return
    injection = injection_of(message.body["dose"])
    if injection is None:
        return
    referral = injection.visit.appointment.referral
    owner = owner_of_failures(referral.provider_id, now.date())
    if owner:
        OutboxMessage.objects.filter(pk=message.pk).update(owner=owner.pk)
    append(
        EventKind.DISPATCH_GIVEN_UP,
        subjects={"visit": injection.visit_id, "referral": referral.pk, "patient": referral.patient_id},
        happened_at=now,
        recorded_at=now,
        by=WRITER,
        organisation=referral.provider_id,
        site=injection.visit.site_id,
        data={"what": "dose report", "phase": "write", "reason": reason, "owner_name": owner.name if owner else ""},
    )


def attach(report: DoseReport, series_uid: str, *, now: datetime) -> bool:
    """Among the images of its study, so that it is sent and proved with them. False while there are none."""
    study = study_for(report.injection)
    if study is None or study.study_uid != report.study_uid:
        return False
    Study.objects.select_for_update().get(pk=study.pk)
    series, _ = Series.objects.get_or_create(
        study=study,
        series_uid=series_uid,
        defaults={"modality": "SR", "description": "Radiopharmaceutical dose report"},
    )
    instance, made = Instance.objects.get_or_create(
        sop_instance_uid=report.report_uid,
        defaults={
            "study": study, "series": series, "sop_class_uid": SR, "transfer_syntax_uid": EXPLICIT_LITTLE,
            "size": report.size, "sha256": report.sha256, "path": report.path, "received_at": now,
        },
    )  # fmt: skip
    if made:
        modalities = [*study.modalities, *([] if "SR" in study.modalities else ["SR"])]
        Study.objects.filter(pk=study.pk).update(instances_count=F("instances_count") + 1, modalities=modalities)
    DoseReport.objects.filter(pk=report.pk).update(instance=instance)
    report.instance = instance
    return True


def waiting_for_images(*, now: datetime) -> list[DoseReport]:
    """Reports that stand, whose images have come since: they belong with them."""
    rows = DoseReport.objects.filter(
        instance=None, replaced_by=None, written_at__gte=now - LOOK_BACK,
        injection__visit__appointment__procedure__studies__state=StudyState.MATCHED,
    )  # fmt: skip
    return list(rows.select_related("injection__visit__appointment__procedure").distinct().order_by("written_at")[:200])


# Those of others


def unread(*, now: datetime) -> list[Instance]:
    """Reports that came in and that nobody has read yet; ours are known without reading."""
    rows = Instance.objects.filter(
        sop_class_uid__in=DOSE_CLASSES, dose_object=None, dose_report=None, received_at__gte=now - LOOK_BACK
    )
    return list(rows.select_related("study", "series").order_by("received_at")[:200])


@transaction.atomic
def keep_ct(instance: Instance, dose: CtDose, *, now: datetime) -> DoseObject:
    """What a scanner says that its CT gave, and whether that asks for a look. Read again, it is kept once."""
    row, made = DoseObject.objects.get_or_create(
        instance=instance,
        defaults={
            "study": instance.study, "kind": "ct", "manufacturer": dose.manufacturer[:64], "started_at": dose.started_at,
            "ended_at": dose.ended_at, "total_dlp_mgy_cm": dose.total_dlp_mgy_cm, "total_events": dose.total_events,
            "read_at": now,
        },
    )  # fmt: skip
    if not made:
        return row
    Irradiation.objects.bulk_create(
        Irradiation(
            report=row, place=place, uid=each.uid[:64], protocol=each.protocol[:64], ctdi_vol_mgy=each.ctdi_vol_mgy,
            dlp_mgy_cm=each.dlp_mgy_cm, alerts=[str(alert) for alert in each.alerts],
        )
        for place, each in enumerate(dose.events)
    )  # fmt: skip
    record_ct(instance.study, now=now)
    look_at_ct(instance.study, dose, now=now)
    return row


def record_ct(study: Study, *, now: datetime) -> None:
    """With what it comes to so far, so that whoever authorises another exposure reads it from the history."""
    said = ct_of(study)
    if said is None:
        return
    region = region_of(study.procedure.tracer) if study.procedure else ""
    more = {"dlp_mgy_cm": round(said.dlp_mgy_cm, 2), "region": region}
    record(study, f"CT: {said.dlp_mgy_cm:.1f} mGy·cm in {len(said.events)} irradiations", now=now, **more)


@transaction.atomic
def keep_tracer(
    instance: Instance, seen: TracerSeen, *, manufacturer: str, replaces: Sequence[str] = (), now: datetime
) -> DoseObject:
    """What a report of others says of an injection: one more source, shown beside ours."""
    row, made = DoseObject.objects.get_or_create(
        instance=instance,
        defaults={"study": instance.study, "kind": "tracer", "manufacturer": manufacturer[:64], "read_at": now},
    )
    if not made:
        return row
    said = {
        "radiopharmaceutical": seen.radiopharmaceutical[:64],
        "injected_at": seen.injected_at,
        "total_dose_mbq": seen.total_dose_mbq,
        "half_life_s": seen.half_life_s,
        "weight_kg": seen.weight_kg,
        "report_uid": instance.sop_instance_uid,
        "replaces": list(replaces),
    }
    # The door writes what the first report of a series says as it comes; here it gets its name.
    first = DoseRecord.objects.filter(
        study=instance.study, source=seen.source, series_uid=instance.series.series_uid, report_uid=""
    )
    if not first.update(**said):
        DoseRecord.objects.create(
            study=instance.study, source=seen.source, series_uid=instance.series.series_uid, **said
        )
    mbq = f"{seen.total_dose_mbq:.1f} MBq" if seen.total_dose_mbq else "no activity"
    record(instance.study, f"Tracer: {mbq}, said by {manufacturer or 'an unnamed maker'}", now=now)
    look_at_study(instance.study, now=now)
    return row


def look_at_study(study: Study, *, now: datetime) -> None:
    given = Injection.objects.filter(visit__appointment__procedure=study.procedure_id) if study.procedure_id else []
    for injection in (
        given.select_related("visit__site", "visit__appointment__procedure__referral", "dose") if given else ()
    ):
        look_at_sources(injection, now=now)


def keep_silent(instance: Instance, *, now: datetime) -> DoseObject:
    """A report that states no dose we can read: not read again."""
    return DoseObject.objects.get_or_create(
        instance=instance, defaults={"study": instance.study, "kind": "none", "read_at": now}
    )[0]


def record(study: Study, said: str, *, now: datetime, **more: object) -> Event:
    provider = study.procedure.referral.provider_id if study.procedure else None
    site = study.appointment.site_id if study.appointment else None
    return append(
        EventKind.DOSE_RECORDED,
        subjects=about(study),
        happened_at=now,
        recorded_at=now,
        by=READER,
        organisation=provider,
        site=site,
        data={"said": said, **more},
    )


def as_dose(row: DoseObject) -> CtDose:
    events = tuple(
        CtEvent(each.uid or f"{row.pk}.{each.place}", each.protocol, each.ctdi_vol_mgy, each.dlp_mgy_cm, ())
        for each in row.irradiations.all()
    )
    return CtDose(
        str(row.instance_id), row.study.study_uid, row.manufacturer, row.started_at, row.ended_at, row.total_dlp_mgy_cm,
        row.total_events, events,
    )  # fmt: skip


def ct_of(study: Study) -> StudyCt | None:
    """What a study's CT gave, each irradiation once."""
    rows = DoseObject.objects.filter(study=study, kind="ct").select_related("study").prefetch_related("irradiations")
    reports = [as_dose(row) for row in rows]
    return of_study(reports) if reports else None


def age_of(procedure: RequestedProcedure, zone: str, at: datetime) -> int | None:
    born = procedure.referral.patient.date_of_birth
    return age_in_years(born, at.astimezone(ZoneInfo(zone)).date()) if born else None


# Who is asked to look


def follow_match(event: Event) -> None:
    """Subscriber: somebody has said whose images these are, so what their CT gave can be looked at."""
    study = Study.objects.filter(pk=event.about.get("study"), state=StudyState.MATCHED).first()
    for row in DoseObject.objects.filter(study=study, kind="ct").prefetch_related("irradiations") if study else ():
        look_at_ct(study, as_dose(row), now=event.recorded_at)
    if study:
        record_ct(study, now=event.recorded_at)
        look_at_study(study, now=event.recorded_at)


def look_at_ct(study: Study, dose: CtDose, *, now: datetime) -> DoseReview | None:
    procedure = study.procedure
    said = ct_of(study)
    if procedure is None or said is None:
        return None
    at = dose.started_at or now
    zone = study.appointment.site.zone if study.appointment else "Europe/London"
    level = ct_level(region_of(procedure.tracer), at.date(), age=age_of(procedure, zone, at))
    reasons = list(why_ct_review(said, level.value if level else None, far_percent=FAR_PERCENT["ct"].value))
    raised = Irradiation.objects.filter(report__study=study).values_list("alerts", flat=True)
    reasons += [f"The scanner's dose check: {alert}" for alerts in raised for alert in alerts]
    return ask_review(procedure, "ct", reasons, site=study.appointment.site_id if study.appointment else None, now=now)


def look_at_tracer(injection: Injection, *, now: datetime) -> DoseReview | None:
    """Against the level of this tracer, weight and age. An injection above it is looked at, not forbidden."""
    appointment, site = injection.visit.appointment, injection.visit.site
    procedure = appointment.procedure
    weight = injection.visit.weight_kg or appointment.referral.weight_kg
    age = age_of(procedure, site.zone, injection.injected_at)
    on = injection.injected_at.astimezone(ZoneInfo(site.zone)).date()
    level = tracer_level(given_as(injection), on, age=age, weight_kg=weight)
    if level is None:
        return None
    far = FAR_PERCENT["tracer"].value
    said = why_tracer_review(injection.dose.net_mbq or 0.0, level.value, weight, far_percent=far)
    return ask_review(procedure, "tracer", [said] if said else [], site=site.pk, now=now)


def look_at_sources(injection: Injection, *, now: datetime) -> DoseReview | None:
    """Whoever else speaks of this injection against the room's record: beyond tolerance somebody looks, and none is averaged."""
    zone, dose = ZoneInfo(injection.visit.site.zone), injection.dose
    procedure = injection.visit.appointment.procedure
    room = Stated("the room", injection.injected_at.astimezone(zone), dose.net_mbq or dose.drawn_mbq)
    apart, clocks = TELLERS_APART_PERCENT.value, CLOCKS_APART.value
    reasons = list(why_look(room, standing_sources(injection), apart_percent=apart, clocks_apart=clocks))
    for report in injection.injector_reports.filter(state="matched").select_related("device__site"):
        if report.device is not None:
            site, name = report.device.site, report.device.name
            reasons += why_not_measured_with(site, name, kind=DeviceKind.INJECTOR, at=injection.injected_at)
    return ask_review(procedure, "sources", reasons, site=injection.visit.site_id, now=now)


def standing_sources(injection: Injection) -> list[Stated]:
    """What injectors and scanners say of it and have not replaced."""
    reports = list(injection.injector_reports.filter(state="matched").select_related("device"))
    gone = {uid for one in reports for uid in one.replaces}
    found = [
        Stated(one.device.name if one.device else one.calling_ae_title, one.injected_at, one.mbq)
        for one in reports
        if one.sop_instance_uid not in gone
    ]
    records = list(DoseRecord.objects.filter(study__procedure=injection.visit.appointment.procedure_id))
    gone = {uid for one in records for uid in one.replaces}
    for one in records:
        # A protocol with two injections has a scanner speak of each: it is held against the nearer.
        if one.report_uid not in gone and nearest_injection(one, injection) == injection.pk:
            found.append(Stated(SAID_BY.get(one.source, one.source), one.injected_at, one.total_dose_mbq))
    return list(dict.fromkeys(found))


def nearest_injection(record: DoseRecord, injection: Injection) -> UUID:
    same = Injection.objects.filter(visit__appointment__procedure=injection.visit.appointment.procedure_id)
    times = list(same.values_list("pk", "injected_at"))
    at = record.injected_at
    return min(times, key=lambda each: abs(each[1] - at))[0] if at and times else injection.pk


def given_as(injection: Injection) -> str:
    """The tracer as it was asked for where it is this product (FDG for a brain), else the product in the syringe."""
    asked, given = injection.visit.appointment.procedure.tracer, injection.dose.tracer
    return asked if product_of(asked) == product_of(given) else given


@transaction.atomic
def ask_review(
    procedure: RequestedProcedure, what: str, reasons: list[str], *, site: UUID | None, now: datetime
) -> DoseReview | None:
    """One open question for each procedure and kind; said again with what is newly known."""
    reasons = list(dict.fromkeys(reasons))
    there = DoseReview.objects.select_for_update().filter(procedure=procedure, what=what).order_by("-opened_at").first()
    if not reasons or (there and (there.reasons == reasons)):
        return there
    if there and there.state == "open":
        DoseReview.objects.filter(pk=there.pk).update(reasons=reasons)
        there.reasons = reasons
        return there
    row = DoseReview.objects.create(procedure=procedure, site_id=site, what=what, reasons=reasons, opened_at=now)
    announce(row, EventKind.DOSE_REVIEW_ASKED, {"what": what, "reasons": reasons}, now=now, by=READER)
    return row


@dataclass(frozen=True, slots=True)
class SiteMiddle:
    """One site's middle of one kind, against the level that is meant for it."""

    site: Site
    what: str
    unit: str
    middle: Middle | None
    count: int


def middles(sites: Iterable[Site], *, now: datetime) -> list[SiteMiddle]:
    """What a reference level is for: the middle of each site's adults over three months, for CT and for FDG."""
    since, found = now - timedelta(days=MIDDLE_OVER_DAYS), []
    ct = ct_level(HALF_BODY, now.date(), age=CHILD_UNDER.value)
    for site in sites:
        given = Injection.objects.filter(
            was_adult("visit__appointment__referral__patient__date_of_birth", "injected_at", site),
            visit__site=site,
            injected_at__gte=since,
            visit__weight_kg__gt=0,
            dose__net_mbq__isnull=False,
            visit__appointment__procedure__tracer__in=BY_WEIGHT,
        )
        per_kg = list(given.values_list(F("dose__net_mbq") / F("visit__weight_kg"), flat=True))
        level = tracer_level("FDG", now.date(), age=CHILD_UNDER.value, weight_kg=None)
        per_kg_level = level.value.mbq_per_kg if level else None
        fdg = middle_of(per_kg, per_kg_level, least=MIDDLE_OF) if per_kg_level else None
        found.append(SiteMiddle(site, "FDG", "MBq/kg", fdg, len(per_kg)))
        rows = DoseObject.objects.filter(
            was_adult("study__procedure__referral__patient__date_of_birth", "read_at", site),
            study__appointment__site=site, kind="ct", read_at__gte=since, total_dlp_mgy_cm__isnull=False,
        ).values_list("study", "total_dlp_mgy_cm", "study__procedure__tracer")  # fmt: skip
        most: dict[UUID, float] = {}
        for study, dlp, product in rows:
            if region_of(product) == HALF_BODY:
                most[study] = max(most.get(study, 0.0), dlp)
        if ct is not None and ct.value.dlp_mgy_cm is not None:
            middle = middle_of(list(most.values()), ct.value.dlp_mgy_cm, least=MIDDLE_OF)
            found.append(SiteMiddle(site, "CT, half body", "mGy·cm", middle, len(most)))
    return found


def was_adult(born: str, at: str, site: Site) -> LessThanOrEqual:
    """On the site's own day."""
    years_before = Func(
        TruncDate(at, tzinfo=ZoneInfo(site.zone)),
        template=f"(%(expressions)s - interval '{CHILD_UNDER.value} years')::date",
        output_field=DateField(),
    )
    return LessThanOrEqual(F(born), years_before)


@transaction.atomic
def settle_review(review: DoseReview, *, finding: str, now: datetime, by: Actor) -> DoseReview:
    """A physicist or practitioner has looked. Raises Stale when somebody did before."""
    changed = DoseReview.objects.filter(pk=review.pk, state="open").update(
        state="settled", settled_at=now, settled_by_name=by.name, finding=finding.strip()
    )
    if not changed:
        raise Stale(review.pk)
    review.refresh_from_db()
    announce(review, EventKind.DOSE_REVIEWED, {"what": review.what, "finding": finding.strip()}, now=now, by=by)
    return review


def announce(row: DoseReview, kind: EventKind, data: dict[str, object], *, now: datetime, by: Actor) -> None:
    referral = row.procedure.referral
    append(
        kind,
        subjects={
            "dose_review": row.pk,
            "procedure": row.procedure_id,
            "referral": referral.pk,
            "patient": referral.patient_id,
        },
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=referral.provider_id,
        site=row.site_id,
        data=data,
    )
