"""Decides what a sender's text means: typed answers, and a finding in the sender's own field names for what means nothing.

Nothing is guessed: text that cannot be read is left out of the answers and reported.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from math import isfinite
from zoneinfo import ZoneInfo

from gantry.domain.identifiers import clean_nhs_number, clean_ods, clean_postcode
from gantry.domain.referral.asking import choices_of
from gantry.domain.referral.data_set import ITEMS
from gantry.domain.referral.facts import Answers, Choice, Context, Finding, Severity
from gantry.domain.referral.items import Item, Kind

LONDON = ZoneInfo("Europe/London")
UNREADABLE = "MDS-02"
NONE_WORDS = frozenset({"none", "nil", "no"})
YES_WORDS = frozenset({"yes", "y", "true", "1", "on"})
NO_WORDS = frozenset({"no", "n", "false", "0", "off"})
DATE_FORMS = ("%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d %B %Y", "%d %b %Y", "%Y%m%d")
LONGEST_TEXT = 4_000
YEARS = range(1850, 2201)
"""Outside these a date is a slip of the keys, and sums with it leave the calendar."""
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Controls, and marks that turn the letters after them round: a name would be read as another."""
IDENTITY = frozenset({"date_of_birth"})
"""Unreadable identity is refused: asking back about the wrong person helps nobody."""


class Unreadable(ValueError):
    """The text means nothing for this item; the message says what would."""


def typed(
    raw: Mapping[str, object], context: Context, *, zone: tzinfo = LONDON
) -> tuple[dict[str, object], list[Finding]]:
    """Answers from a sender's text, and a finding for each value that could not be read.

    `raw` holds text by item name (any letter case); dates may come in parts (`date_of_birth-day`), rows as
    `treatment_history-0-agent`, as mappings, or as one text (columns by `|`, rows by `;` or a new line).
    """
    given = {str(name).strip().lower(): value for name, value in raw.items()}
    answers: dict[str, object] = {}
    findings: list[Finding] = []
    for item in ITEMS:
        if item.kind is Kind.DERIVED:
            continue
        if item.kind is Kind.ROWS:
            value, wrong = read_rows(item, given, context, zone)
        else:
            value, wrong = read_one(item, gathered(item, item.name, given), context, zone, item.name)
        findings += wrong
        if value is not None:
            answers[item.name] = value
    return answers, findings


def gathered(item: Item, name: str, given: Mapping[str, object]) -> object:
    """The value under its name, or joined from a date's three boxes, or from a "none" box beside a list."""
    value = given.get(name)
    if value is None and item.kind is Kind.DATE:
        parts = [str(given.get(f"{name}-{part}") or "").strip() for part in ("year", "month", "day")]
        if any(parts):
            return "-".join(parts)
    return value


def read_one(item: Item, value: object, context: Context, zone: tzinfo, where: str) -> tuple[object, list[Finding]]:
    if value is None or (isinstance(value, str) and not value.strip()) or value == []:
        return None, []
    try:
        answer = READ[item.kind](item, value, context, zone)
        return (None if answer == () else answer), []
    except Unreadable as error:
        severity = Severity.REFUSE if item.name in IDENTITY else Severity.QUERY
        where_to = context.signposts.mend if severity is Severity.REFUSE else ""
        return None, [Finding(UNREADABLE, where, f"{item.label}: {error}", severity, where_to)]


def read_rows(item: Item, given: Mapping[str, object], context: Context, zone: tzinfo) -> tuple[object, list[Finding]]:
    value = given.get(item.name)
    if str(given.get(f"{item.name}_none") or "").strip().lower() in YES_WORDS:
        value = "none"
    if isinstance(value, str) and value.strip().lower() in NONE_WORDS:
        return (), []
    rows, findings = [], []
    for number, row in enumerate(raw_rows(item, value, given)):
        read = {}
        for column in item.columns:
            where = f"{item.name}-{number}-{column.name}"
            answer, wrong = read_one(column, gathered(column, column.name, row), context, zone, where)
            findings += wrong
            if answer is not None:
                read[column.name] = answer
        if read:
            rows.append(read)
    if isinstance(value, tuple | list) and not value:
        return (), []
    return tuple(rows) or None, findings


def raw_rows(item: Item, value: object, given: Mapping[str, object]) -> list[Mapping[str, object]]:
    if isinstance(value, str) and value.strip():
        names = [column.name for column in item.columns]
        lines = [line for line in re.split(r"[;\n]", value) if line.strip()]
        return [dict(zip(names, (cell.strip() for cell in line.split("|")), strict=False)) for line in lines]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [{str(name).lower(): cell for name, cell in row.items()} for row in value if isinstance(row, Mapping)]
    numbered: dict[int, dict[str, object]] = {}
    for name, cell in given.items():
        match = re.fullmatch(rf"{item.name}-(\d{{1,3}})-(.+)", name)
        if match:
            numbered.setdefault(int(match[1]), {})[match[2]] = cell
    return [numbered[number] for number in sorted(numbered)]


def read_text(item: Item, value: object, context: Context, zone: tzinfo) -> str:
    text = str(value).replace("\r\n", "\n").strip()
    if len(text) > LONGEST_TEXT:
        raise Unreadable(f"at most {LONGEST_TEXT} characters; this has {len(text)}")
    if UNSEEN.search(text):
        raise Unreadable("has a control character")
    if item.name == "nhs_number":
        return clean_nhs_number(text)
    if item.name.endswith(("_ods", "_assigner", "_issuer")):
        return clean_ods(text)
    if item.name == "postcode":
        return clean_postcode(text) or text.upper()
    return text


def read_number(item: Item, value: object, context: Context, zone: tzinfo) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        text = re.sub(r"\s*(kg|cm)$", "", str(value).strip().lower())
        if not re.fullmatch(r"[+-]?\d{1,9}(\.\d{1,6})?", text, re.ASCII):
            raise Unreadable("give a number, such as 72.5")
        number = float(text)
    if not isfinite(number):
        raise Unreadable("give a number, such as 72.5")
    return number


def read_integer(item: Item, value: object, context: Context, zone: tzinfo) -> int:
    number = read_number(item, value, context, zone)
    if number != int(number):
        raise Unreadable("give a whole number")
    return int(number)


def read_date(item: Item, value: object, context: Context, zone: tzinfo) -> date:
    if isinstance(value, datetime):
        day = read_moment(item, value, context, zone).astimezone(zone).date()
    elif isinstance(value, date):
        day = value
    else:
        day = written_date(str(value))
    if day.year not in YEARS:
        raise Unreadable(f"the year {day.year} cannot be right")
    return day


def written_date(text: str) -> date:
    spaced = re.sub(r"\s+", " ", text.strip())
    for form in DATE_FORMS:
        try:
            return datetime.strptime(spaced, form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    raise Unreadable("give a real date, such as 2026-03-31 or 31/3/2026")


def read_moment(item: Item, value: object, context: Context, zone: tzinfo) -> datetime:
    """In UTC. A time without a zone is the sender's wall clock."""
    if isinstance(value, datetime):
        moment = value
    else:
        try:
            moment = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise Unreadable("give a date and time, such as 2026-03-31T14:05") from None
    if moment.year not in YEARS:
        raise Unreadable(f"the year {moment.year} cannot be right")
    if moment.tzinfo:
        return moment.astimezone(UTC)
    instant = moment.replace(tzinfo=zone).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != moment:
        raise Unreadable("no clock showed this time: the clocks went forward over it")
    return instant


def read_yes_no(item: Item, value: object, context: Context, zone: tzinfo) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in YES_WORDS:
        return True
    if word in NO_WORDS:
        return False
    raise Unreadable("say yes or no")


def chosen(choices: Sequence[Choice], value: object) -> str:
    """By value or by label, whatever the letter case."""
    word = str(value).strip().casefold()
    for choice in choices:
        if word in (choice.value.casefold(), choice.label.casefold()):
            return choice.value
    shown = ", ".join(choice.value for choice in choices[:12])
    raise Unreadable(f"“{str(value).strip()[:60]}” is not one of: {shown}{', …' if len(choices) > 12 else ''}")


def read_choice(item: Item, value: object, context: Context, zone: tzinfo) -> str:
    if item.choices_from and item.choices_from not in context.lists:
        return str(value).strip()
    return chosen(choices_of(item, context), value)


def pieces(value: object) -> list[str]:
    parts = re.split(r"[,;|]", value) if isinstance(value, str) else [str(part) for part in as_sequence(value)]
    return [part.strip() for part in parts if part.strip()]


def as_sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, Sequence) else (value,)


def read_choices(item: Item, value: object, context: Context, zone: tzinfo) -> tuple[str, ...]:
    options = choices_of(item, context)
    found = dict.fromkeys(chosen(options, part) for part in pieces(value))
    if "none" in found and len(found) > 1:
        raise Unreadable("“none” and something else cannot both be true")
    return tuple(found)


def read_codes(item: Item, value: object, context: Context, zone: tzinfo) -> tuple[str, ...]:
    return tuple(dict.fromkeys(clean_ods(part) for part in pieces(value)))


READ: Mapping[Kind, Callable[[Item, object, Context, tzinfo], object]] = {
    Kind.TEXT: read_text,
    Kind.LONG_TEXT: read_text,
    Kind.INTEGER: read_integer,
    Kind.NUMBER: read_number,
    Kind.DATE: read_date,
    Kind.MOMENT: read_moment,
    Kind.YES_NO: read_yes_no,
    Kind.CHOICE: read_choice,
    Kind.CHOICES: read_choices,
    Kind.CODES: read_codes,
}


def plain(answers: Answers) -> dict[str, object]:
    """Answers as text, numbers and lists: what JSON can keep and `typed` reads back to the same answers."""
    return {name: plain_value(value) for name, value in answers.items() if value is not None}


def plain_value(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [plain_value(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): plain_value(one) for name, one in value.items()}
    return value


def unknown_names(raw: Mapping[str, object]) -> list[str]:
    """Names that no item has: a door whose senders type column headings tells them."""
    known = {item.name for item in ITEMS}
    stem = re.compile(r"-(day|month|year|\d{1,3}-.+)$")
    return [name for name in raw if stem.sub("", name.strip().lower()).removesuffix("_none") not in known]
