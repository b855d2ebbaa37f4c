"""Word to patients on the wire: a notification service and a mail server that refuse, hang, lie and die; receipts of every kind."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from gantry.apps.audit.models import Attempt, InboxMessage, OutboxMessage
from gantry.apps.correspondence import services as correspondence
from gantry.apps.correspondence.models import PatientMessage
from gantry.domain.delivery import CLAIM
from gantry.domain.message import Channel
from gantry.gateways.emulators.messenger import Messenger, open_messenger
from gantry.gateways.messages import mail, notify, outgoing
from gantry.gateways.messages.mail import MailServer, NotTaken
from gantry.gateways.messages.outgoing import send
from tests.apps.broken_morning import BY, KNOWN
from tests.apps.test_correspondence import MOBILE, one

TOKEN = "a token of more than sixteen letters"
SECRET = "the account's secret"
URL = "/messages/receipts/"


@pytest.fixture(autouse=True)
def early(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)


@pytest.fixture
def service(settings) -> Iterator[Messenger]:
    """The emulated one; the test posts its receipts, for no other connection sees the test's own transaction."""
    settings.MESSAGES_SECRET, settings.MESSAGES_RECEIPT_TOKEN = SECRET, TOKEN
    settings.MESSAGES_SMTP_HOST = ""
    messenger = Messenger(SECRET, after_s=3600)
    with open_messenger(messenger) as server:
        settings.MESSAGES_URL = f"http://127.0.0.1:{server.port}"
        yield messenger


def kept(message: PatientMessage) -> PatientMessage:
    return PatientMessage.objects.select_related("message", "owner").get(pk=message.pk)


def due(message: PatientMessage) -> datetime:
    return OutboxMessage.objects.get(pk=message.message_id).due_at


def receipt(message: PatientMessage, status: str, **more: object) -> dict[str, object]:
    return {
        "id": kept(message).their_id,
        "reference": str(message.pk),
        "to": MOBILE,
        "status": status,
        "created_at": KNOWN.isoformat(),
        "completed_at": (KNOWN + timedelta(seconds=1)).isoformat(),
        "notification_type": "sms",
    } | more


def posted(body: object, *, token: str = TOKEN, kind: str = "application/json", **headers: str) -> object:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client().post(URL, content, content_type=kind, headers={"Authorization": f"Bearer {token}"} | headers)


# The notification service


@pytest.mark.django_db
def test_a_text_goes_out_once_holds_the_least_and_is_sent_not_delivered(service):
    _, message = one()
    send(message.message_id, now=KNOWN)
    (row,) = service.taken.values()
    assert (row["to"], row["reference"], row["template_id"]) == (MOBILE, str(message.pk), "sms")
    assert row["body"] == message.body and "12:30" in row["body"]
    patient = message.referral.patient
    everything = json.dumps(row)
    assert not any(held in everything for held in (patient.nhs_number, patient.family_name, patient.given_name))
    after = kept(message)
    assert (after.state, after.their_id, after.address) == ("sent", row["id"], MOBILE)
    assert after.message.state == "sent"
    send(message.message_id, now=KNOWN + timedelta(seconds=1))
    assert len(service.taken) == 1


@pytest.mark.django_db
def test_a_receipt_delivers_heard_twice_it_says_nothing_new_and_an_older_one_changes_nothing(service):
    _, message = one()
    send(message.message_id, now=KNOWN)
    body = receipt(message, "delivered")
    assert [posted(body).status_code for _ in range(2)] == [204, 204]
    assert kept(message).state == "delivered" and kept(message).appointment.state == "told"
    assert InboxMessage.objects.filter(door="messages").count() == 1
    assert message.referral.contacts.filter(outcome="delivered").count() == 1
    for late in ("sending", "temporary-failure", "permanent-failure"):
        assert posted(receipt(message, late)).status_code == 204
    assert kept(message).state == "delivered"
    outcomes = InboxMessage.objects.filter(door="messages").order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == ["delivered", "waiting", "overtaken", "overtaken"]


@pytest.mark.django_db
def test_a_receipt_that_overtakes_our_own_note_of_the_answer_is_kept(service):
    _, message = one()
    began = correspondence.begin(message.message, now=KNOWN)
    assert posted(receipt(message, "delivered", id="their-7")).status_code == 204
    correspondence.handed_over(began[0], address=MOBILE, their_id="their-7", proof="201", now=KNOWN)
    after = kept(message)
    assert (after.state, after.their_id, after.message.state) == ("delivered", "their-7", "delivered")


@pytest.mark.django_db
def test_what_failed_has_its_reason_and_a_person(service):
    _, message = one()
    send(message.message_id, now=KNOWN)
    assert posted(receipt(message, "permanent-failure")).status_code == 204
    after = kept(message)
    assert (after.state, after.reason) == ("failed", "The number or address does not exist")
    assert after.owner.name == "Cora Booking"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        (b"{", 400, "body"), (b"[]", 400, "body"), (b"\xff\xfe", 400, "body"), (b"[" * 40_000, 400, "body"),
        (b'{"id": "1", "reference": 7, "status": "delivered"}', 400, "reference"),
        (b'{"id": "1", "reference": "x", "status": "well"}', 400, "status"),
        (b'{"id": "1", "reference": "x", "status": "delivered", "completed_at": "soon"}', 400, "completed_at"),
        (b'{"id": "1", "reference": "x", "status": "delivered", "completed_at": "2026-11-24T07:00:00"}', 400,
         "completed_at"),
        (b'{"id": "1", "reference": "\\u0000x", "status": "delivered"}', 400, "reference"),
        (b'{"id": "1", "reference": "x", "status": "delivered"}', 404, "reference"),
        (b'{"id": "1", "reference": "01a202ad-ff8c-7e00-9f38-dedf10a210e6", "status": "delivered"}', 404, "reference"),
        (b"x" * (notify.LONGEST_RECEIPT + 1), 413, "body"),
    ],
)  # fmt: skip
def test_what_is_no_receipt_of_ours_is_refused_by_its_place(service, body, status, place):
    answer = posted(body)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["error"] == place


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "x", TOKEN + "x", TOKEN[:-1], "\u00e9"])
def test_a_forged_token_is_nobody_s(service, token):
    _, message = one()
    send(message.message_id, now=KNOWN)
    assert posted(receipt(message, "delivered"), token=token).status_code == 401
    assert kept(message).state == "sent" and not InboxMessage.objects.filter(door="messages").exists()


@pytest.mark.django_db
def test_without_a_token_set_up_nobody_is_let_in(service, settings):
    settings.MESSAGES_RECEIPT_TOKEN = ""
    assert posted({}, token="").status_code == 401
    settings.MESSAGES_RECEIPT_TOKEN = "short"
    assert posted({}, token="short").status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_another_content_type_is_refused(service, kind):
    assert posted(b"{}", kind=kind).status_code == 415
    assert Client().get(URL).status_code == 405


@pytest.mark.django_db
def test_another_s_number_on_our_reference_delivers_nothing(service):
    _, message = one()
    send(message.message_id, now=KNOWN)
    assert posted(receipt(message, "delivered", id="another")).status_code == 404
    assert kept(message).state == "sent"


@pytest.mark.django_db
def test_without_a_receipt_it_is_asked_after_once_and_then_somebody_rings(service):
    _, message = one()
    send(message.message_id, now=KNOWN)
    late = due(message)
    assert KNOWN < late <= kept(message).concerns_at
    send(message.message_id, now=late)
    after = kept(message)
    assert (after.state, after.reason, after.owner.name) == ("failed", outgoing.NO_RECEIPT, "Cora Booking")


@pytest.mark.django_db
def test_a_lost_receipt_is_found_by_asking(service):
    _, message = one()
    send(message.message_id, now=KNOWN)
    (row,) = service.taken.values()
    row["status"], row["completed_at"] = "delivered", KNOWN.isoformat()
    send(message.message_id, now=due(message))
    assert kept(message).state == "delivered"


@pytest.mark.django_db
def test_a_service_that_is_away_is_tried_again_while_there_is_time(service, settings):
    _, message = one()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings.MESSAGES_URL = f"http://127.0.0.1:{taken.getsockname()[1]}"
    send(message.message_id, now=KNOWN)
    assert (kept(message).state, kept(message).message.state) == ("queued", "failed")
    late = kept(message).concerns_at - timedelta(minutes=30)
    send(message.message_id, now=late)
    assert (kept(message).state, kept(message).message.state) == ("failed", "given_up")
    assert kept(message).owner is not None


@pytest.mark.django_db
def test_a_refusal_that_will_be_said_again_is_a_person_s_at_once_and_keeps_no_number(service, settings):
    _, message = one()
    settings.MESSAGES_SECRET = "another"
    send(message.message_id, now=KNOWN)
    after = kept(message)
    assert (after.state, after.reason) == ("failed", "403: AuthError")


@contextmanager
def far_end(answer: bytes | Callable[[socket.socket], None]) -> Iterator[int]:
    """Takes what comes and says, or does, this."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    peer.settimeout(5)
                    try:
                        if callable(answer):
                            answer(peer)
                        else:
                            peer.recv(65536)
                            peer.sendall(answer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


ODD = [
    b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n[[[[[[[[[",
    b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{",
    b"HTTP/1.1 201 Created\r\n\r\n",
    b"",
    b"SSH-2.0-nothing\r\n",
]


@pytest.mark.django_db
@pytest.mark.parametrize("answer", ODD, ids=lambda a: a[-12:])
def test_an_answer_that_says_nothing_leaves_it_in_doubt_and_the_next_try_asks_before_it_sends(
    service, settings, answer
):
    _, message = one()
    url = settings.MESSAGES_URL
    with far_end(answer) as port:
        settings.MESSAGES_URL = f"http://127.0.0.1:{port}"
        send(message.message_id, now=KNOWN)
    assert kept(message).state == "sending", "it may be there: it cannot be taken back"
    # The far end had taken it all the same.
    settings.MESSAGES_URL = url
    account = notify.Account(url, "demonstration", SECRET, settings.MESSAGES_TEMPLATES)
    path, body = notify.request(account, outgoing.outgoing_of(message, MOBILE))
    headers = {"Authorization": f"Bearer {notify.token(account, KNOWN)}"}
    assert httpx.post(url + path, content=body, headers=headers).status_code == 201
    send(message.message_id, now=due(message))
    assert kept(message).state == "sent" and len(service.taken) == 1, "not a second time"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n", "queued"),
        (b"HTTP/1.1 429 Slowly\r\nContent-Length: 0\r\n\r\n", "queued"),
        (b"HTTP/1.1 400 No\r\nContent-Length: 5\r\n\r\n<xml>", "failed"),
        (b"HTTP/1.1 302 There\r\nLocation: http://example.test/\r\nContent-Length: 0\r\n\r\n", "queued"),
    ],
)
def test_each_refusal_is_tried_again_or_owned(service, settings, answer, state):
    _, message = one()
    with far_end(answer) as port:
        settings.MESSAGES_URL = f"http://127.0.0.1:{port}"
        send(message.message_id, now=KNOWN)
    assert kept(message).state == state


def drips(peer: socket.socket) -> None:
    peer.recv(65536)
    peer.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n")
    for _ in range(900):
        peer.sendall(b" ")
        threading.Event().wait(0.05)


@pytest.mark.django_db
@pytest.mark.parametrize("peer", [lambda p: p.recv(1) and p.recv(70_000) and p.recv(1), drips], ids=["hangs", "drips"])
def test_a_service_that_hangs_or_drips_holds_no_worker(service, settings, monkeypatch, peer):
    monkeypatch.setattr(outgoing, "ANSWER_WITHIN", timedelta(seconds=0.3))
    _, message = one()
    with far_end(peer) as port:
        settings.MESSAGES_URL = f"http://127.0.0.1:{port}"
        began = time.monotonic()
        send(message.message_id, now=KNOWN)
        assert time.monotonic() - began < 5
    assert kept(message).state == "sending" and kept(message).message.state == "failed"


@pytest.mark.django_db
def test_a_worker_killed_between_their_word_and_ours_sends_nothing_twice(service, monkeypatch):
    class Killed(BaseException):
        """The process is gone: nothing after this line runs."""

    def killed(*args: object, **kwargs: object) -> None:
        raise Killed

    _, message = one()
    with monkeypatch.context() as patch:
        patch.setattr(correspondence, "handed_over", killed)
        with pytest.raises(Killed):
            send(message.message_id, now=KNOWN)
    assert kept(message).state == "sending" and len(service.taken) == 1
    send(message.message_id, now=KNOWN + timedelta(seconds=1))
    assert kept(message).state == "sending", "it is claimed until the claim ends"
    send(message.message_id, now=KNOWN + CLAIM + timedelta(seconds=1))
    assert kept(message).state == "sent" and len(service.taken) == 1


@pytest.mark.django_db(transaction=True)
def test_one_receipt_that_comes_twice_at_one_moment_is_heard_once(service):
    _, message = one()
    send(message.message_id, now=KNOWN)
    body, both = receipt(message, "delivered"), threading.Barrier(2)

    def once() -> int:
        try:
            both.wait(20)
            return posted(body).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        answers = [future.result(60) for future in [pool.submit(once) for _ in range(2)]]
    assert answers == [204, 204]
    assert kept(message).state == "delivered"
    assert message.referral.contacts.filter(outcome="delivered").count() == 1


@pytest.mark.django_db
def test_a_demonstration_writes_to_nobody_outside_the_machine(service, settings):
    _, message = one()
    settings.DEMONSTRATION = True
    settings.MESSAGES_URL = "https://notifications.example.test"
    send(message.message_id, now=KNOWN)
    assert "outside this machine" in kept(message).reason and kept(message).state == "failed"


@pytest.mark.django_db
def test_no_patient_is_in_a_log_whatever_goes_wrong(service, settings, caplog):
    caplog.set_level(logging.DEBUG)
    _, message = one()
    patient = message.referral.patient
    send(message.message_id, now=KNOWN)
    posted(receipt(message, "permanent-failure"))
    posted(receipt(message, "delivered"), token="forged")
    posted(b'{"to": "' + MOBILE.encode() + b'"')
    settings.MESSAGES_TEMPLATES = {}
    correspondence.try_again(kept(message), now=KNOWN, by=BY)
    send(message.message_id, now=KNOWN)
    assert Attempt.objects.filter(message=message.message_id, phase="write").exists()
    said = caplog.text
    for held in (MOBILE, MOBILE.replace(" ", ""), patient.nhs_number, patient.family_name, message.body):
        assert held not in said


# Translation alone


def test_the_token_is_a_signed_claim_of_who_and_when():
    account = notify.Account("http://x", "service-1", SECRET, {})
    made = notify.token(account, datetime(2026, 11, 24, tzinfo=UTC))
    assert made.count(".") == 2 and Messenger(SECRET).knows(f"Bearer {made}")
    assert not Messenger("another").knows(f"Bearer {made}")
    assert not Messenger(SECRET).knows("Bearer ")


def test_a_letter_has_seven_lines_at_most_and_its_own_template():
    lines = notify.address_lines("Ms A B", "Flat 1, The House, 2 Road, Village,, Town, County, Far", "M20 4BX")
    assert len(lines) == 7 and lines[0] == "Ms A B" and lines[-1] == "M20 4BX"
    assert lines[-2] == "Town, County, Far"
    account = notify.Account("http://x", "s", SECRET, {"letter_large": "big", "letter": "small"})
    post = notify.Letter(lines)
    path, body = notify.request(account, notify.Outgoing(Channel.LETTER, "r", "S", "B", "", post, True))
    sent = json.loads(body)
    assert path.endswith("/letter") and sent["template_id"] == "big"
    assert sent["personalisation"]["address_line_7"] == "M20 4BX"


# A mail server of our own


@pytest.fixture
def post_office(settings) -> Iterator[list[bytes]]:
    """A real SMTP server that nobody here wrote."""
    controller_module = pytest.importorskip("aiosmtpd.controller")

    class Kept:
        def __init__(self) -> None:
            self.came: list[bytes] = []

        async def handle_DATA(self, server, session, envelope) -> str:
            self.came.append(envelope.content)
            return "250 kept"

    handler = Kept()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    controller = controller_module.Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    settings.MESSAGES_SMTP_HOST, settings.MESSAGES_SMTP_PORT = "127.0.0.1", port
    settings.MESSAGES_SMTP_TLS, settings.MESSAGES_FROM = False, "appointments@example.test"
    settings.MESSAGES_SMTP_USER = ""
    yield handler.came
    controller.stop()


@pytest.mark.django_db
def test_an_email_goes_to_our_own_server_whole_and_under_one_number(post_office):
    early = KNOWN - timedelta(days=2)
    _, message = one("email", now=early, email="a@example.test")
    send(message.message_id, now=early)
    (raw,) = post_office
    assert b"Subject: Your hospital appointment has changed" in raw and b"12:30" in raw
    assert f"Message-ID: <{message.pk}@example.test>".encode() in raw
    assert message.referral.patient.nhs_number.encode() not in raw
    after = kept(message)
    assert (after.state, after.message.state) == ("sent", "sent"), "taken by a server, delivered to nobody yet"


def line(peer: socket.socket, *said: bytes) -> None:
    """Says each after what comes."""
    for each in said:
        peer.sendall(each)
        peer.recv(65536)


HELLO, FINE = b"220 here\r\n", b"250 fine\r\n"
PEERS: dict[str, tuple[Callable[[socket.socket], None], str, bool]] = {
    "refuses to speak": (lambda p: line(p, b"554 no\r\n"), "connect", True),
    "is busy": (lambda p: line(p, b"421 later\r\n"), "connect", False),
    "speaks nonsense": (lambda p: line(p, b"\x00\xff\r\n"), "connect", False),
    "hangs": (lambda p: p.recv(1), "connect", False),
    "refuses the sender": (lambda p: line(p, HELLO, FINE, b"550 not you\r\n", FINE), "message", True),
    "refuses the address": (lambda p: line(p, HELLO, FINE, FINE, b"550 unknown\r\n", FINE), "recipient", True),
    "knows the address later": (lambda p: line(p, HELLO, FINE, FINE, b"451 later\r\n", FINE), "recipient", False),
    "dies before the words": (lambda p: line(p, HELLO, FINE, FINE, FINE), "message", False),
    "dies in the middle": (lambda p: line(p, HELLO, FINE, FINE, FINE, b"354 go on\r\n"), "message", False),
    "dislikes the words": (
        lambda p: line(p, HELLO, FINE, FINE, FINE, b"354 go on\r\n", b"554 spam\r\n"), "message", True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PEERS)
def test_a_mail_server_that_misbehaves_is_named_by_its_step(name):
    peer, phase, for_good = PEERS[name]
    with far_end(peer) as port:
        server = MailServer("127.0.0.1", port, "us@example.test", tls=False, answer_s=0.3)
        written = mail.letter(
            server, to="a@example.test", subject="S", body="B", reference="r", written_at=KNOWN
        )  # fmt: skip
        with pytest.raises(NotTaken) as refused:
            mail.post(server, written)
    assert refused.value.for_good is for_good, (refused.value.phase, refused.value.reason)
    assert refused.value.phase in (phase, "greeting")
    assert "a@example.test" not in str(refused.value)


@pytest.mark.parametrize("to", ["a@example.test\r\nBcc: all@example.test", "a\nb"])
def test_a_line_end_in_an_address_opens_no_second_header(to):
    server = MailServer("127.0.0.1", 9, "us@example.test")
    with pytest.raises(ValueError, match=r"header|linefeed|carriage|CR|newline"):
        mail.letter(server, to=to, subject="S", body="B", reference="r", written_at=KNOWN)
