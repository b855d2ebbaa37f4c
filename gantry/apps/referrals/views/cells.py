"""How a referral is said in a line: where it is, what comes next, whose it is."""

from markupsafe import Markup

from gantry.apps.referrals.models import Referral
from gantry.apps.ui.parts import Tag
from gantry.apps.ui.wording import say_nhs_number
from gantry.domain.referral import ReferralState

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
