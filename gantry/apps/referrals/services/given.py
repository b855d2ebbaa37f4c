"""What a referral's patient has been injected with so far: whoever authorises another injection sees the sum."""

from gantry.apps.audit.models import Event
from gantry.apps.referrals.models import Referral
from gantry.domain.activity import coefficient_at_age, effective_dose_msv
from gantry.domain.events import EventKind
from gantry.domain.injecting import Given
from gantry.domain.scan import age_in_years
from gantry.reference.protocols import product_of
from gantry.reference.schemes import FDG_MSV_PER_MBQ
from gantry.reference.tracers import TRACERS


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
        msv = msv_of(str(event.data.get("tracer") or ""), mbq, age)
        step, visit = str(event.data.get("step") or ""), event.about.get("visit", "")
        found.append(Given(event.happened_at, mbq, msv, step, visit))
    return found


def msv_of(tracer: str, mbq: float, age: int | None) -> float:
    """Effective dose of the tracer alone, by age where it has a table; nothing is guessed for a tracer not on file."""
    fact = TRACERS.get(product_of(tracer)) or TRACERS.get(tracer)
    if fact is None:
        return 0.0
    product = fact.value
    if product.is_fdg and age is not None and age < FDG_MSV_PER_MBQ.value[-1][0]:
        return effective_dose_msv(mbq, coefficient_at_age(FDG_MSV_PER_MBQ.value, age))
    return effective_dose_msv(mbq, product.msv_per_mbq)
