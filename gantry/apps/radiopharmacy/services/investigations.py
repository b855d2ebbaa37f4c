"""Differences beyond uncertainty: asked about once, owned by somebody, found out, closed by name; the overdue ones first."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import Batch, Investigation, LedgerEntry
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.apps.radiopharmacy.services.stock import nuclide_of
from gantry.domain import ledger
from gantry.domain.access import Role, Scope
from gantry.domain.events import Actor, EventKind
from gantry.domain.investigation import (
    IN_WORDS,
    INVESTIGATION,
    Found,
    State,
    Step,
    due_at,
    why_not_closed,
    why_not_concluded,
)
from gantry.domain.lifecycle import advance
from gantry.reference.hot_lab import INVESTIGATE_WITHIN

OWNED_BY = Role.RADIOPHARMACIST
"""Until a person takes it."""


def ask(batch: Batch, container: str, asked: ledger.Investigation, *, now: datetime, by: Actor) -> Event | None:
    """Called in the transaction of the act that showed the difference. None: the same entries have been asked about.

    One container has one open question; a new reading is put to it, and a finding that it does not bear out is taken back.
    """
    mine = Investigation.objects.select_for_update().filter(batch=batch, container=container)
    named = [UUID(key) for key in asked.entries]
    row = mine.filter(closed_at=None).first()
    if any(set(named) <= set(before.entries) for before in (mine if row is None else [row])):
        return None
    facts = {
        "at": asked.at,
        "difference_mbq": asked.difference_mbq,
        "uncertainty_mbq": asked.uncertainty_mbq,
        "entries": named,
    }
    if row is None:
        nuclide = nuclide_of(batch.tracer)
        row = Investigation.objects.create(
            site_id=batch.site_id,
            batch=batch,
            container=container,
            nuclide=nuclide.symbol,
            state=State.OPEN,
            opened_at=now,
            due_at=due_at(nuclide, now, INVESTIGATE_WITHIN.value),
            owner_role=OWNED_BY,
            **facts,
        )
    else:
        move(row, Step.ASK_AGAIN, **facts)
    data = {
        "said": str(asked),
        "container": container,
        "difference_mbq": asked.difference_mbq,
        "uncertainty_mbq": asked.uncertainty_mbq,
        "entries": list(asked.entries),
    }
    return record(row, EventKind.BALANCE_QUERIED, at=asked.at, now=now, by=by, data=data)


@transaction.atomic
def take(row: Investigation, *, now: datetime, by: Actor) -> Investigation:
    """It is this person's now. Somebody else may take it over."""
    move(row, Step.TAKE, owner_id=by.person, owner_name=by.name)
    record(row, EventKind.INVESTIGATION_TAKEN, at=now, now=now, by=by, data={"container": row.container})
    return row


@transaction.atomic
def conclude(
    row: Investigation, *, found: Found | None, finding: str, entry: UUID | None = None, now: datetime, by: Actor
) -> Investigation:
    """What it was, and how that is known. Raises NotDone for what is no finding, and for anybody but its owner."""
    named = tuple(str(key) for key in row.entries)
    reasons = list(why_not_concluded(found, finding, entry=str(entry or ""), named=named))
    if row.state == State.OPEN:
        reasons.insert(0, "Take it first: a question has an owner before it has an answer")
    elif row.owner_name != by.name:
        reasons.append(f"{row.owner_name} has it: take it over first")
    if reasons or found is None:
        raise NotDone(reasons)
    move(
        row, Step.CONCLUDE, found=found, finding=finding.strip(), entry=entry, concluded_by=by.name, concluded_at=now
    )  # fmt: skip
    data = {"container": row.container, "found": IN_WORDS[found], "finding": finding.strip()}
    record(row, EventKind.INVESTIGATION_CONCLUDED, at=now, now=now, by=by, data=data)
    return row


@transaction.atomic
def close(row: Investigation, *, now: datetime, by: Actor) -> Investigation:
    """The end, under a name. Raises NotDone for whoever made the slip, IllegalMove before there is a finding."""
    advance(INVESTIGATION, State(row.state), Step.CLOSE)
    wrote = LedgerEntry.objects.filter(pk=row.entry).values_list("by_name", flat=True).first() or ""
    if why := list(why_not_closed(Found(row.found), concluded_by=row.concluded_by, wrote=wrote, closing=by.name)):
        raise NotDone(why)
    move(row, Step.CLOSE, closed_by=by.name, closed_at=now)
    data = {"container": row.container, "found": IN_WORDS[Found(row.found)], "difference_mbq": row.difference_mbq}
    record(row, EventKind.INVESTIGATION_CLOSED, at=now, now=now, by=by, data=data)
    return row


def named_entries(row: Investigation) -> list[LedgerEntry]:
    """In the order of the question: the largest first."""
    found = {entry.pk: entry for entry in LedgerEntry.objects.filter(pk__in=row.entries)}
    return [found[key] for key in row.entries if key in found]


def still_open(scope: Scope, *, site: Site | None = None) -> QuerySet[Investigation]:
    """What waits for an end, the soonest due first."""
    rows = Investigation.objects.for_user(scope).filter(closed_at=None)
    if site is not None:
        rows = rows.filter(site=site)
    return rows.select_related("site", "batch").order_by("due_at", "pk")


def open_first(scope: Scope, site: Site) -> QuerySet[Investigation]:
    """All of a site: those that wait by their time, then the closed ones, newest first."""
    rows = Investigation.objects.for_user(scope).filter(site=site).select_related("batch")
    return rows.order_by(F("closed_at").desc(nulls_first=True), "due_at", "pk")


def of_batch(batch: Batch) -> Sequence[Investigation]:
    return list(Investigation.objects.filter(batch=batch).order_by("-opened_at"))


def move(row: Investigation, step: Step, **columns: object) -> None:
    """Compare and set. Raises IllegalMove, or Stale when somebody moved it first."""
    before = State(row.state)
    after = advance(INVESTIGATION, before, step)
    if not Investigation.objects.filter(pk=row.pk, state=before).update(state=after, **columns):
        raise Stale(row.pk)
    row.refresh_from_db()


def record(
    row: Investigation, kind: EventKind, *, at: datetime, now: datetime, by: Actor, data: dict[str, object]
) -> Event:  # fmt: skip
    return append(
        kind,
        subjects={"investigation": row.pk, "batch": row.batch_id},
        happened_at=at,
        recorded_at=now,
        by=by,
        site=row.site_id,
        data=data,
    )
