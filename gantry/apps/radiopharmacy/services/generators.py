"""Generators: eluted, tested each day, released or blocked; a kit labelled with an elution becomes a batch of its own."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import (
    Batch,
    Container,
    Elution,
    Generator,
    GeneratorDay,
    Preparation,
    TracerDelivery,
)
from gantry.apps.radiopharmacy.services import ledger
from gantry.apps.radiopharmacy.services.batches import new_barcode
from gantry.apps.radiopharmacy.services.batches import record as record_batch
from gantry.apps.radiopharmacy.services.bench import Reading
from gantry.apps.radiopharmacy.services.permits import held_mbq, permit_for, terms_of
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.apps.radiopharmacy.services.stock import nuclide_of
from gantry.domain.decay import Assay
from gantry.domain.events import Actor, EventKind
from gantry.domain.generator import (
    DAY,
    DayEvent,
    DayState,
    Eluate,
    Kind,
    alerts,
    eluted_mbq,
    why_blocked,
    why_expired,
    why_not_yet,
)
from gantry.domain.ledger import Way
from gantry.domain.lifecycle import advance
from gantry.domain.permit import why_not_held
from gantry.domain.supply import BatchState
from gantry.reference.generators import ELUTION_YIELD, GENERATORS

FIRST_GROWTH = timedelta(days=1)
"""A new column is in equilibrium when it comes."""


def kind_of(generator: Generator) -> Kind:
    return GENERATORS[generator.kind].value


def install(
    site: Site, *, kind: str, number: str, made_at: datetime, calibrated_mbq: float, calibrated_at: datetime,
    already_happened: bool = False,
) -> Generator:  # fmt: skip
    """A repeat finds the same one. Raises KeyError for a kind that is not in the table, NotDone above the permit."""
    parent = GENERATORS[kind].value.parent
    if not already_happened and not Generator.objects.filter(site=site, number=number.strip()).exists():
        comes_at = max(made_at, calibrated_at)
        on = comes_at.astimezone(ZoneInfo(site.zone)).date()
        held = held_mbq(site, parent, at=comes_at)
        terms = terms_of(permit_for(site, parent.symbol, on))
        if why := list(why_not_held(terms, held_mbq=held, more_mbq=calibrated_mbq, on=on)):
            raise NotDone(why)
    return Generator.objects.get_or_create(
        site=site,
        number=number.strip(),
        defaults={
            "kind": GENERATORS[kind].value.code,
            "made_at": made_at,
            "calibrated_mbq": calibrated_mbq,
            "calibrated_at": calibrated_at,
        },
    )[0]


def retire(generator: Generator, *, at: datetime) -> Generator:
    """Off the site: its parent is held no longer. A repeat changes nothing."""
    Generator.objects.filter(pk=generator.pk, retired_at=None).update(retired_at=at)
    generator.refresh_from_db()
    return generator


def day_of(generator: Generator, at: datetime) -> GeneratorDay:
    on: date = at.astimezone(ZoneInfo(generator.site.zone)).date()
    return GeneratorDay.objects.get_or_create(generator=generator, on=on, defaults={"state": DayState.UNTESTED})[0]


def elutions_of(generator: Generator) -> list[Elution]:
    return list(Elution.objects.filter(day__generator=generator).order_by("at"))


def expected_mbq(generator: Generator, *, at: datetime) -> float:
    """What an elution should give at a moment, by regrowth and the usual yield."""
    before = [one.at for one in elutions_of(generator) if one.at <= at]
    last = max(before) if before else at - FIRST_GROWTH
    parent = Assay(kind_of(generator).parent, generator.calibrated_mbq, generator.calibrated_at)
    return eluted_mbq(kind_of(generator), parent, last_at=last, at=at, efficiency=ELUTION_YIELD.value)


def why_ended(generator: Generator, *, at: datetime) -> list[str]:
    done = elutions_of(generator)
    litres = sum(one.volume_ml for one in done) / 1000
    return list(
        why_expired(kind_of(generator), made_at=generator.made_at, elutions=len(done), litres=litres, at=at)
    )  # fmt: skip


def ready_at(generator: Generator, *, at: datetime) -> datetime | None:
    """When it may be eluted again; None: now."""
    last = max((one.at for one in elutions_of(generator) if one.at <= at), default=None)
    return last + kind_of(generator).wait if last is not None and at - last < kind_of(generator).wait else None


@transaction.atomic
def elute(generator: Generator, reading: Reading, *, now: datetime, by: Actor) -> Elution:
    """Always recorded. One too soon, too large or beyond the generator's life is a breach; nothing of it is given before
    the day's release."""
    day, should = day_of(generator, reading.at), expected_mbq(generator, at=reading.at)
    last = max((one.at for one in elutions_of(generator) if one.at <= reading.at), default=None)
    ended = why_ended(generator, at=reading.at) + list(
        why_not_yet(kind_of(generator), last_at=last, at=reading.at, volume_ml=reading.volume_ml or 0.0)
    )
    data = {"mbq": reading.activity_mbq, "expected_mbq": round(should, 1), "volume_ml": reading.volume_ml or 0.0}
    event = record(day, EventKind.GENERATOR_ELUTED, at=reading.at, now=now, by=by, data=data)
    if ended:
        record(
            day, EventKind.BREACH_RECORDED, at=reading.at, now=now, by=by, data={"act": "elute", "reasons": ended}
        )  # fmt: skip
    return Elution.objects.create(
        day=day, at=reading.at, activity_mbq=reading.activity_mbq, expected_mbq=should,
        volume_ml=reading.volume_ml or 0.0, instrument=reading.instrument, by_name=by.name, event=event.pk,
    )  # fmt: skip


@transaction.atomic
def release_or_block(
    day: GeneratorDay, tests: Sequence[Eluate], *, at: datetime, now: datetime, by: Actor
) -> GeneratorDay:
    """Release, or block, as the limits say; nobody may release what is at its limit."""
    kind, generator = kind_of(day.generator), day.generator
    reasons = list(why_blocked(kind, tests)) + why_ended(generator, at=at)
    step = DayEvent.BLOCK if reasons else DayEvent.RELEASE
    before = DayState(day.state)
    after = advance(DAY, before, step)
    kept = [{"what": one.what, "value": one.value} for one in tests]
    changed = GeneratorDay.objects.filter(pk=day.pk, state=before).update(
        state=after, tests=kept, decided_by=by.name, decided_at=at
    )
    if not changed:
        raise Stale(day.pk)
    day.refresh_from_db()
    record(
        day,
        EventKind.GENERATOR_BLOCKED if reasons else EventKind.GENERATOR_RELEASED,
        at=at,
        now=now,
        by=by,
        data={"reasons": reasons, "alerts": alerts(kind, tests)},
    )
    return day


@transaction.atomic
def prepare(
    elution: Elution,
    reading: Reading,
    *,
    tracer: str,
    kit: str,
    kit_lot: str,
    number: str,
    expires_at: datetime,
    now: datetime,
    by: Actor,
) -> Batch:
    """A kit labelled: a batch in quarantine, whose quality control another person releases and accepts. Raises NotDone."""
    day, generator = elution.day, elution.day.generator
    reasons = []
    if day.state != DayState.RELEASED:
        reasons.append(f"Generator {generator.number} is {day.state} on {day.on:%-d %B %Y}, not released")
    if nuclide_of(tracer) != kind_of(generator).daughter:
        reasons.append(f"{tracer} is not made from {kind_of(generator).daughter.symbol}")
    eluted = Assay(kind_of(generator).daughter, elution.activity_mbq, elution.at)
    used = sum(
        Assay(eluted.nuclide, entry.activity_mbq, entry.at).activity_at(reading.at)
        for made in elution.preparations.all()
        for entry in made.batch.entries.filter(way=Way.ELUTED)
    )
    if reading.activity_mbq > (eluted.activity_at(reading.at) - used) * 1.05:
        reasons.append(f"{reading.activity_mbq:,.0f} MBq is more than is left of the elution")
    if reasons:
        raise NotDone(reasons)
    batch = Batch.objects.create(
        site_id=generator.site_id,
        supplier_id=generator.site.organisation_id,
        number=number.strip(),
        tracer=tracer,
        reference_at=reading.at,
        activity_mbq=reading.activity_mbq,
        volume_ml=reading.volume_ml,
        expires_at=expires_at,
        state=BatchState.RECEIVED,
    )
    TracerDelivery.objects.create(
        batch=batch, received_at=reading.at, received_by=by.name, measured_mbq=reading.activity_mbq,
        measured_at=reading.at, instrument=reading.instrument, expected_mbq=reading.activity_mbq,
    )  # fmt: skip
    vial = Container.objects.create(batch=batch, kind="vial", barcode=new_barcode("V"), volume_ml=reading.volume_ml)
    Preparation.objects.create(
        elution=elution, batch=batch, kit=kit.strip(), kit_lot=kit_lot.strip(), by_name=by.name, at=reading.at
    )
    event = record_batch(
        batch, EventKind.DELIVERY_RECEIVED, at=reading.at, now=now, by=by,
        data={"number": batch.number, "measured_mbq": reading.activity_mbq, "kit": kit.strip(), "kit_lot": kit_lot.strip()},
    )  # fmt: skip
    ledger.post(
        batch, Way.ELUTED, vial.barcode, reading.activity_mbq, at=reading.at, instrument=reading.instrument,
        volume_ml=reading.volume_ml, by=by, event=event,
    )  # fmt: skip
    return batch


def record(
    day: GeneratorDay, kind: EventKind, *, at: datetime, now: datetime, by: Actor, data: dict[str, object]
) -> Event:  # fmt: skip
    return append(
        kind,
        subjects={"generator": day.generator_id, "generator_day": day.pk},
        happened_at=at,
        recorded_at=now,
        by=by,
        site=day.generator.site_id,
        data={"generator": day.generator.number, **data},
    )
