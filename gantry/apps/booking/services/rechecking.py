"""Asks again, the day before, whether each exposure may go ahead where and when it is booked."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from gantry.apps.booking.models import Appointment
from gantry.apps.referrals.services import why_not_covered_now
from gantry.apps.referrals.services.covering import lapse
from gantry.domain.appointment import AppointmentState

LOOK_AHEAD = timedelta(days=4)
"""Over a weekend and a bank holiday: the last working day must see the next one."""
DUE = (AppointmentState.BOOKED.value, AppointmentState.TOLD.value)


def recheck_authorisations(now: datetime) -> dict[Appointment, list[str]]:
    """Those of the next days that are no longer covered, with the reasons; each referral goes back to be decided.

    The slot stays: it is a person's promise until somebody moves or cancels it, and it stands on the list to be moved.
    """
    found = {}
    soon = Appointment.objects.filter(state__in=DUE, arrival_at__gt=now, arrival_at__lt=now + LOOK_AHEAD)
    for row in soon.select_related("site__organisation", "authorisation__procedure__referral", "referral"):
        if not is_next_day(row, now):
            continue
        on = row.arrival_at.astimezone(ZoneInfo(row.site.zone)).date()
        if reasons := why_not_covered_now(row.authorisation, site=row.site, on=on):
            found[row] = reasons
            send_back(row, reasons, now=now)
    return found


def is_next_day(appointment: Appointment, now: datetime) -> bool:
    """Today's or the next working day's, and every day up to it."""
    zone = ZoneInfo(appointment.site.zone)
    last = next_working_day(now.astimezone(zone).date())
    return appointment.arrival_at.astimezone(zone).date() <= last


def next_working_day(day: date) -> date:
    day += timedelta(days=1)
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return day


def send_back(appointment: Appointment, reasons: list[str], *, now: datetime) -> None:
    day = appointment.arrival_at.astimezone(ZoneInfo(appointment.site.zone))
    lapse(appointment.authorisation, f"Booked for {day:%-d %B}: {'; '.join(reasons)}", now=now)
