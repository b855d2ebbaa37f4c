"""Decides how a copy of an image tells the right person, and what it told before (PS3.3 C.12.1, Original Attributes)."""

from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import dcmread
from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset

UNICODE = "ISO_IR 192"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the images are of, and by which request. An empty value leaves what the file says."""

    patient_name: str
    patient_id: str
    patient_id_issuer: str
    birth_date: str = ""
    sex: str = ""
    accession_number: str = ""

    def attributes(self) -> dict[str, str]:
        said = {
            "PatientName": self.patient_name,
            "PatientID": self.patient_id,
            "IssuerOfPatientID": self.patient_id_issuer,
            "PatientBirthDate": self.birth_date,
            "PatientSex": self.sex,
            "AccessionNumber": self.accession_number,
        }
        return {keyword: value for keyword, value in said.items() if value}


def rewritten(source: Path, target: Path, identity: Identity, *, at: datetime, system: str) -> Path:
    """A copy at `target` with this identity; pixels, UIDs and all else stay as they were."""
    ds = dcmread(source)
    put_identity(ds, identity, at=at, system=system)
    ds.save_as(target, enforce_file_format=True)
    return target


def put_identity(ds: Dataset, identity: Identity, *, at: datetime, system: str) -> None:
    changes = {k: v for k, v in identity.attributes().items() if str(ds.get(k) or "") != v}
    if not changes:
        return
    if not fits(" ".join(changes.values()), ds):
        # The whole data set is read in its old characters before it is written in the new ones.
        ds.decode()
        ds.SpecificCharacterSet = UNICODE
    before = Dataset()
    for keyword in changes:
        if keyword in ds:
            before.add(deepcopy(ds[keyword]))
        else:
            setattr(before, keyword, "")
    original = Dataset()
    original.ModifiedAttributesSequence = [before]
    original.AttributeModificationDateTime = f"{at:%Y%m%d%H%M%S.%f%z}"
    original.ModifyingSystem = system
    original.SourceOfPreviousValues = ""
    original.ReasonForTheAttributeModification = "CORRECT"
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.OriginalAttributesSequence = [*(ds.get("OriginalAttributesSequence") or []), original]


def fits(text: str, ds: Dataset) -> bool:
    """Whether the file's own character set can write it."""
    declared = ds.get("SpecificCharacterSet") or "ISO_IR 6"
    try:
        encodings = convert_encodings(declared if isinstance(declared, str) else list(declared))
        text.encode(encodings[0] if declared != "ISO_IR 6" else "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
