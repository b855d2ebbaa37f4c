"""Says where the emulated peers listen: on loopback, so that nothing of a demonstration leaves the machine."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HospitalAddress:
    """One emulated hospital speaks for every referrer: its engine takes results, its PACS takes images."""

    host: str = "127.0.0.1"
    mllp_port: int = int(os.environ.get("GANTRY_EMULATED_MLLP_PORT", "2576"))
    dicom_port: int = int(os.environ.get("GANTRY_EMULATED_PACS_PORT", "11113"))
    ae_title: str = "HOSPITALPACS"


HOSPITAL = HospitalAddress()
