"""Orders that the project wrote: synthetic people, true check digits."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 3, 30, 9, 0, tzinfo=UTC)
NHS_NUMBER = "9990000018"


def segment(name: str, fields: dict[int, str]) -> str:
    """Fields by number, as the standard counts them."""
    return "|".join([name, *(fields.get(number, "") for number in range(1, max(fields) + 1))])


PID = segment(
    "PID",
    {
        1: "1",
        3: "H12345^^^RH8^MR~9990000018^^^NHS^NH",
        5: "ZZTEST^Ada^Mary^^Ms^^L",
        7: "19610214",
        8: "F",
        11: "1 Test Street^Flat 2^Exeter^Devon^EX1 1AA",
        13: "01392 000001^PRN^PH~^NET^Internet^ada@example.org",
        14: "01392 000002^WPN^PH",
        22: "A",
        32: "NSTS01",
    },
)
ORC = segment(
    "ORC",
    {
        1: "NW",
        2: "P-77^RH8",
        9: "20260329142500+0100",
        12: "C7654321^Sharma^Priya^^^Dr^^^GMC",
        21: "ROYAL DEVON^^RH8^^^ODS",
    },
)
OBR = segment(
    "OBR",
    {
        1: "1",
        2: "P-77^RH8",
        4: "PETWB^PET CT whole body^NICIP",
        12: "MRSA 2024",
        13: "Known lung cancer",
        30: "WHLC",
        31: "R91^Staging of lung cancer",
    },
)
HEADER = r"MSH|^~\&|CRIS|RH8|GANTRY|NT9|20260329143000+0100||OMI^O23^OMI_O23|C-1001|P|2.5.1||||||UNICODE UTF-8"

FULL_ORDER = "\r".join(
    [
        HEADER,
        PID,
        "PD1|||TEST SURGERY^^L82001",
        "NK1|1|ZZTEST^Bob|SPO^Spouse||01392 000003",
        "PV1|1|O|^^^RH802||||C1234567^House^Greg^^^Dr^^^GMC",
        "AL1|1|DA|91936005^Penicillin^SCT||Rash",
        ORC,
        segment("TQ1", {1: "1", 7: "20260401", 8: "20260410", 9: "2WW"}),
        OBR,
        "NTE|1||Please compare with the CT of January",
        "DG1|1||C34.1^Malignant neoplasm of upper lobe^I10",
        "OBX|1|NM|29463-7^Body weight^LN||72.5|kg|||||F|||20260320",
        "OBX|2|NM|8302-2^Body height^LN||1.65|m|||||F",
        "OBX|3|CWE|82810-3^Pregnancy status^LN||60001007^Not pregnant^SCT||||||F",
        "OBX|4|ST|scan_purpose^Purpose^99GANTRY||staging||||||F",
        "OBX|5|ST|treatment_history^Treatment^99GANTRY||chemo^Cisplatin^2026-02-01~surgery^Lobectomy^2025-12-01||||||F",
        "OBX|6|ST|prior_imaging^Earlier imaging^99GANTRY||NONE||||||F",
        "",
    ]
)


def order(text: str = FULL_ORDER, **changes: str) -> bytes:
    """The full order with whole segments replaced (`PID="PID|1|…"`, "" takes it out)."""
    lines = [line for line in text.split("\r") if line]
    for name, line in changes.items():
        lines = [line if kept.startswith(name) else kept for kept in lines]
    return ("\r".join(line for line in lines if line) + "\r").encode()
