"""Moves a referral from state to state: lock, compare, ask the lifecycle, save, record."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from gantry.apps.audit.services import Stale, append
from gantry.apps.referrals.models import Authorisation, Referral, ReferralQuestion
from gantry.apps.referrals.services.next_steps import next_step
from gantry.domain.access import Role
from gantry.domain.events import Actor, Cause, EventKind
from gantry.domain.lifecycle import advance
from gantry.domain.referral import KIND, REFERRAL, ReferralEvent, ReferralState

ENDED = frozenset({ReferralState.CLOSED, ReferralState.REJECTED, ReferralState.WITHDRAWN, ReferralState.REFUSED})


def locked(referral: Referral, version: int | None = None) -> Referral:
    """The row as it is now, held until the commit. Raises Stale when the page was drawn from an older one."""
    row = Referral.objects.select_for_update().get(pk=referral.pk)
    if version is not None and row.version != version:
        raise Stale(row.pk)
    return row


def undecided() -> Q:
    """What a practitioner owes a decision: new requests, and whoever was injected and not scanned (invariant 10)."""
    again = Q(state=ReferralState.ACCEPTED.value, next_owner=Role.PRACTITIONER.value)
    return Q(state=ReferralState.TO_VET.value) | again


def waits_again(row: Referral) -> bool:
    """Accepted once, and a practitioner's again: its visit ended after an injection without a whole scan."""
    return row.state == ReferralState.ACCEPTED and row.next_owner == Role.PRACTITIONER


def subjects_of(referral: Referral, **more: UUID) -> dict[str, UUID]:
    return {"referral": referral.pk, "patient": referral.patient_id, **more}


def move(
    row: Referral,
    event: ReferralEvent,
    *,
    now: datetime,
    by: Actor,
    said: str = "",
    until: datetime | None = None,
    cause: Cause | None = None,
    data: Mapping[str, Any] | None = None,
    subjects: Mapping[str, UUID] | None = None,
    kind: EventKind | None = None,
    **columns: object,
) -> Referral:
    """One move of a locked row, with its event. Raises IllegalMove."""
    after = advance(REFERRAL, ReferralState(row.state), event)
    step = next_step(
        after,
        priority=row.priority,
        breach_on=columns.get("breach_on", row.breach_on),
        now=now,
        said=said,
        until=until,
    )
    set_columns(row, state=after.value, closed_at=now if after in ENDED else None, **step.columns(), **columns)
    append(
        kind or KIND[event],
        subjects=subjects_of(row, **(subjects or {})),
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=row.provider_id,
        cause=cause,
        data=data,
    )
    return row


def set_columns(row: Referral, **columns: object) -> None:
    """Write a locked row; whoever drew a page from it before is told so when they save."""
    for name, value in columns.items():
        setattr(row, name, value)
    row.version += 1
    row.save(update_fields=[*columns, "version"])


@transaction.atomic
def withdraw(
    referral: Referral, *, reason: str, version: int | None = None, cause: Cause | None = None, now: datetime, by: Actor
) -> Referral:
    """The referrer takes it back. Whoever holds appointments for it hears of the event and ends them."""
    row = locked(referral, version)
    end_authorisations(row, reason=f"Referral withdrawn: {reason}", now=now, by=by)
    drop_questions(row, now=now)
    return move(row, ReferralEvent.WITHDRAW, now=now, by=by, cause=cause, data={"reason": reason})


@transaction.atomic
def put_on_hold(
    referral: Referral,
    *,
    reason: str,
    until: datetime,
    version: int | None = None,
    cause: Cause | None = None,
    now: datetime,
    by: Actor,
) -> Referral:
    """Until a time, on which somebody looks again."""
    row = locked(referral, version)
    return move(
        row,
        ReferralEvent.HOLD,
        now=now,
        by=by,
        said=f"Look again: {reason}",
        until=until,
        cause=cause,
        data={"reason": reason, "until": until},
    )


@transaction.atomic
def resume(referral: Referral, *, version: int | None = None, now: datetime, by: Actor) -> Referral:
    return move(locked(referral, version), ReferralEvent.RESUME, now=now, by=by)


@transaction.atomic
def return_to_vetting(
    referral: Referral, reason: str, *, version: int | None = None, cause: Cause | None = None, now: datetime, by: Actor
) -> Referral:
    """Site, tracer, facts or validity changed: nothing authorised before stands until somebody looks again."""
    row = locked(referral, version)
    end_authorisations(row, reason=reason, now=now, by=by)
    return move(
        row,
        ReferralEvent.RETURN_TO_VETTING,
        now=now,
        by=by,
        said=f"Decide again: {reason}",
        cause=cause,
        data={"reason": reason},
    )


@transaction.atomic
def close(referral: Referral, *, reason: str = "", version: int | None = None, now: datetime, by: Actor) -> Referral:
    """Done, or taken over by somebody else."""
    return move(locked(referral, version), ReferralEvent.CLOSE, now=now, by=by, data={"reason": reason})


@transaction.atomic
def reopen(referral: Referral, *, reason: str, version: int | None = None, now: datetime, by: Actor) -> Referral:
    row = locked(referral, version)
    return move(row, ReferralEvent.REOPEN, now=now, by=by, said=f"Decide again: {reason}", data={"reason": reason})


def end_authorisations(
    row: Referral, *, reason: str, now: datetime, by: Actor, lapsed: bool = False, only: Authorisation | None = None
) -> list[Authorisation]:
    """Withdraw (or lapse) what stands, one event each."""
    standing = Authorisation.objects.select_for_update().filter(procedure__referral=row, state="valid")
    ended = []
    for authorisation in standing.filter(pk=only.pk) if only else standing:
        authorisation.state = "lapsed" if lapsed else "withdrawn"
        authorisation.ended_at, authorisation.ended_reason = now, reason
        authorisation.save(update_fields=["state", "ended_at", "ended_reason"])
        append(
            EventKind.AUTHORISATION_LAPSED if lapsed else EventKind.AUTHORISATION_WITHDRAWN,
            subjects=subjects_of(row, procedure=authorisation.procedure_id, authorisation=authorisation.pk),
            happened_at=now,
            recorded_at=now,
            by=by,
            organisation=row.provider_id,
            data={"reason": reason},
        )
        ended.append(authorisation)
    return ended


def drop_questions(row: Referral, *, now: datetime) -> None:
    """A referral that has ended asks nothing of anybody."""
    ReferralQuestion.objects.filter(referral=row, answered_at=None).update(
        answered_at=now, answer="No longer needed: the referral ended"
    )
