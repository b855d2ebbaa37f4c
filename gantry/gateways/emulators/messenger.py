"""Plays a notification service on loopback: takes texts, emails and letters, and posts a receipt for each.

What becomes of a message is decided by whom it is for, so that a demonstration shows each fate: an address that ends in
00, 01 or 02 does not exist, cannot be reached, or is never heard of again.
"""

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import httpx

KINDS = {"sms": "phone_number", "email": "email_address", "letter": ""}
MOST = 1 << 18
TRIES = 3

type Say = Callable[[str], None]


def silent(line: str) -> None:
    """Tests do not watch."""


def fate_of(to: str) -> str:
    """The status that a receipt will say; empty where none comes."""
    digits = re.sub(r"\D", "", to.split("@")[0])
    return {"00": "permanent-failure", "01": "temporary-failure", "02": ""}.get(digits[-2:], "delivered")


@dataclass(slots=True)
class Messenger:
    """What it has been given, by its own number."""

    secret: str
    receipts_url: str = ""
    receipts_token: str = ""
    say: Say = silent
    after_s: float = 0.0
    """How long a receipt takes."""
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, kind: str, asked: dict[str, Any]) -> dict[str, Any]:
        letter = asked["personalisation"]
        to = asked[KINDS[kind]] if KINDS[kind] else str(letter.get("address_line_2", ""))
        row = {
            "id": str(uuid4()),
            "reference": asked["reference"],
            "to": to,
            "notification_type": kind,
            "template_id": asked["template_id"],
            "status": "sending",
            "created_at": stamp(),
            "completed_at": None,
            "body": letter["message"],
        }
        with self._lock:
            self.taken[row["id"]] = row
        self.say(f"messages: {kind} {row['id'][:8]} taken")
        return row

    def settle(self, row: dict[str, Any]) -> bool:
        """Its fate, and the receipt for it. Letters are in the post: nobody ever says that one has come."""
        status = "received" if row["notification_type"] == "letter" else fate_of(row["to"])
        if not status:
            return False
        with self._lock:
            row["status"], row["completed_at"] = status, stamp()
        return bool(self.receipts_url) and row["notification_type"] != "letter" and self.post(row)

    def post(self, row: dict[str, Any]) -> bool:
        said = {key: value for key, value in row.items() if key != "body"}
        headers = {"Authorization": f"Bearer {self.receipts_token}", "Content-Type": "application/json"}
        for turn in range(TRIES):
            try:
                answer = httpx.post(self.receipts_url, content=json.dumps(said), headers=headers, timeout=10.0)
            except httpx.HTTPError:
                time.sleep(0.2 * (turn + 1))
                continue
            self.say(f"messages: {row['id'][:8]} {row['status']}, answered {answer.status_code}")
            return answer.is_success
        return False

    def of_reference(self, reference: str) -> list[dict[str, Any]]:
        with self._lock:
            return [row for row in self.taken.values() if row["reference"] == reference]

    def knows(self, header: str) -> bool:
        """The token is signed with the account's secret (RFC 7519, HS256)."""
        head, _, rest = header.removeprefix("Bearer ").partition(".")
        claims, _, signed = rest.partition(".")
        wanted = hmac.new(self.secret.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
        return hmac.compare_digest(base64.urlsafe_b64encode(wanted).rstrip(b"=").decode(), signed)


def stamp() -> str:
    return datetime.now(UTC).isoformat()


def wrong(asked: object, kind: str) -> str:
    """What is missing from a request; empty where nothing is."""
    if not isinstance(asked, dict):
        return "body is not an object"
    for name in ("template_id", "reference", KINDS[kind] or "template_id"):
        if not isinstance(asked.get(name), str) or not asked[name]:
            return f"{name} is a required property"
    letter = asked.get("personalisation")
    if not isinstance(letter, dict) or not letter.get("message"):
        return "Missing personalisation: message"
    if kind == "letter" and not letter.get("address_line_3"):
        return "Address must be at least 3 lines"
    return ""


class Handler(BaseHTTPRequestHandler):
    """One request. The server carries the messenger."""

    server: "MessengerServer"
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        kind = self.path.removeprefix("/v2/notifications/")
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, MOST))
        if kind not in KINDS:
            self.answer(404, refusal(404, "NotFound", "no such kind"))
        elif not self.server.messenger.knows(self.headers.get("Authorization", "")):
            self.answer(403, refusal(403, "AuthError", "Invalid token: signature"))
        elif why := wrong(read(body), kind):
            self.answer(400, refusal(400, "ValidationError", why))
        else:
            row = self.server.messenger.take(kind, read(body))
            self.answer(201, {"id": row["id"], "reference": row["reference"], "content": {"body": row["body"]}})
            self.server.settle_later(row)

    def do_GET(self) -> None:
        messenger = self.server.messenger
        _, _, rest = self.path.partition("/v2/notifications")
        if not messenger.knows(self.headers.get("Authorization", "")):
            self.answer(403, refusal(403, "AuthError", "Invalid token: signature"))
        elif rest.startswith("?reference="):
            self.answer(200, {"notifications": messenger.of_reference(rest.removeprefix("?reference="))})
        elif row := messenger.taken.get(rest.strip("/")):
            self.answer(200, row)
        else:
            self.answer(404, refusal(404, "NoResultFound", "No result found"))

    def answer(self, status: int, tree: dict[str, Any]) -> None:
        body = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A line of a log would hold addresses."""


def read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def refusal(status: int, kind: str, why: str) -> dict[str, Any]:
    return {"status_code": status, "errors": [{"error": kind, "message": why}]}


class MessengerServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], messenger: Messenger) -> None:
        self.messenger = messenger
        super().__init__(address, Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def settle_later(self, row: dict[str, Any]) -> None:
        later = threading.Timer(self.messenger.after_s, self.messenger.settle, [row])
        later.daemon = True
        later.start()


@contextmanager
def open_messenger(messenger: Messenger, address: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[MessengerServer]:
    server = MessengerServer(address, messenger)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
