"""Reads a file of referrals: every fault of every row at once, by row and column; good rows are kept."""

import csv
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
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    try:
        rows = list(csv.reader(StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        return NotRead([f"The file is not CSV: {error}"])
    rows = [row if any(cell.strip() for cell in row) else [] for row in rows]
    if not any(rows):
        return NotRead(["The file is empty"])
    return rows


def why_not_headings(headings: list[str]) -> list[str]:
    reasons = []
    names = [name.strip().lower() for name in headings]
    if ORDER_NUMBER not in names:
        reasons.append(f"Row 1 has no column {ORDER_NUMBER}: it is how a row sent twice stays one referral")
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        reasons.append(f"Row 1 has two columns called {name}")
    unknown = unknown_names({name: "" for name in names if name and name != ORDER_NUMBER})
    if unknown:
        reasons.append(f"Row 1 has columns that the data set does not know: {', '.join(unknown[:20])}")
    return reasons


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
    order = raw.pop(ORDER_NUMBER, "")[:80]
    answers, unreadable = typed(raw, sent.context)
    wrong = list(shape_faults(sent, order))
    if wrong:
        checked = findings(answers, on=timezone.localdate(now), context=sent.context)
        rest = [Found(one, "") for one in once([*unreadable, *checked])]
        wrong += placed(sent.number, rest, kept=False)
        return RowOutcome(sent.number, "Refused", order, None, sent.context.signposts.mend), wrong
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
    """A row sent before: nothing changes, unless it now answers what was asked."""
    waiting = referral.state == ReferralState.AWAITING_REFERRER
    changed = any(referral.answers.get(name) != value for name, value in plain(answers).items())
    if not (waiting and changed):
        said = "Sent before: change it on its own page" if changed else "Sent before: nothing changed"
        return RowOutcome(sent.number, said, order, referral), []
    answered = answer(referral, answers, now=now, by=by, person=sent.referrer, unreadable=unreadable)
    left = [Found(one, "") for one in answered.left]
    said = "Sent before: still has questions" if left else "Sent before: now complete"
    return RowOutcome(sent.number, said, order, answered.referral), list(placed(sent.number, left))


def placed(number: int, found: tuple[Found, ...] | list[Found], *, kept: bool = True) -> Iterator[CellFinding]:
    for one in found:
        if one.finding.severity is not Severity.WARN:
            yield CellFinding(number, one.finding.field, one.finding.message, not kept)
