"""The measures in force, built from the causes mapped on a day. The definitions are ours: no national code list was found."""

from datetime import date

from gantry.domain.events import CauseClass, CauseCode, EventKind, Initiator
from gantry.domain.measures import All, Exists, First, FirstDate, Measure, Not, Pick, Share, Some, Unit, Wait
from gantry.reference.causes import causes_on

K = EventKind
SPECIFICATION = "NHS England service specification 2266, section 6.2; the definition is ours"
TOLD = Pick(frozenset({K.PATIENT_TOLD}), key="nhs", value="true")
TOLD_AT = First(TOLD)
TOLD_FOR = FirstDate(TOLD, "for")
ENDINGS = frozenset(
    {
        K.APPOINTMENT_CANCELLED,
        K.APPOINTMENT_MOVED,
        K.PATIENT_TURNED_AWAY,
        K.VISIT_ABANDONED,
        K.SCAN_REPEATED,
        K.ACQUISITION_DISCONTINUED,
    }
)
DIAGNOSTIC_IMAGES = Pick(frozenset({K.IMAGES_CHECKED}), key="acceptable", value="true")
NEVER_SCANNED = frozenset(
    {K.REFERRAL_REJECTED, K.REFERRAL_WITHDRAWN, K.REFERRAL_CLOSED, K.REFERRAL_REDIRECTED, K.REFERRAL_REFUSED}
)


def isotope_and_equipment(on: date) -> frozenset[CauseCode]:
    wanted = {CauseClass.ISOTOPE, CauseClass.EQUIPMENT}
    return frozenset(code for code, facts in causes_on(on).items() if facts.cause_class in wanted)


def non_clinical(on: date) -> frozenset[CauseCode]:
    return frozenset(code for code, facts in causes_on(on).items() if facts.nhs_reason == "02")


def lost_to_isotope_or_equipment(on: date) -> Share:
    return Share(
        code="M1",
        title="Scans not completed because of isotope or equipment failure",
        definition=(
            "Of NHS scans that a patient was told a date for: those with no diagnostic images by the first date told, "
            "that ended or moved because of the isotope or the equipment, whatever day that was known"
        ),
        source=SPECIFICATION,
        dated=TOLD_FOR,
        counts=Exists(TOLD),
        meets=All(
            (
                Exists(Pick(ENDINGS, causes=isotope_and_equipment(on)), after=TOLD_AT),
                Not(Exists(DIAGNOSTIC_IMAGES, by=TOLD_FOR)),
            )
        ),
    )


def cancelled_for_non_clinical_reasons(on: date) -> Share:
    ended = Pick(
        frozenset({K.APPOINTMENT_CANCELLED, K.APPOINTMENT_MOVED, K.PATIENT_TURNED_AWAY}),
        causes=non_clinical(on),
        initiators=frozenset({Initiator.PROVIDER, Initiator.REFERRER, Initiator.SUPPLIER}),
    )
    return Share(
        code="M2",
        title="Scans cancelled for non-clinical reasons",
        definition=(
            "Of NHS scans that a patient was told a date for: those ended or moved before the injection, by the provider "
            "or the referrer, for a non-clinical cause. A move by the provider counts; the patient's own does not"
        ),
        source=SPECIFICATION,
        dated=TOLD_FOR,
        counts=Exists(TOLD),
        meets=Exists(ended, after=TOLD_AT, before=First(Pick(frozenset({K.DOSE_INJECTED})))),
    )


def overlap(on: date) -> Share:
    one, two = lost_to_isotope_or_equipment(on), cancelled_for_non_clinical_reasons(on)
    return Share(
        code="M1M2",
        title="Scans counted in both",
        definition="Scans that count in M1 and in M2, shown once so that the two can be read with and without it",
        source=SPECIFICATION,
        dated=TOLD_FOR,
        counts=Exists(TOLD),
        meets=All((one.meets, two.meets)),
    )


REFERRAL_TO_SCAN = Wait(
    code="T1",
    title="Referral to scan",
    definition="From the referral's arrival to the end of its first completed scan",
    source="Specification 2266, section 7.1 (the referrer's timescale); the definition is ours",
    start=First(Pick(frozenset({K.REFERRAL_RECEIVED}))),
    end=First(Pick(frozenset({K.ACQUISITION_COMPLETED}))),
    ended_early=Exists(Pick(NEVER_SCANNED)),
    unit=Unit.REFERRAL,
)
SCAN_TO_REPORT = Wait(
    code="T2",
    title="Scan to report",
    definition="From the end of the first completed scan to the first verified report",
    source="NHS England imaging reporting turnaround times; the definition is ours",
    start=First(Pick(frozenset({K.ACQUISITION_COMPLETED}))),
    end=First(Pick(frozenset({K.REPORT_VERIFIED}))),
    ended_early=Some((Exists(Pick(frozenset({K.REPORT_ENTERED_IN_ERROR}))),)),
    unit=Unit.REFERRAL,
)


def measures_on(on: date) -> dict[str, Measure]:
    """Every measure by its code, under the cause mapping of that day."""
    found: tuple[Measure, ...] = (
        lost_to_isotope_or_equipment(on),
        cancelled_for_non_clinical_reasons(on),
        overlap(on),
        REFERRAL_TO_SCAN,
        SCAN_TO_REPORT,
    )
    return {measure.code: measure for measure in found}
