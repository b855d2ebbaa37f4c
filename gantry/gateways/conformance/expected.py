"""The values that the README gives, in one table; a folder's own EXPECTED files come before them."""

import json
from pathlib import Path
from typing import Any

README: dict[str, Any] = {
    "H1": {"accepted": ["ORM^O01", "OMG^O19", "OMI^O23"]},
    "H2": {
        "order": "ORM_O01-GeneralOrder.hl7",
        "type": "OMI^O23",
        "state": "awaiting_referrer",
        "gaps": ["nhs_number", "nhs_number_status", "tracer_requested", "indication_code", "diabetes"],
    },
    "H4": {"cuts": 500, "seed": 20260330},
    "D1": {
        "nuclide": "F-18",
        "agent": "C-B1031",
        "mbq": 394.0,
        "started": "2022-02-24T10:40:30",
        "half_life_s": 6586.2,
        "msv": 7.486,
    },
    "D2": {
        "files": {
            "NM-PetIm-Siemens.dcm": {"uptake_s": 4050, "factor": 0.0004275692},
            "NM-PetIm-GE.dcm": {"uptake_s": 3055, "factor": 0.0004605763},
        },
        "description": "Teilk\u00f6rper-PET",
    },
    "D3": {"study": "1.2.840.113619.6.95.31.0.3.4.1.4400.13.8620675", "seconds": 480},
    "D4": {
        "dlp": {
            "CT-RDSR-Siemens-Multi-1.dcm": 77.27,
            "CT-RDSR-Siemens-Multi-2.dcm": 77.27,
            "CT-RDSR-Toshiba_DoseCheck.dcm": 502.40,
            "CT-RDSR-GEPixelMed.dcm": 586.34,
            "CT-RDSR-Philips_BigBore4DCT.dcm": 541.1,
            "CT-RDSR-Siemens_Flash-TAP-SS.dcm": 724.52,
            "CT-ESR-GE_Optima.dcm": 415.82,
        },
        "alerts": ["CT-RDSR-Toshiba_DoseCheck.dcm"],
    },
    "D5": {"items": 10, "answers": {"0": 10, "1": 10, "2": 0, "4": 0, "6": 0, "8": 0}},
    "D6": {"shared_patient_id": "COMMON", "people": 3, "memory_mib": 64},
    "F1": {"clock": "2021-10-05T09:00:00+00:00"},
    "F2": {
        "entries": {
            "Slot": 3,
            "Schedule": 1,
            "HealthcareService": 1,
            "Practitioner": 1,
            "PractitionerRole": 1,
            "Location": 1,
        }
    },
    "F4": {"distinct": 8},
    # 30 of 39 and 15 of 20; where a folder has other cases, the same share of them.
    "F6": {
        "refused": [30, 39],
        "accepted": [15, 20],
        "reasons": {
            "allergy.json": "terminology: the display of a code",
            "sp-diff-type.json": "another definition: what the parameter is derived from",
            "parameters-reference-bad.json": "profile: what an endpoint's address must be",
            "observation-bad-profile.xml": "profile: its snapshot must be made",
            "target-ref-profile-empty.json": "profile",
            "nested-questionnaire-nested-valueset.json": "terminology: answers against a contained value set",
            "patient-with-turvakielto.json": "terminology: a Finnish code",
            "pat-security-bad-string.json": "policy: its twin with the same words is to be accepted",
        },
    },
}


def expected(data: Path, check: str) -> dict[str, Any]:
    """README's values of a check, with those in the folder's own EXPECTED*.json put over them."""
    values = dict(README.get(check, {}))
    for path in sorted(data.glob("EXPECTED*.json")):
        own = json.loads(path.read_text(encoding="utf-8")).get(check)
        if isinstance(own, dict):
            values |= own
    return values
