"""What a scanned patient waits for next: a report, then somebody who reads it and acts; then the referral is done."""

from uuid import UUID

from gantry.apps.audit.models import Event
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Referral
from gantry.apps.reporting.models import Report
from gantry.domain.access import Role
from gantry.domain.events import system
from gantry.domain.referral import ReferralState
from gantry.reference.follow_up import act_within, report_within

NO_IMAGES = "Find this person's images: those that were here are another's"


def _referral(event: Event) -> Referral | None:
    key = event.about.get("referral")
    return Referral.objects.filter(pk=UUID(key), state=ReferralState.ACCEPTED).first() if key else None


def scanned(event: Event) -> None:
    """Subscriber to `acquisition_completed`: the reporter owns the next step."""
    referral = _referral(event)
    if referral is not None:
        due = event.happened_at + report_within(event.happened_at.date())
        referrals.point_to(referral, said="Check the images and report the scan", owner=Role.REPORTER, due_at=due)


def issued(event: Event) -> None:
    """Subscriber to `report_verified` and `report_amended`: the referrer owns the next step."""
    referral = _referral(event)
    if referral is not None:
        due = event.happened_at + act_within(event.happened_at.date())
        referrals.point_to(referral, said="Read the report and say what was done", owner=Role.REFERRER, due_at=due)


def taken_back(event: Event) -> None:
    """Subscriber to `images_withdrawn`: somebody looks today for what was written from them, or for the right images."""
    referral = _referral(event)
    if referral is None:
        return
    issued_from = Report.objects.filter(study=event.about["study"], versions__isnull=False).exists()
    said = "Withdraw or amend the report: its images were another person's" if issued_from else NO_IMAGES
    referrals.point_to(referral, said=said, owner=Role.REPORTER, due_at=event.recorded_at)


def acted_on(event: Event) -> None:
    """Subscriber to `report_acted_on`: when the one who asked has acted on every report, the referral is done."""
    referral = _referral(event)
    if referral is None:
        return
    owed = referral.procedures.exclude(report__versions__dispatches__acted_at__isnull=False)
    if not owed.exists():
        referrals.close(
            referral, reason="Report acted on", now=event.recorded_at, by=system("reports", referral.provider_id)
        )
