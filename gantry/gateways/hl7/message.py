"""Decides what an HL7 v2 message says: bytes in, segments and components out, or a refusal; it never raises.

Encoding rules: HL7 v2.5.1 chapter 2. Tolerated besides: a byte-order mark, LF or CRLF for CR, a segment broken
across lines, batch and comment lines around messages, other separators, a character set not as declared.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .charsets import codec_for, to_text
from .refusals import Fault, Refusal, Severity

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
FRAMING = b"\x0b\x1c"
BEFORE_START = b" \t" + FRAMING + BYTE_ORDER_MARK
LINE_BREAK = re.compile(rb"\r\n|\r|\n")
SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}\Z")
BATCH_SEGMENTS = frozenset({"FHS", "BHS", "BTS", "FTS", "DSC"})
MOST_LINES = 200_000
ESCAPE_MAX = 4096
"""A longer run between two escape characters is text with a stray escape character in it."""


@dataclass(frozen=True, slots=True)
class Separators:
    """MSH-1 and MSH-2. An empty one is not in use."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @property
    def encoding(self) -> str:
        return self.component + self.repetition + self.escape + self.subcomponent


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: its name, which of that name it is (from 1), and its fields still encoded."""

    name: str
    number: int
    fields: tuple[str, ...] = field(repr=False)
    separators: Separators = field(repr=False)
    codec: str = field(default="utf-8", repr=False)

    def raw(self, number: int) -> str:
        """Field `number`, counted as the standard does (MSH-1 is the separator itself)."""
        if self.name == "MSH":
            if number == 1:
                return self.separators.field
            number -= 1
        return self.fields[number] if 0 < number < len(self.fields) else ""

    def repetitions(self, number: int) -> tuple[str, ...]:
        """The field's repetitions, encoded; none for an empty field."""
        raw = self.raw(number)
        if not raw:
            return ()
        return tuple(raw.split(self.separators.repetition)) if self.separators.repetition else (raw,)

    def component(self, number: int, component: int = 1, *, repetition: int = 1, subcomponent: int = 1) -> str:
        """The text, escapes undone; empty when absent or HL7 null ("")."""
        repetitions = self.repetitions(number)
        if not 0 < repetition <= len(repetitions):
            return ""
        return self.part(repetitions[repetition - 1], component, subcomponent)

    def part(self, repetition: str, component: int, subcomponent: int = 1) -> str:
        """The same within one repetition that the caller holds."""
        found = nth(repetition, self.separators.component, component)
        return self.plain(nth(found, self.separators.subcomponent, subcomponent))

    def text(self, number: int) -> str:
        """The whole field as text: separators that a sender forgot to escape stay in it."""
        return self.plain(self.raw(number))

    def plain(self, encoded: str) -> str:
        if encoded == '""':
            return ""
        return unescape(encoded, self.separators, self.codec).strip()

    def location(self, number: int, repetition: int = 1, component: int | None = None) -> str:
        """ERL, for ERR-2."""
        place = f"{self.name}^{self.number}^{number}^{repetition}"
        return place if component is None else f"{place}^{component}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message read. `doubts` are what a person should know, never a reason to refuse by themselves."""

    segments: tuple[Segment, ...]
    separators: Separators
    charset: str
    doubts: tuple[Refusal, ...] = ()

    @property
    def header(self) -> Segment:
        return self.segments[0]

    @property
    def control_id(self) -> str:
        return self.header.component(10)

    @property
    def type(self) -> str:
        """MSH-9.1^MSH-9.2: what the message is routed by, whatever its file was called."""
        return f"{self.header.component(9, 1)}^{self.header.component(9, 2)}".rstrip("^")

    def all(self, name: str) -> tuple[Segment, ...]:
        return tuple(segment for segment in self.segments if segment.name == name)

    def first(self, name: str) -> Segment | None:
        return next((segment for segment in self.segments if segment.name == name), None)

    def component(self, name: str, number: int, component: int = 1, *, repetition: int = 1, occurrence: int = 1) -> str:
        found = self.all(name)
        if not 0 < occurrence <= len(found):
            return ""
        return found[occurrence - 1].component(number, component, repetition=repetition)


def nth(text: str, separator: str, number: int) -> str:
    parts = text.split(separator, number) if separator else [text]
    return parts[number - 1] if 0 < number <= len(parts) else ""


def split(data: bytes) -> tuple[bytes, ...]:
    """The messages in a frame or a file, each from its MSH; what stands before the first is dropped.

    With no MSH the data comes back whole, so that it can be refused.
    """
    begins = list(starts(data))
    if not begins:
        return (data,)
    return tuple(data[start:end] for start, end in zip(begins, [*begins[1:], len(data)], strict=True))


def starts(data: bytes) -> Iterator[int]:
    """Where each MSH stands that begins a line and is followed by a separator."""
    place = data.find(b"MSH")
    while place >= 0:
        line = data[max(place - 16, 0) : place]
        before = line.rstrip(BEFORE_START)
        begins_line = before.endswith((b"\r", b"\n")) or line.endswith(b"\x0b") or (not before and place <= 16)
        follower = data[place + 3 : place + 4]
        if begins_line and follower and not follower.isalnum() and not follower.isspace():
            yield place
        place = data.find(b"MSH", place + 3)


def read(data: bytes) -> Message | Refusal:
    """The first message in `data`, or why there is none."""
    begins = starts(data)
    start = next(begins, None)
    if start is None:
        return Refusal("MSH^1", Fault.SEGMENT_SEQUENCE, "The message does not begin with an MSH segment")
    message = data[start : next(begins, None)].rstrip(FRAMING)
    lines = LINE_BREAK.split(message)
    if len(lines) > MOST_LINES:
        return Refusal("MSH^1", Fault.VALUE_TOO_LONG, f"The message has more than {MOST_LINES} lines")
    separators = read_separators(to_text(lines[0], "iso8859-1")[0])
    if isinstance(separators, Refusal):
        return separators
    declared = declared_charset(lines[0], separators)
    codec = codec_for(declared)
    if codec is None and not message.isascii():
        return Refusal(
            "MSH^1^18^1", Fault.TABLE_VALUE_NOT_FOUND, "MSH-18 names a character set that is not supported (table 0211)"
        )
    return assemble(lines, separators, declared, codec or "ascii")


def read_separators(header: str) -> Separators | Refusal:
    """MSH-1 and MSH-2; `header` is the MSH line."""
    mark = header[3]
    end = header.find(mark, 4)
    encoding = header[4:] if end < 0 else header[4:end]
    if "\\\\" in encoding:
        encoding = encoding.replace("\\\\", "\\")  # written as a string literal by the sender's program
    if not mark.isascii() or not mark.isprintable():
        return Refusal("MSH^1^1", Fault.DATA_TYPE, "MSH-1 must be a printable ASCII separator")
    # A NUL beyond the fourth separator too: what holds one cannot be kept, wherever it stands.
    nul, encoding = "\0" in encoding, encoding[:4]
    if nul or not encoding.isascii() or not encoding.isprintable():
        return Refusal("MSH^1^2", Fault.DATA_TYPE, "MSH-2 must be printable ASCII separators, as in ^~\\&")
    if not encoding or mark in encoding or len(set(encoding)) != len(encoding) or re.search(r"[A-Za-z0-9\s]", encoding):
        return Refusal("MSH^1^2", Fault.DATA_TYPE, "MSH-2 must give distinct separators, as in ^~\\&")
    return Separators(mark, *(encoding[place : place + 1] for place in range(4)))


def declared_charset(header: bytes, separators: Separators) -> str:
    """MSH-18's first repetition, read before the rest can be: its own letters are always ASCII."""
    fields = header.decode("iso8859-1").split(separators.field)
    raw = fields[17] if len(fields) > 17 else ""
    return nth(nth(raw, separators.repetition, 1), separators.component, 1).strip()


def assemble(lines: list[bytes], separators: Separators, declared: str, codec: str) -> Message | Refusal:
    """Segments from lines: a line that is no segment continues the one above, unless a blank line parts them."""
    pieces: list[tuple[list[str], str, str | None]] = []
    names: list[str] = []
    open_segment = False
    for line in lines:
        text, used = to_text(line.removeprefix(BYTE_ORDER_MARK), codec)
        if not text.strip("\x0b\x1c \t\x00"):
            open_segment = False
            continue
        name = segment_name(text, separators.field)
        if name in BATCH_SEGMENTS:
            open_segment = False
        elif name:
            names.append(name)
            pieces.append(([text.lstrip()], used or codec, used))
            open_segment = True
        elif open_segment:
            pieces[-1][0].append(text)
            if used and pieces[-1][2] is None:
                pieces[-1] = (pieces[-1][0], used, used)

    segments: list[Segment] = []
    doubts: list[Refusal] = []
    counts: dict[str, int] = {}
    for name, (parts, used_codec, other) in zip(names, pieces, strict=True):
        counts[name] = number = counts.get(name, 0) + 1
        fields = tuple(join_lines(parts, separators).split(separators.field))
        segments.append(Segment(name, number, fields, separators, used_codec))
        if other and declared:
            text = f"Not in the declared character set {declared[:20]}; read as {other}"
            doubts.append(Refusal(f"{name}^{number}", Fault.DATA_TYPE, text, Severity.WARNING))
    if not segments or segments[0].name != "MSH":
        return Refusal("MSH^1", Fault.SEGMENT_SEQUENCE, "The MSH segment cannot be read in its character set")
    return Message(tuple(segments), separators, declared, tuple(doubts))


def segment_name(line: str, mark: str) -> str:
    """The name when the line begins a segment, else empty."""
    start = line.lstrip()
    name = start[:3]
    return name if SEGMENT_NAME.match(name) and (len(start) == 3 or start[3] == mark) else ""


def join_lines(parts: list[str], separators: Separators) -> str:
    """A break beside a separator means nothing; one inside text was meant as a new line."""
    if len(parts) == 1:
        return parts[0]
    marks = separators.field + separators.component + separators.repetition + separators.subcomponent
    joined = [parts[0]]
    for part in parts[1:]:
        beside = joined[-1][-1:] in marks or part[:1] in marks
        joined.append(part if beside else "\n" + part)
    return "".join(joined)


def unescape(text: str, separators: Separators, codec: str = "utf-8") -> str:
    """Escape sequences undone (chapter 2.7); one that is not known stays as it was written."""
    mark = separators.escape
    if not mark or mark not in text:
        return text
    out: list[str] = []
    waiting = bytearray()
    place = 0

    def flush() -> None:
        if waiting:
            out.append(to_text(bytes(waiting), codec)[0])
            waiting.clear()

    while place < len(text):
        start = text.find(mark, place)
        if start != place:
            flush()
            out.append(text[place:] if start < 0 else text[place:start])
            if start < 0:
                break
        end = text.find(mark, start + 1, start + ESCAPE_MAX)
        if end < 0:
            flush()
            out.append(text[start:])
            break
        sequence = text[start + 1 : end]
        if re.fullmatch(r"X(?:[0-9A-Fa-f]{2})+", sequence):
            waiting += bytes.fromhex(sequence[1:])
            place = end + 1
            continue
        flush()
        meaning = escape_meaning(sequence, separators)
        if meaning is None:
            out.append(mark)
            place = start + 1
        else:
            out.append(meaning)
            place = end + 1
    flush()
    return "".join(out)


def escape_meaning(sequence: str, separators: Separators) -> str | None:
    """What stands for one escape sequence; None when it is none of the standard's."""
    plain = {
        "F": separators.field,
        "S": separators.component,
        "T": separators.subcomponent,
        "R": separators.repetition,
        "E": separators.escape,
        "P": "#",
        "H": "",
        "N": "",
    }
    if sequence in plain:
        return plain[sequence]
    formatting = re.fullmatch(r"\.(br|sp|sk|ti|in|fi|nf|ce)\s*([+-]?\d{0,3})", sequence)
    if formatting:
        command, count = formatting[1], formatting[2]
        if command in ("br", "ce"):
            return "\n"
        times = max(int(count), 0) if count.strip("+-") else 1
        return {"sp": "\n", "sk": " "}.get(command, "") * min(times, 100)
    if re.fullmatch(r"C[0-9A-Fa-f]{4}|M[0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{2})?|Z[^\s]{0,40}", sequence):
        return ""
    return None


def escape(text: str, separators: Separators) -> str:
    """Text made safe for a field: separators as sequences, new lines as \\.br\\, other controls as a space."""
    mark = separators.escape
    if not mark:
        banned = separators.field + separators.encoding
        return "".join(" " if letter in banned or letter < " " else letter for letter in text)
    table = {
        separators.escape: f"{mark}E{mark}",
        separators.field: f"{mark}F{mark}",
        separators.component: f"{mark}S{mark}",
        separators.repetition: f"{mark}R{mark}",
        separators.subcomponent: f"{mark}T{mark}",
        "\n": f"{mark}.br{mark}",
    }
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(table.get(letter, " " if letter < " " else letter) for letter in text)
