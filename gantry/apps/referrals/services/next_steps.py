"""Decides who does what next to a referral, and by when: nobody waits unseen."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.utils import timezone

from gantry.apps.referrals.models import Referral
from gantry.domain.access import Role
from gantry.domain.referral import ReferralState

URGENT = 2
DAY_ENDS = time(17, 0)
WORKING_DAYS = {
    ReferralState.RECEIVED: (1, 1),
    ReferralState.AWAITING_REFERRER: (2, 1),
    ReferralState.TO_VET: (2, 1),
    ReferralState.ACCEPTED: (2, 1),
    ReferralState.REDIRECTED: (1, 1),
}
"""Working days allowed, routine and urgent. Ours, until the networks agree theirs (specification 7.1)."""

OWNER = {
    ReferralState.RECEIVED: Role.BOOKING_COORDINATOR,
    ReferralState.AWAITING_REFERRER: Role.REFERRER,
    ReferralState.TO_VET: Role.PRACTITIONER,
    ReferralState.ACCEPTED: Role.BOOKING_COORDINATOR,
    ReferralState.ON_HOLD: Role.BOOKING_COORDINATOR,
    ReferralState.REDIRECTED: Role.BOOKING_COORDINATOR,
}
SAID = {
    ReferralState.RECEIVED: "Check what was sent",
    ReferralState.AWAITING_REFERRER: "Answer the questions",
    ReferralState.TO_VET: "Decide whether to scan",
    ReferralState.ACCEPTED: "Offer dates, times and sites",
    ReferralState.ON_HOLD: "Look again",
    ReferralState.REDIRECTED: "Pass on, until somebody accepts it",
}
LONGEST = 120


@dataclass(frozen=True, slots=True)
class NextStep:
    said: str = ""
    owner: str = ""
    due_at: datetime | None = None

    def columns(self) -> dict[str, object]:
        return {"next_step": self.said[:LONGEST], "next_owner": self.owner, "due_at": self.due_at}


def next_step(
    state: ReferralState,
    *,
    priority: int,
    breach_on: date | None,
    now: datetime,
    said: str = "",
    until: datetime | None = None,
) -> NextStep:
    """What this state asks for; nothing once nobody here owes the patient anything."""
    if state not in OWNER:
        return NextStep()
    if until is None:
        days = WORKING_DAYS.get(state, (1, 1))[priority >= URGENT]
        until = end_of_day(add_working_days(timezone.localdate(now), days))
        if breach_on and state is not ReferralState.ON_HOLD:
            until = max(now, min(until, end_of_day(breach_on)))
    return NextStep(said or SAID[state], OWNER[state].value, until)


def add_working_days(day: date, days: int) -> date:
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day


def end_of_day(day: date) -> datetime:
    return datetime.combine(day, DAY_ENDS, tzinfo=timezone.get_current_timezone())


def point_to(referral: Referral, *, said: str, owner: Role, due_at: datetime | None) -> None:
    """The rooms above say what an accepted referral waits for now; its state is unchanged, so there is no event."""
    step = NextStep(said, owner.value, due_at)
    Referral.objects.filter(pk=referral.pk, state=ReferralState.ACCEPTED).update(**step.columns())
