"""What orders say, and what is refused of them in the sender's coordinates."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.referral import findings, plain, typed
from gantry.domain.referral.data_set import ITEM
from gantry.domain.referral.facts import Finding
from gantry.domain.referral.facts import Severity as Gravity
from gantry.gateways.hl7.answers import COORDINATES, location_of, to_answers, to_refusals
from gantry.gateways.hl7.message import Message, Separators, escape, read
from gantry.gateways.hl7.orders import ORDER_CONTROL, Order, OrderAct, read_orders
from gantry.gateways.hl7.refusals import Fault, Refused, Severity
from gantry.gateways.hl7.values import read_date, read_number, read_time
from tests.domain.answers import CONTEXT, ON, complete
from tests.gateways.hl7_samples import FULL_ORDER, HEADER, LONDON, OBR, ORC, PID, order, segment


def taken(data: bytes) -> Order:
    orders = read_orders(read(data), LONDON)
    assert not isinstance(orders, Refused), orders
    return orders[0]


def refused(data: bytes) -> list[tuple[str, str]]:
    found = read_orders(read(data), LONDON)
    assert isinstance(found, Refused), found
    return [(refusal.location, refusal.code) for refusal in found.refusals]


def gaps(data: bytes) -> list[str]:
    found = taken(data).findings
    assert all(finding.severity is Severity.WARNING for finding in found)
    return [finding.location for finding in found]


def test_a_full_order_gives_the_web_form_s_answers():
    full = taken(order())
    assert full.findings == ()
    answers = to_answers(full)
    assert answers == {
        "nhs_number": "9990000018",
        "nhs_number_status": "01",
        "local_patient_id": "H12345",
        "local_patient_id_assigner": "RH8",
        "family_name": "ZZTEST",
        "given_name": "Ada",
        "title": "Ms",
        "date_of_birth": date(1961, 2, 14),
        "stated_gender": "2",
        "ethnic_category": "A",
        "address": "1 Test Street, Flat 2, Exeter, Devon",
        "postcode": "EX1 1AA",
        "phone_primary": "01392 000001",
        "phone_alt": "01392 000002",
        "email": "ada@example.org",
        "gp_practice_ods": "L82001",
        "next_of_kin": "Bob ZZTEST, Spouse",
        "next_of_kin_phone": "01392 000003",
        "arrival_mobility": "wheelchair",
        "patient_status": "03",
        "referrer_name": "Dr Priya Sharma",
        "gmc_or_hcpc": "7654321",
        "responsible_consultant": "Dr Greg House",
        "responsible_consultant_gmc": "1234567",
        "referring_org_ods": "RH8",
        "referring_site_ods": "RH802",
        "report_to": ("RH8",),
        "request_datetime": datetime(2026, 3, 29, 14, 25, tzinfo=LONDON),
        "priority": "3",
        "requested_scan_by": date(2026, 4, 10),
        "not_before": date(2026, 4, 1),
        "tumour_site": "C34.1",
        "clinical_question": (
            "Staging of lung cancer\nKnown lung cancer\nPlease compare with the CT of January\n"
            "Diagnosis: Malignant neoplasm of upper lobe (C34.1)"
        ),
        "infection_precautions": "MRSA 2024",
        "allergies": ("drugs",),
        "allergy_detail": "Penicillin (Rash)",
        "weight_kg": 72.5,
        "weight_date": date(2026, 3, 20),
        "weight_basis": "measured",
        "height_cm": 165.0,
        "pregnancy_status": "N",
        "scan_purpose": "staging",
        "treatment_history": (
            {"treatment_type": "chemo", "agent": "Cisplatin", "last_date": "2026-02-01"},
            {"treatment_type": "surgery", "agent": "Lobectomy", "last_date": "2025-12-01"},
        ),
        "prior_imaging": "none",
    }
    assert (full.placer_order_number, full.placer_assigner, full.act) == ("P-77", "RH8", OrderAct.NEW)
    assert (full.procedure.code, full.procedure.text, full.procedure.system) == ("PETWB", "PET CT whole body", "NICIP")


def test_the_data_set_reads_every_answer():
    answers, unread = typed(to_answers(taken(order())), CONTEXT)
    assert unread == []
    assert answers["prior_imaging"] == ()
    assert answers["treatment_history"][1]["last_date"] == date(2025, 12, 1)
    assert answers["requested_scan_by"] == date(2026, 4, 10)
    assert set(to_answers(taken(order()))) <= set(ITEM)


def test_every_coordinate_names_an_item():
    assert set(COORDINATES) <= set(ITEM)


@pytest.mark.parametrize("kind", ["ORM^O01", "OMG^O19^OMG_O19", "OMI^O23^OMI_O23"])
def test_three_kinds_of_order_are_one(kind):
    said = taken(order(MSH=HEADER.replace("OMI^O23^OMI_O23", kind)))
    assert to_answers(said) == to_answers(taken(order()))


@pytest.mark.parametrize(
    ("kind", "location", "code"),
    [
        ("ADT^A40", "MSH^1^9^1^1", Fault.UNSUPPORTED_MESSAGE_TYPE),
        ("SIU^S12", "MSH^1^9^1^1", Fault.UNSUPPORTED_MESSAGE_TYPE),
        ("ORM^O02", "MSH^1^9^1^2", Fault.UNSUPPORTED_EVENT),
        ("", "MSH^1^9^1", Fault.REQUIRED_FIELD_MISSING),
    ],
)
def test_other_kinds_are_refused(kind, location, code):
    assert refused(order(MSH=HEADER.replace("OMI^O23^OMI_O23", kind))) == [(location, code)]


def test_all_refusals_at_once():
    data = order(
        MSH=HEADER.replace("C-1001", ""),
        PID="PID|1||9990000019^^^NHS^NH||^Ada||19611414",
        ORC="ORC|QQ",
        OBR="",
    ).replace(b"TQ1|", b"ZTQ|")
    assert refused(data) == [
        ("MSH^1^10^1", Fault.REQUIRED_FIELD_MISSING),
        ("PID^1^3^1", Fault.DATA_TYPE),
        ("PID^1^5^1^1", Fault.REQUIRED_FIELD_MISSING),
        ("PID^1^7^1", Fault.DATA_TYPE),
        ("ORC^1^1^1", Fault.TABLE_VALUE_NOT_FOUND),
    ]


@pytest.mark.parametrize(
    ("identifiers", "number", "local"),
    [
        ("H1^^^RH8^MR", "", "H1"),
        ("9990000018", "", "9990000018"),
        ("9990000019^^^RH8^MR", "", "9990000019"),
        ("999 000 0018^^^NHS", "9990000018", ""),
        ("9990000018^^^^NH", "9990000018", ""),
        ("9990000018^^^&2.16.840.1.113883.2.1.4.1&ISO", "9990000018", ""),
        ("1^^^X^SS~2^^^RH8^PI~3^^^RH8^MR", "", "3"),
        ("1^^^X^SS", "", ""),
        ("^^^NHS^NH~H1^^^RH8^MR", "", "H1"),
    ],
)
def test_an_nhs_number_is_one_only_where_the_message_says_so(identifiers, number, local):
    patient = taken(order(PID=f"PID|1||{identifiers}||ZZTEST^Ada||19610214|F")).patient
    assert (patient.nhs_number, patient.local_id) == (number, local)
    assert patient.nhs_number_status == ("02" if number else "")


@pytest.mark.parametrize(
    ("pid", "location"),
    [
        ("PID|1||H1^^^RH8^MR~9990000019^^^NHS^NH||Z^A", "PID^1^3^2"),
        ("PID|1||9990000018^^^NHS^NH~9990000026^^^NHS^NH||Z^A", "PID^1^3^2"),
        ("PID|1||||Z^A", "PID^1^3^1"),
        ("PID|1|", "PID^1^3^1"),
        ("", "PID^1"),
    ],
)
def test_identity_that_cannot_be_right_is_refused(pid, location):
    assert location in [place for place, _ in refused(order(PID=pid))]


def test_two_people_in_one_order_are_refused():
    data = order(NTE=PID.replace("ZZTEST", "OTHER"))
    assert refused(data) == [("PID^2", Fault.SEGMENT_SEQUENCE)]


def test_prior_results_of_an_omg_order_nothing():
    prior = f"{PID}\r{ORC.replace('P-77', 'P-OLD')}\r{OBR.replace('P-77', 'P-OLD')}\r"
    data = order(MSH=HEADER.replace("OMI^O23^OMI_O23", "OMG^O19^OMG_O19")) + prior.encode()
    orders = read_orders(read(data), LONDON)
    assert [found.placer_order_number for found in orders] == ["P-77"]


def test_several_orders_each_have_their_own_place():
    second = f"{ORC.replace('P-77', 'P-78')}\r{OBR.replace('P-77', '').replace('PETWB^PET CT whole body^NICIP', '')}\r"
    first, other = read_orders(read(order() + second.encode()), LONDON)
    assert (first.placer_order_number, other.placer_order_number) == ("P-77", "P-78")
    assert [finding.location for finding in other.findings] == ["OBR^2^4^1"]
    assert location_of(other, "clinical_question") == "OBR^2^31^1"
    assert to_answers(other)["nhs_number"] == "9990000018"


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"ORC": ORC.replace("P-77^RH8", ""), "OBR": OBR.replace("P-77^RH8", "")}, "ORC^1^2^1"),
        ({"ORC": ""}, "ORC^1"),
        ({"OBR": ""}, "OBR^1"),
        ({"NTE": OBR}, "OBR^2"),
        ({"ORC": ORC.replace("NW", "")}, "ORC^1^1^1"),
    ],
)
def test_an_order_that_is_none_is_refused(changes, location):
    assert location in [place for place, _ in refused(order(**changes))]


def test_the_placer_number_may_stand_in_obr():
    assert taken(order(ORC=ORC.replace("P-77^RH8", ""))).placer_order_number == "P-77"


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"OBR": "OBR|1|P-77"}, "OBR^1^4^1"),
        ({"OBR": "RXO|123^Ampicillin"}, "OBR^1^4^1"),
        ({"PID": PID.replace("|F|", "|O|")}, "PID^1^8^1"),
        ({"TQ1": segment("TQ1", {9: "SOON"})}, "TQ1^1^9^1^1"),
        ({"TQ1": segment("TQ1", {7: "20261301"})}, "TQ1^1^7^1^1"),
        ({"OBX|1": "OBX|1|NM|29463-7^Body weight^LN||heavy|kg"}, "OBX^1^5^1"),
        ({"OBX|1": "OBX|1|NM|29463-7^Body weight^LN||11.4|stone"}, "OBX^1^6^1"),
        ({"OBX|1": "OBX|1|NM|29463-7^Body weight^LN||72"}, "OBX^1^6^1"),
        ({"OBX|3": "OBX|3|ST|82810-3||maybe"}, "OBX^3^5^1"),
        ({"OBX|4": "OBX|4|ST|shoe_size^^99GANTRY||9"}, "OBX^4^3^1"),
        ({"OBX|4": "OBX|4|ST|received_datetime^^99GANTRY||20260101"}, "OBX^4^3^1"),
        ({"OBX|4": "OBX|4|DT|mdt_date^^99GANTRY||soon"}, "OBX^4^5^1"),
    ],
)
def test_what_can_be_asked_back_is_a_gap(changes, location):
    assert location in gaps(order(**changes))


def test_a_person_said_to_have_died_is_taken_in_with_a_warning():
    fields = PID.split("|")
    fields[30] = "Y"
    data = order(PID="|".join(fields))
    assert taken(data).patient.died
    assert gaps(data) == ["PID^1^30^1"]


@pytest.mark.parametrize(("control", "act"), sorted(ORDER_CONTROL.items()))
def test_every_order_control_has_an_act(control, act):
    found = taken(order(ORC=ORC.replace("NW", control), OBR="" if act is OrderAct.CANCEL else OBR))
    assert found.act is act
    assert ("ORC^1^1^1" in [finding.location for finding in found.findings]) is (act is OrderAct.NOTE)


def test_a_status_without_an_order_number_is_noted():
    found = taken(order(ORC="ORC|SC||F-1|G-9|HD", OBR=""))
    assert (found.act, found.group_number) == (OrderAct.NOTE, "G-9")


@pytest.mark.parametrize(
    ("tq1", "orc7", "obr27", "priority"),
    [
        ("TQ1|||||||||S", "^^^^^R", "", "2"),
        ("", "^^^^^R", "^^^^^S", "1"),
        ("", "", "^^^^^A", "2"),
        ("TQ1|1", "", "", ""),
    ],
)
def test_priority_from_the_newest_place_that_has_one(tq1, orc7, obr27, priority):
    fields = ORC.split("|")
    fields[7] = orc7
    detail = OBR.split("|")
    detail[27] = obr27
    assert taken(order(TQ1=tq1, ORC="|".join(fields), OBR="|".join(detail))).priority == priority


@pytest.mark.parametrize(
    ("facility", "xon", "assigner", "ods"),
    [
        ("RH8", "", "", "RH8"),
        ("XYZ_RADIOLOGY", "", "ADT1", ""),
        ("GHH", "", "RADIS", ""),
        ("GHH", "", "RJ1", "RJ1"),
        ("RH8", "TRUST^^RDE^^^ODS", "RJ1", "RDE"),
        ("RH8", "HospID_1^Hospital1^CCN", "", "RH8"),
        ("L82001", "", "", "L82001"),
    ],
)
def test_the_referring_organisation_is_an_ods_code_or_nothing(facility, xon, assigner, ods):
    fields = ORC.split("|")
    fields[21] = xon
    data = order(
        MSH=HEADER.replace("|RH8|", f"|{facility}|", 1),
        PID=f"PID|1||H1^^^{assigner}^MR||ZZTEST^Ada||19610214",
        ORC="|".join(fields),
    )
    found = taken(data)
    assert found.referring_org_ods == ods
    assert to_answers(found).get("local_patient_id_assigner", "") == (assigner if assigner == "RJ1" else ods)


@pytest.mark.parametrize(
    ("obx", "answers"),
    [
        ("OBX|1|ST|^Body Weight||65|kg", {"weight_kg": 65.0}),
        ("OBX|1|NM|3142-7^Weight stated^LN||160|[lb_av]", {"weight_kg": 72.575, "weight_basis": "stated"}),
        ("OBX|1|NM|29463-7^^LN||72500|g", {"weight_kg": 72.5}),
        ("OBX|1|NM|33914-3^eGFR^LN||58|mL/min|||||F|||20260301", {"egfr": 58.0, "egfr_date": date(2026, 3, 1)}),
        ("OBX|1|NM|29463-7^^LN||999|kg|||||W", {"weight_kg": None}),
        ("OBX|1|NM|hba1c^^99GANTRY||48", {"hba1c": 48.0}),
        ("OBX|1|DT|mdt_date^^99GANTRY||20260401", {"mdt_date": date(2026, 4, 1)}),
        ("OBX|1|ST|infection_risk^^99GANTRY||mrsa~tb", {"infection_risk": ("mrsa", "tb")}),
        ("OBX|1|TX|clinical_question^^99GANTRY||line one~line two", {"clinical_question": "line one\nline two"}),
        ("OBX|1|DTM|declared_at^^99GANTRY||202603291400+0100",
         {"declared_at": datetime(2026, 3, 29, 14, tzinfo=LONDON)}),
    ],
)  # fmt: skip
def test_observations(obx, answers):
    said = to_answers(taken(order(**{"OBX|1": obx})))
    assert {name: said.get(name) for name in answers} == answers


def test_pregnant_by_ambulatory_status():
    found = taken(order(PV1="PV1|1|E|||||||||||||B6", **{"OBX|3": ""}))
    assert to_answers(found)["pregnancy_status"] == "Y"
    assert to_answers(found)["patient_status"] == "05"


@pytest.mark.parametrize(
    ("al1", "kinds"),
    [
        ("AL1|1|DA|716186003^No known allergy^SCT", ("none",)),
        ("AL1|1|MA|^Iodinated contrast", ("contrast",)),
        ("AL1|1|DA|NKA\rAL1|2|FA|^Peanut", ("other",)),
        ("AL1|1|DA|", None),
    ],
)
def test_allergies(al1, kinds):
    assert to_answers(taken(order(AL1=al1))).get("allergies") == kinds


@pytest.mark.parametrize(
    ("pid5", "name"),
    [
        ("ZZTEST^Ada", ("ZZTEST", "Ada")),
        ("ALIAS^A^^^^^A~ZZTEST^Ada^^^^^L", ("ZZTEST", "Ada")),
        ("^^^~ZZTEST^Ada", ("ZZTEST", "Ada")),
        ("O\\S\\Shea&O'&Shea^Zo\\XC3AB\\", ("O^Shea", "Zoë")),
    ],
)
def test_names(pid5, name):
    patient = taken(order(PID=f"PID|1||H1^^^RH8^MR||{pid5}||19610214")).patient
    assert (patient.family_name, patient.given_name) == name


@pytest.mark.parametrize(
    ("code", "location", "severity"),
    [
        (("weight_kg", Gravity.QUERY), "OBX", Severity.WARNING),
        (("nhs_number", Gravity.REFUSE), "PID^1^3^1^1", Severity.ERROR),
        (("referring_org_ods", Gravity.REDIRECT), "ORC^1^21^1^3", Severity.WARNING),
        (("clinical_question", Gravity.WARN), "OBR^1^31^1", Severity.INFORMATION),
        (("scan_purpose", Gravity.QUERY), "OBX^4^5^1", Severity.WARNING),
        (("treatment_history-0-agent", Gravity.QUERY), "OBX^5^5^1", Severity.WARNING),
    ],
)
def test_findings_come_back_in_the_order_s_places(code, location, severity):
    name, gravity = code
    (refusal,) = to_refusals([Finding("MDS-01", name, "Say more.", gravity, "Send it to X.")], taken(order()))
    assert (refusal.location, refusal.severity) == (location, severity)
    assert refusal.text.startswith("Say more. Send it to X.")


def test_a_gap_with_no_field_of_its_own_says_how_to_send_it():
    (refusal,) = to_refusals([Finding("MDS-01", "funding_route", "Say who pays")], taken(order()))
    assert refusal.code == Fault.REQUIRED_FIELD_MISSING
    assert refusal.text == "Say who pays (OBX-3: funding_route, 99GANTRY)"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20260329003000", datetime(2026, 3, 29, 0, 30, tzinfo=LONDON)),
        ("202603291430", datetime(2026, 3, 29, 14, 30, tzinfo=LONDON)),
        ("20260329143000.1234+0000", datetime(2026, 3, 29, 14, 30, tzinfo=ZoneInfo("UTC"))),
        ("20260329", datetime(2026, 3, 29, tzinfo=LONDON)),
        ("2026", None),
        ("20260230", None),
        ("202603292561", None),
        ("20260329120000+9999", None),
        ("yesterday", None),
        ("٢٠٢٦٠٣٢٩", None),
        ("", None),
    ],
)
def test_times(text, moment):
    assert read_time(text, LONDON) == moment


def test_dates_and_numbers():
    assert read_date("19610214235959") == date(1961, 2, 14)
    assert read_date("196102") is None
    assert [read_number(text) for text in ("1.5", "-2", ".5", "1e9", "inf", "", "9" * 40)] == [
        1.5, -2.0, 0.5, None, None, None, None,
    ]  # fmt: skip


@given(st.binary(max_size=80), st.integers(0, len(FULL_ORDER)), st.integers(0, 60))
def test_no_damage_to_an_order_raises(noise, place, cut):
    data = order()
    found = read(data[:place] + noise + data[place + cut :])
    if isinstance(found, Message):
        orders = read_orders(found, LONDON)
        if not isinstance(orders, Refused):
            assert all(to_answers(one) is not None for one in orders)


def test_every_cut_of_an_order_is_whole_or_refused():
    data = order()
    for length in range(len(data)):
        found = read(data[:length])
        if isinstance(found, Message):
            orders = read_orders(found, LONDON)
            if not isinstance(orders, Refused):
                assert orders[0].placer_order_number.startswith("P")
                assert orders[0].patient.family_name


def as_observations(answers: dict[str, object]) -> dict[str, str]:
    """The whole data set as OBX segments of our coding system."""

    def text(item, value: object) -> str:
        if isinstance(value, dict):
            return "^".join(escape(str(value.get(column.name, "")), Separators()) for column in item.columns)
        return escape(str(value), Separators())

    lines = []
    for number, (name, value) in enumerate(plain(answers).items(), start=7):
        values = value if isinstance(value, list) else [value]
        said = "~".join(text(ITEM[name], one) for one in values) or "NONE"
        lines.append(f"OBX|{number}|ST|{name}^^99GANTRY||{said}||||||F")
    return {"OBX|6": "\r".join(lines)}


def test_an_order_that_carries_the_whole_data_set_goes_straight_to_vetting():
    whole = {name: value for name, value in complete().items() if not ITEM[name].filled_here}
    sent = taken(order(**as_observations(whole)))
    assert sent.findings == ()
    answers, unread = typed(to_answers(sent), CONTEXT)
    assert unread == []
    assert {name: answers[name] for name in whole} == whole
    wrong = [finding for finding in findings(answers, on=ON, context=CONTEXT) if finding.severity is not Gravity.WARN]
    assert wrong == []


def test_an_order_from_a_practice_is_refused_with_an_address():
    data = order(MSH=HEADER.replace("|RH8|", "|L82001|", 1), ORC=ORC.replace("RH8^^^ODS", "L82001^^^ODS"))
    answers, _ = typed(to_answers(taken(data)), CONTEXT)
    refusals = to_refusals(findings(answers, on=ON, context=CONTEXT), taken(data))
    (no,) = [refusal for refusal in refusals if refusal.severity is Severity.ERROR]
    assert no.location == "ORC^1^21^1^3"
    assert "acute hospital" in no.text
