"""Files that no referrer means to send are refused in words and in a moment; nobody's name or referral is spoilt by one."""

import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.services import upload as files
from gantry.domain.access import Role
from gantry.domain.events import system
from tests.apps.factories import NOW, make_network, make_person
from tests.apps.test_referrals_upload import file_of, row_of

pytestmark = pytest.mark.django_db
HEADINGS = b"placer_order_number,postcode\n"


@pytest.fixture
def made():
    return make_network()


@pytest.fixture
def send(made):
    person = make_person(Role.REFERRER, made.trust)

    def sent(content: bytes):
        by = system("tests")
        return files.upload(content, network=made.network, organisation=made.trust, referrer=person, now=NOW, by=by)

    return sent


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (",".join(f"c{n}" for n in range(100_000)).encode() + b"\nX\n", "Row 1 has 100000 cells"),
        (b"a," * 900_000 + b"\nX\n", "Row 1 has 900001 cells"),
        (HEADINGS + b"X," * 900_000, "Row 2 has 900001 cells"),
        (b",".join(b"a%d,a%d" % (n, n) for n in range(200)) + b"\nX\n", "two columns called a0"),
        (b"placer_order_number," + b"x" * 100_000 + b"\nX\n", "does not know: xxx"),
        (b"placer_order_number;postcode\nX;1\n", "not parted by commas"),
        (b"placer_order_number\tpostcode\nX\t1\n", "not parted by commas"),
        (HEADINGS.decode().encode("utf-16"), "not text"),
        (HEADINGS + b'X,"' + b"y\n" * 100_000, "not CSV"),
        (HEADINGS + b"X,1\n" * 100_000, "200 are taken"),
        (b"PK\x03\x04\x14\x00\x06\x00" + bytes(range(256)) * 40, "not text"),
    ],
)
def test_a_file_of_another_shape_is_refused_in_a_moment_and_in_few_words(send, content, said):
    began = time.process_time()
    got = send(content)
    assert time.process_time() - began < 3
    assert isinstance(got, files.NotRead) and any(said in reason for reason in got.reasons), got
    assert sum(map(len, got.reasons)) < 5_000
    assert not Referral.objects.exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda good: good.rstrip(b"\r\n") + b"\xc3\r\n", "Line 2 has letters that are not UTF-8"),
        (lambda good: b"\xef\xbb\xbf" + good.replace("ü".encode(), b"\xfc"), "Line 2 has letters that are not UTF-8"),
        (lambda good: good.replace("ü".encode(), b"\x81"), "cannot be read"),
    ],
)
def test_letters_in_two_encodings_are_not_guessed_at(made, send, spoil, said):
    """ "Müller" was kept as "MÃ¼ller" because another cell of the file had been cut."""
    good = file_of([row_of(made, "A1", number=8401, family_name="Müller")], "utf-8")
    got = send(spoil(good))
    assert isinstance(got, files.NotRead) and said in got.reasons[0]
    assert not Referral.objects.exists()


def test_an_order_number_used_again_never_puts_one_patient_s_answers_on_another_s_referral(made, send):
    first = row_of(made, "B1", number=8402, diabetes=None)
    kept = send(file_of([first])).outcomes[0].referral
    again = send(file_of([row_of(made, "B1", number=8403)]))
    assert again.outcomes[0].said == "Refused" and again.outcomes[0].where_to
    assert {(one.row, one.column, one.refused) for one in again.findings} == {
        (2, "placer_order_number", True),
        (2, "nhs_number", True),
    }
    kept.refresh_from_db()
    assert (kept.state, kept.answers["nhs_number"]) == ("awaiting_referrer", kept.patient.nhs_number)
    assert send(file_of([{**first, "diabetes": "none"}])).outcomes[0].said == "Sent before: now complete"


def test_somebody_else_with_a_hospital_number_only_is_somebody_else_too(made, send):
    def row(local: str, family: str, **over: object) -> dict[str, str]:
        answers = {"nhs_number": None, "nhs_number_status": "07", "nhs_number_unavailable_reason": "not_available"}
        return row_of(made, "B2", number=8404, family_name=family, local_patient_id=local, **answers, **over)

    send(file_of([row("H1", "Zztest", diabetes=None)]))
    assert send(file_of([row("H2", "Zzother")])).findings[1].column == "family_name"
    assert Referral.objects.get().answers["local_patient_id"] == "H1"
    assert send(file_of([row("H1", "Zzmended")])).outcomes[0].said.startswith("Sent before")


@pytest.mark.parametrize("order", ["9" * 81, "A\x07B", "A\u202eB"])
def test_an_order_number_is_kept_whole_or_not_at_all(made, send, order):
    """Cut to eighty characters, two orders were one."""
    got = send(file_of([row_of(made, order, number=8405)]))
    assert [(one.column, one.refused) for one in got.findings] == [("placer_order_number", True)]
    assert len(got.outcomes[0].order_number) <= 81
    assert not Referral.objects.exists()


@pytest.mark.parametrize("name", ["A\x1bB", "A\x7fB", "A\x85B", "A\u202eB", "A\u2066B"])
def test_a_name_with_marks_that_nobody_sees_is_not_kept(made, send, name):
    got = send(file_of([row_of(made, "C1", number=8406, family_name=name)]))
    assert "family_name" in {one.column for one in got.findings if one.refused}
    assert not Referral.objects.exists()


def test_line_ends_of_three_systems_in_one_file_are_line_ends(made, send):
    rows = [row_of(made, f"D{n}", number=8410 + n) for n in range(3)]
    content = file_of(rows).replace(b"\r\n", b"\r", 1)
    head, _, rest = content.partition(b"\r\n")
    assert [one.said for one in send(head + b"\n" + rest).outcomes] == ["Kept, complete"] * 3


def test_a_file_of_two_hundred_megabytes_is_refused_unread_and_laid_nowhere(made, settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    client = Client(enforce_csrf_checks=False)
    person = make_person(Role.REFERRER, made.trust)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    asked = []

    class Endless:
        """A body that only claims its size: whoever read it all would never come back."""

        def read(self, size: int = -1) -> bytes:
            asked.append(size)
            assert len(asked) < 50, "the body was read"
            return b"x" * max(size, 0)

        readline = read

    answer = client.generic(
        "POST",
        reverse("referrals:upload"),
        CONTENT_TYPE="multipart/form-data; boundary=zzz",
        CONTENT_LENGTH=str(200 * 1024 * 1024),
        **{"wsgi.input": Endless()},
    )
    assert answer.status_code == 413
    assert "At most 10 MB can be sent at once" in answer.content.decode()
    assert not list(tmp_path.iterdir())
    # One that says nothing of its size, or less than it sends, is stopped where it passes the limit.
    settings.MAX_UPLOAD_BYTES = 1_000_000
    file = SimpleUploadedFile("referrals.csv", b"placer_order_number\n" + b"X\n" * 600_000)
    assert client.post(reverse("referrals:upload"), {"rows": file}).status_code == 413
    assert not Referral.objects.exists()
