"""Reads a file of referrals: every fault of every row at once, by row and column; good rows are kept."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import StringIO

from django.utils import timezone

from gantry.apps.accounts.models import Person
from gantry.apps.estate.models import Network, Organisation
from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.services.asking import context_for
from gantry.apps.referrals.services.intake import once, receive
from gantry.apps.referrals.services.questions import answer
from gantry.apps.referrals.services.submission import Found, Received, Submission
from gantry.domain.events import Actor
from gantry.domain.referral import (
    ITEMS,
    Context,
    Finding,
    Kind,
    ReferralState,
    Severity,
    findings,
    plain,
    typed,
    unknown_names,
)

ORDER_NUMBER = "placer_order_number"
MOST_ROWS, MOST_BYTES, LONGEST_CELL = 200, 2 * 1024 * 1024, 4_000
MOST_COLUMNS, LONGEST_ORDER, NAMED = 500, 80, 20
LETTER_OF_UTF8 = re.compile(rb"[\xc3-\xf4][\x80-\xbf]+")
"""Beyond ASCII as UTF-8 writes it: in Excel's own encoding this would be two letters that nobody's name holds."""
COLUMNS = (ORDER_NUMBER, *(item.name for item in ITEMS if item.kind is not Kind.DERIVED and not item.filled_here))


@dataclass(frozen=True, slots=True)
class CellFinding:
    row: int
    column: str
    message: str
    refused: bool


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of one row. `row` counts as a spreadsheet does: the headings are row 1."""

    row: int
    said: str
    order_number: str
    referral: Referral | None
    where_to: str = ""


@dataclass(frozen=True, slots=True)
class Uploaded:
    outcomes: tuple[RowOutcome, ...]
    findings: tuple[CellFinding, ...]


@dataclass(frozen=True, slots=True)
class NotRead:
    """Nothing of the file was kept."""

    reasons: list[str]


def template() -> str:
    """The headings, for somebody to fill in."""
    out = StringIO()
    csv.writer(out).writerow(COLUMNS)
    return out.getvalue()


def rows_of(content: bytes) -> list[list[str]] | NotRead:
    """The file as cells. Excel's own encoding is understood; what is not text is not."""
    if len(content) > MOST_BYTES:
        return NotRead([f"The file is larger than {MOST_BYTES // 1024 // 1024} MB: send it in parts"])
    if b"\x00" in content:
        return NotRead(["The file is not text: save it as CSV (UTF-8)"])
    text = text_of(content)
    if isinstance(text, NotRead):
        return text
    rows: list[list[str]] = []
    try:
        for row in csv.reader(StringIO(text, newline=""), strict=True):
            if len(row) > MOST_COLUMNS:
                return NotRead([f"Row {len(rows) + 1} has {len(row)} cells; {MOST_COLUMNS} are read at most"])
            rows.append(row if any(cell.strip() for cell in row) else [])
    except csv.Error as error:
        return NotRead([f"The file is not CSV: {error}"])
    if not any(rows):
        return NotRead(["The file is empty"])
    return rows


def text_of(content: bytes) -> str | NotRead:
    """UTF-8, or Excel's own encoding. A file that is neither throughout is not guessed at: names would be kept wrong."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        spoilt = error.start
    if content.startswith(b"\xef\xbb\xbf") or LETTER_OF_UTF8.search(content):
        line = content[:spoilt].replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n") + 1
        return NotRead([f"Line {line} has letters that are not UTF-8, and others are: save the file as CSV (UTF-8)"])
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return NotRead(["The file's letters cannot be read: save it as CSV (UTF-8)"])


def why_not_headings(headings: list[str]) -> list[str]:
    reasons = []
    names = [name.strip().lower() for name in headings]
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        return ["The cells of row 1 are not parted by commas: save the file as CSV (comma delimited)"]
    if ORDER_NUMBER not in names:
        reasons.append(f"Row 1 has no column {ORDER_NUMBER}: it is how a row sent twice stays one referral")
    twice = sorted(name for name, times in Counter(names).items() if name and times > 1)
    reasons += [f"Row 1 has two columns called {named(name)}" for name in twice[:NAMED]]
    unknown = unknown_names({name: "" for name in names if name and name != ORDER_NUMBER})
    if unknown:
        said = ", ".join(named(name) for name in unknown[:NAMED])
        reasons.append(f"Row 1 has columns that the data set does not know: {said}")
    return reasons


def named(heading: str) -> str:
    return heading if len(heading) <= LONGEST_ORDER else f"{heading[:LONGEST_ORDER]}…"


def upload(
    content: bytes,
    *,
    network: Network,
    organisation: Organisation,
    referrer: Person,
    now: datetime,
    by: Actor,
) -> Uploaded | NotRead:
    """Take each row in by itself: one that is refused stops no other, and the same file again changes nothing."""
    rows = rows_of(content)
    if isinstance(rows, NotRead):
        return rows
    headings = [name.strip().lower() for name in rows[0]]
    reasons = why_not_headings(rows[0])
    filled = [(number, row) for number, row in enumerate(rows[1:], start=2) if row]
    if len(filled) > MOST_ROWS:
        reasons.append(f"The file has {len(filled)} rows; {MOST_ROWS} are taken at a time")
    if not filled:
        reasons.append("The file has headings and no rows")
    if reasons:
        return NotRead(reasons)
    context = context_for(network, timezone.localdate(now), referring=organisation)
    outcomes: list[RowOutcome] = []
    faults: list[CellFinding] = []
    for number, row in filled:
        sent = Sent(number, headings, row, context, network, organisation, referrer)
        outcome, found = take(sent, now=now, by=by)
        outcomes.append(outcome)
        faults += found
    return Uploaded(tuple(outcomes), tuple(faults))


@dataclass(frozen=True, slots=True)
class Sent:
    """One row with what is needed to take it in."""

    number: int
    headings: list[str]
    cells: list[str]
    context: Context
    network: Network
    organisation: Organisation
    referrer: Person

    @property
    def raw(self) -> dict[str, str]:
        return {
            name: cell.strip() for name, cell in zip(self.headings, self.cells, strict=False) if name and cell.strip()
        }


def take(sent: Sent, *, now: datetime, by: Actor) -> tuple[RowOutcome, list[CellFinding]]:
    raw = sent.raw
    order = raw.pop(ORDER_NUMBER, "")
    answers, unreadable = typed(raw, sent.context)
    wrong = list(shape_faults(sent, order))
    if wrong:
        checked = findings(answers, on=timezone.localdate(now), context=sent.context)
        rest = [Found(one, "") for one in once([*unreadable, *checked])]
        wrong += placed(sent.number, rest, kept=False)
        return RowOutcome(sent.number, "Refused", named(order), None, sent.context.signposts.mend), wrong
    submission = Submission(
        door="csv",
        source_key=f"csv:{sent.organisation.ods_code}:{order}",
        answers=answers,
        network=sent.network,
        coordinates={name: f"row {sent.number}, column {name}" for name in COLUMNS},
        sender_organisation=sent.organisation,
        referrer=sent.referrer,
        placer_order_number=order,
        findings=tuple(unreadable),
    )
    got = receive(submission, now=now, by=by)
    if not isinstance(got, Received):
        return RowOutcome(sent.number, "Refused", order, None, got.where_to), list(
            placed(sent.number, got.found, kept=False)
        )
    if got.repeated:
        return again(sent, got.referral, answers, unreadable, order, now=now, by=by)
    said = {
        ReferralState.TO_VET: "Kept, complete",
        ReferralState.AWAITING_REFERRER: "Kept, with questions to answer",
        ReferralState.REDIRECTED: "Kept, and passed on",
    }[ReferralState(got.referral.state)]
    return RowOutcome(sent.number, said, order, got.referral, got.where_to), list(placed(sent.number, got.found))


def shape_faults(sent: Sent, order: str) -> Iterator[CellFinding]:
    if len(sent.cells) > len(sent.headings):
        message = f"The row has {len(sent.cells)} cells; the headings are {len(sent.headings)}"
        yield CellFinding(sent.number, "", message, True)
    if not order:
        yield CellFinding(sent.number, ORDER_NUMBER, "Give your own order number for this request", True)
    elif len(order) > LONGEST_ORDER or not order.isprintable():
        # Cut to length, two orders could be one.
        said = f"An order number has at most {LONGEST_ORDER} characters, all of them printable"
        yield CellFinding(sent.number, ORDER_NUMBER, said, True)
    for name, cell in zip(sent.headings, sent.cells, strict=False):
        if len(cell) > LONGEST_CELL:
            yield CellFinding(sent.number, name, f"At most {LONGEST_CELL} characters; this has {len(cell)}", True)


def again(
    sent: Sent,
    referral: Referral,
    answers: dict[str, object],
    unreadable: list[Finding],
    order: str,
    *,
    now: datetime,
    by: Actor,
) -> tuple[RowOutcome, list[CellFinding]]:
    """A row sent before: nothing changes, unless it now answers what was asked. It never becomes somebody else's."""
    other = another_person(referral, plain(answers))
    if other:
        said = "This differs from the referral under this order number. Another patient's has a number of its own"
        wrong = [CellFinding(sent.number, name, said, True) for name in (ORDER_NUMBER, other)]
        return RowOutcome(sent.number, "Refused", order, None, sent.context.signposts.mend), wrong
    waiting = referral.state == ReferralState.AWAITING_REFERRER
    changed = any(referral.answers.get(name) != value for name, value in plain(answers).items())
    if not (waiting and changed):
        said = "Sent before: change it on its own page" if changed else "Sent before: nothing changed"
        return RowOutcome(sent.number, said, order, referral), []
    answered = answer(referral, answers, now=now, by=by, person=sent.referrer, unreadable=unreadable)
    left = [Found(one, "") for one in answered.left]
    said = "Sent before: still has questions" if left else "Sent before: now complete"
    return RowOutcome(sent.number, said, order, answered.referral), list(placed(sent.number, left))


def another_person(referral: Referral, given: dict[str, object]) -> str:
    """The item by which a row is about somebody else than the referral kept under its order number; else empty."""
    held = referral.answers
    for name in ("nhs_number", "date_of_birth"):
        if given.get(name) and held.get(name) and given[name] != held[name]:
            return name
    agreed = any(given.get(name) and given.get(name) == held.get(name) for name in ("nhs_number", "local_patient_id"))
    families = [str(one.get("family_name") or "").casefold() for one in (given, held)]
    return "family_name" if not agreed and all(families) and families[0] != families[1] else ""


def placed(number: int, found: tuple[Found, ...] | list[Found], *, kept: bool = True) -> Iterator[CellFinding]:
    for one in found:
        if one.finding.severity is not Severity.WARN:
            yield CellFinding(number, one.finding.field, one.finding.message, not kept)
