"""Every check of the README in its order, and which of them something of ours answers to."""

from gantry.gateways.conformance import dicom, dose, fhir, hl7
from gantry.gateways.conformance.judging import Check

LATER = "belongs to a later issue"
PROCUREMENT = ("releases compiled", "red flags", "auctions solved", "malformed lines reported")
QUEUEING = ("M/M/5", "stroke-unit capacity", "routing that sums to 1.01")

BOOKING = "fhir/**/process_message/request/Booking_POST.json"

CHECKS: tuple[Check, ...] = (
    Check("F1", "a booking message, once", (BOOKING,), fhir.f1),
    Check("F2", "free slots with all that they point at", (BOOKING, "fhir/**/slots/GET-success.json"), fhir.f2),
    Check("F3", "resources in and out again", ("fhir/**/*.json", "fhir/**/*.xml"), fhir.f3),
    Check("F4", "refusals as the standard words them", (BOOKING, "fhir/**/OperationOutcome/**/*.json"), fhir.f4),
    Check("F5", "wrong numbers and malformed bodies", (BOOKING,), fhir.f5),
    Check("F6", "$validate beside the reference validator", ("fhir/fhir-validator-cases/EXPECTED.json",), fhir.f6),
    Check("H1", "every file over MLLP, one acknowledgement a message", ("hl7v2/**/*",), hl7.h1),
    Check("H2", "the general order waits for its referrer", ("hl7v2/**/ORM_O01-GeneralOrder.hl7",), hl7.h2),
    Check("H3", "a merge leaves one patient", ("hl7v2/**/ADT_A40*",), later=LATER),
    Check("H4", "messages cut anywhere", ("hl7v2/**/*",), hl7.h4),
    Check("D1", "a radiopharmaceutical dose report", ("dicom/**/NM-RRDSR*",), dose.d1),
    Check("D2", "uptake time and SUV factor", ("dicom/**/NM-PetIm*",), dose.d2),
    Check("D3", "two injection times are shown, not averaged", ("dicom/**/NM-RRDSR*",), dose.d3),
    Check("D4", "CT dose is not summed twice", ("dicom/**/CT-RDSR*",), dose.d4),
    Check("D5", "a worklist loaded and asked", ("dicom/**/Database/*.dump", "dicom/**/Queries/*.dump"), dicom.d5),
    Check("D6", "malformed objects sent by C-STORE", ("dicom/malformed-*/*",), dicom.d6),
    Check("G1", "where to put sites in the South West", ("geography/**/*",), later=LATER),
    Check("G2", "a place without a road", ("geography/**/*",), later=LATER),
    Check("G3", "all England in time", ("geography/**/*",), later=LATER),
    Check("S1", "PET-CT a year in England", ("statistics/**/*",), later=LATER),
    Check("S2", "one code in several regions", ("statistics/**/*",), later=LATER),
    *(Check(f"P{n}", said, ("procurement/**/*",), later=LATER) for n, said in enumerate(PROCUREMENT, 1)),
    *(Check(f"Q{n}", said, ("queueing/**/*",), later=LATER) for n, said in enumerate(QUEUEING, 1)),
    Check("C1", "p-median and facility location", ("scheduling/**/*",), later=LATER),
)


def chosen(only: tuple[str, ...]) -> tuple[Check, ...]:
    """The checks named, in the README's order; raises KeyError with a name that is none."""
    wanted = {name.strip().upper() for name in only if name.strip()}
    if unknown := wanted - {check.name for check in CHECKS}:
        raise KeyError(", ".join(sorted(unknown)))
    return tuple(check for check in CHECKS if not wanted or check.name in wanted)
