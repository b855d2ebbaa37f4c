"""What a referral's patient has been injected with so far: whoever authorises another injection sees the sum."""

from datetime import date

from gantry.apps.audit.models import Event
from gantry.apps.referrals.models import Referral
from gantry.domain.activity import effective_dose_msv
from gantry.domain.ct_dose import effective_dose_msv as ct_msv
from gantry.domain.events import EventKind
from gantry.domain.injecting import CtHad, Given
from gantry.domain.scan import age_in_years
from gantry.reference.effective_dose import coefficient
from gantry.reference.levels import MSV_PER_MGY_CM
from gantry.reference.protocols import product_of
from gantry.reference.schemes import CHILD_UNDER


def given_to(referral: Referral) -> list[Given]:
    """Every injection in order, net of its residual where one was measured."""
    kinds = [EventKind.DOSE_INJECTED.value, EventKind.RESIDUAL_ASSAYED.value]
    events = Event.objects.filter(kind__in=kinds, subjects__contains=[referral.pk]).order_by("happened_at", "pk")
    net: dict[str, float] = {}
    injected: list[Event] = []
    for event in events:
        dose = event.about.get("dose", str(event.pk))
        if event.kind == EventKind.DOSE_INJECTED:
            injected.append(event)
            net.setdefault(dose, float(event.data.get("net_mbq") or 0.0))
        else:
            net[dose] = float(event.data.get("net_mbq") or 0.0)
    born = referral.patient.date_of_birth
    found = []
    for event in injected:
        mbq = net[event.about.get("dose", str(event.pk))]
        age = age_in_years(born, event.happened_at.date()) if born else None
        msv = msv_of(str(event.data.get("tracer") or ""), mbq, age, event.happened_at.date())
        step, visit = str(event.data.get("step") or ""), event.about.get("visit", "")
        found.append(Given(event.happened_at, mbq, msv, step, visit))
    return found


def msv_of(tracer: str, mbq: float, age: int | None, on: date) -> float | None:
    """Effective dose of the tracer alone; None where no coefficient is known for it at this age."""
    known = coefficient(tracer, age, on) or coefficient(product_of(tracer), age, on)
    return effective_dose_msv(mbq, known.value) if known else None


def ct_had(referral: Referral) -> list[CtHad]:
    """What each study's CT gave, as its reports were read; of images that were taken back nothing is counted."""
    kinds = [EventKind.DOSE_RECORDED.value, EventKind.IMAGES_WITHDRAWN.value]
    events = Event.objects.filter(kind__in=kinds, subjects__contains=[referral.pk]).order_by("recorded_at", "pk")
    born = referral.patient.date_of_birth
    found: dict[str, CtHad] = {}
    for event in events:
        study, dlp = event.about.get("study", ""), event.data.get("dlp_mgy_cm")
        if event.kind == EventKind.IMAGES_WITHDRAWN:
            found.pop(study, None)
        elif study and dlp is not None:
            age = age_in_years(born, event.happened_at.date()) if born else None
            factor = MSV_PER_MGY_CM.get(str(event.data.get("region") or ""))
            grown = factor is not None and age is not None and age >= CHILD_UNDER.value
            found[study] = CtHad(float(dlp), ct_msv(float(dlp), factor.value) if factor and grown else None)
    return list(found.values())
