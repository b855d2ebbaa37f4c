"""A file of referrals: good rows kept, bad ones refused by row and column, the same file again changes nothing."""

import csv
from io import BytesIO, StringIO

import pytest
from django.test import Client
from django.urls import reverse

from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.services import upload as files
from gantry.domain.access import Role
from gantry.domain.events import system
from gantry.domain.referral import plain
from tests.apps.factories import NOW, complete_answers, make_network, make_person

pytestmark = pytest.mark.django_db
BY = system("tests")


def cell(name: str, value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        columns = ("modality", "region", "date", "site_ods", "images_received")
        return "; ".join("|".join(str(row.get(column, "")) for column in columns) for row in value)
    if value == []:
        return "none"
    return ", ".join(value) if isinstance(value, list) else str(value)


def row_of(made, order: str, **over) -> dict[str, str]:
    answers = plain(complete_answers(made, **over))
    return {"placer_order_number": order, **{name: cell(name, value) for name, value in answers.items()}}


def file_of(rows: list[dict[str, str]], encoding: str = "utf-8-sig") -> bytes:
    out = StringIO()
    writer = csv.DictWriter(out, files.COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode(encoding)


@pytest.fixture
def made():
    return make_network()


@pytest.fixture
def send(made):
    person = make_person(Role.REFERRER, made.trust)

    def sent(content: bytes):
        return files.upload(content, network=made.network, organisation=made.trust, referrer=person, now=NOW, by=BY)

    return sent


def test_good_rows_are_kept_bad_ones_refused_by_row_and_column(made, send):
    rows = [
        row_of(made, "A1", number=8001),
        row_of(made, "A2", number=8002, nhs_number="9990000019"),
        row_of(made, "", number=8003, priority=None),
        row_of(made, "A4", number=8004, weight_kg="heavy"),
    ]
    got = send(file_of(rows))
    assert [one.said for one in got.outcomes] == [
        "Kept, complete",
        "Refused",
        "Refused",
        "Kept, with questions to answer",
    ]
    where = {(one.row, one.column, one.refused) for one in got.findings}
    assert {
        (3, "nhs_number", True),
        (4, "placer_order_number", True),
        (4, "priority", True),
        (5, "weight_kg", False),
    } <= where
    assert all(one.where_to for one in got.outcomes if one.referral is None)
    assert Referral.objects.count() == 2


def test_the_same_file_again_changes_nothing_and_a_mended_row_answers(made, send):
    rows = [row_of(made, "B1", number=8101), row_of(made, "B2", number=8102, diabetes=None)]
    send(file_of(rows))
    versions = dict(Referral.objects.values_list("pk", "version"))
    again = send(file_of(rows))
    assert {one.said for one in again.outcomes} == {"Sent before: nothing changed"}
    assert dict(Referral.objects.values_list("pk", "version")) == versions
    mended = send(file_of([rows[0], {**rows[1], "diabetes": "none"}]))
    assert mended.outcomes[1].said == "Sent before: now complete"
    assert set(Referral.objects.values_list("state", flat=True)) == {"to_vet"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02", "not text"),
        (b"a,b\n1,2\n", "no column placer_order_number"),
        (b"placer_order_number,postcode,postcode\nX,1,2\n", "two columns called postcode"),
        (b"placer_order_number,shoe_size\nX,9\n", "does not know: shoe_size"),
        (b"placer_order_number\n", "no rows"),
        (b'placer_order_number\n"unclosed\n', "not CSV"),
        (b"placer_order_number\n" + b"X\n" * 201, "200 are taken"),
        (b"x" * (files.MOST_BYTES + 1), "larger than"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(send, content, said):
    got = send(content)
    assert isinstance(got, files.NotRead) and any(said in reason for reason in got.reasons)
    assert not Referral.objects.exists()


def test_excels_own_encoding_is_understood_and_extra_cells_are_a_fault(made, send):
    got = send(file_of([row_of(made, "C1", number=8201, family_name="Müller")], "cp1252"))
    assert got.outcomes[0].referral.patient.family_name == "Müller"
    extra = file_of([row_of(made, "C2", number=8202)]).rstrip(b"\r\n") + b",more,and more\r\n"
    assert "cells; the headings are" in send(extra).findings[0].message


def test_the_page_takes_the_file_and_gives_the_template(made):
    client = Client()
    person = make_person(Role.REFERRER, made.trust)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    template = client.get(reverse("referrals:template")).content.decode("utf-8-sig")
    assert template.split(",")[0] == "placer_order_number" and "weight_kg" in template
    rows = [row_of(made, "D1", number=8301), row_of(made, "D2", number=8302, patient_status="04")]
    sent = client.post(reverse("referrals:upload"), {"rows": BytesIO(file_of(rows))})
    body = sent.content.decode()
    assert sent.status_code == 422 and "1 row kept, 1 refused" in body and "GP direct access" in body
    assert client.post(reverse("referrals:upload"), {"rows": BytesIO(b"")}).status_code == 422
    assert client.post(reverse("referrals:upload")).status_code == 422
