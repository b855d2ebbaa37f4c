"""Bytes of every kind become a message or a refusal."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gantry.gateways.hl7.message import Message, Separators, escape, read, split, unescape
from gantry.gateways.hl7.refusals import Refusal, Severity
from tests.gateways.hl7_samples import FULL_ORDER, order

HEADER = rb"MSH|^~\&|A|B|C|D|20260101||ADT^A01^ADT_A01|42|P|2.5.1"


def message(*lines: bytes, header: bytes = HEADER) -> Message:
    found = read(b"\r".join([header, *lines]))
    assert isinstance(found, Message), found
    return found


def test_components_repetitions_and_occurrences_are_counted_from_one():
    found = read(order())
    assert found.component("PID", 3, 1, repetition=2) == "9990000018"
    assert found.component("PID", 5, 2) == "Ada"
    assert found.component("OBX", 3, 2, occurrence=2) == "Body height"
    assert found.component("OBX", 3, 2, occurrence=99) == found.component("PID", 99) == found.component("ZZZ", 1) == ""
    assert found.component("MSH", 1) == "|"
    assert found.header.component(9, 3) == "OMI_O23"
    assert found.type == "OMI^O23"
    assert [segment.number for segment in found.all("OBX")] == [1, 2, 3, 4, 5, 6]


def test_subcomponents():
    found = message(b"PID|||||Van Dam&Van&Dam^Ada")
    assert found.first("PID").component(5, 1, subcomponent=3) == "Dam"
    assert found.component("PID", 5) == "Van Dam"


def test_hl7_null_reads_as_empty():
    assert message(b'PID|||""||""^Ada').component("PID", 5) == ""


@pytest.mark.parametrize("ending", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks(ending, mark):
    found = read(mark + order().replace(b"\r", ending))
    assert isinstance(found, Message)
    assert [s.name for s in found.segments][:3] == ["MSH", "PID", "PD1"]
    assert found.component("PID", 5) == "ZZTEST"


def test_a_segment_broken_in_text_keeps_its_line_break():
    assert message(b"NTE|1||first half", b"second half|x").component("NTE", 3) == "first half\nsecond half"


def test_a_segment_broken_beside_a_separator_is_joined():
    found = message(b"PID|1||77^^^RH8", b"^MR||Test^Ada")
    assert found.component("PID", 3, 5) == "MR"
    assert found.component("PID", 5, 2) == "Ada"


def test_what_follows_a_blank_line_is_not_of_the_message():
    found = message(b"NTE|1||text", b"", b"// the next one is a test")
    assert found.component("NTE", 3) == "text"


def test_batch_segments_are_not_the_message():
    found = message(b"PID|1", b"BTS|1", b"FTS|1")
    assert [segment.name for segment in found.segments] == ["MSH", "PID"]


def test_other_separators():
    found = read(b"MSH$%*!?$A$B$C$D$$$ADT%A01$42$P$2.5\rPID$1$$7*8$$O!S!Shea%Ada?Bea")
    assert found.separators == Separators("$", "%", "*", "!", "?")
    assert found.component("PID", 5) == "O%Shea"
    assert found.component("PID", 5, 2) == "Ada"
    assert found.component("PID", 3, repetition=2) == "8"


def test_separators_written_as_a_string_literal():
    assert message(header=HEADER.replace(b"\\&", b"\\\\&")).separators == Separators()


def test_fewer_separators():
    found = read(b"MSH|^~|A|B|C|D|||ADT^A01|42|P|2.1\rPID|||1&2^3")
    assert found.component("PID", 3) == "1&2"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"one\.br\two\.sp2\three", "one\ntwo\n\nthree"),
        (r"\H\bold\N\ text\.sk3\x", "bold text   x"),
        ("\\X4142\\", "AB"),
        (r"\XC7\\XC3\O", "ÇÃO"),
        (r"\Cabcd\x\M123456\y\Zlocal\z", "xyz"),
        (r"C:\temp\file", r"C:\temp\file"),
        ("lonely \\ end", "lonely \\ end"),
        (r"\Xzz\ \.nonsense\ ", r"\Xzz\ \.nonsense\ "),
        (r"\.sp-9\|", "|"),
    ],
)
def test_escapes(written, meant):
    assert unescape(written, Separators(), "iso8859-1") == meant


def test_hex_escapes_are_bytes_of_the_message_s_character_set():
    assert unescape(r"caf\XC3\\XA9\ \XE9\!", Separators(), "utf-8") == "café é!"


@given(st.text())
def test_what_is_escaped_comes_back(text):
    visible = "".join(c for c in text.replace("\r\n", "\n").replace("\r", "\n") if c >= " " or c == "\n")
    encoded = escape(visible, Separators())
    assert not set(encoded) & set("|^&~\r\n")
    assert unescape(encoded, Separators()) == visible


@pytest.mark.parametrize(
    ("declared", "raw", "text", "doubted"),
    [
        (b"UNICODE UTF-8", "Zoë".encode(), "Zoë", False),
        (b"8859/1", "Zoë".encode("iso8859-1"), "Zoë", False),
        (b"8859/15", "5 €".encode("iso8859-15"), "5 €", False),
        (b"8859/2", "Łódź".encode("iso8859-2"), "Łódź", False),
        (b"", "Zoë".encode(), "Zoë", False),
        (b"", "Zoë".encode("iso8859-1"), "Zoë", False),
        (b"8859/1", "12 – 35".encode(), "12 – 35", True),
        (b"8859/1", "12 – 35".encode("cp1252"), "12 – 35", True),
        (b"ASCII", "Zoë".encode(), "Zoë", True),
        (b"UNICODE UTF-8", "Zoë".encode("iso8859-1"), "Zoë", True),
        (b"GB 18030-2000", "北京".encode("gb18030"), "北京", False),
        (b"ISO IR87", "山田".encode("iso2022_jp"), "山田", False),
    ],
)
def test_character_sets(declared, raw, text, doubted):
    found = message(b"PID|||||" + raw, header=HEADER + b"||||||" + declared)
    assert found.component("PID", 5) == text
    assert [doubt.location for doubt in found.doubts] == (["PID^1"] if doubted else [])
    assert all(doubt.severity is Severity.WARNING for doubt in found.doubts)


def test_one_segment_in_another_character_set_spoils_only_itself():
    found = message("PID|||||Zoë".encode(), "ZAB|Zoë".encode("iso8859-1"), header=HEADER + b"||||||UNICODE UTF-8")
    assert found.component("PID", 5) == found.component("ZAB", 1) == "Zoë"
    assert [doubt.location for doubt in found.doubts] == ["ZAB^1"]


def test_a_character_set_we_do_not_read_is_refused_when_it_matters():
    header = HEADER + b"||||||KLINGON"
    assert message(b"PID|||||Ada", header=header).component("PID", 5) == "Ada"
    found = read(header + b"\rPID|||||\xff\xfe")
    assert isinstance(found, Refusal)
    assert found.location == "MSH^1^18^1"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x0b\x1c\r", b"hello", b"PID|1", b"MSH", b"MSH|", b"MSH||", b"MSH|^^^^|", b"MSH|abcd|", b"MSHX|^~\\&|",
        b"M\x00S\x00H\x00|\x00", b"\xff\xfeM\x00S\x00H\x00", b"MSH|^~|&|"[:5] + b"|", b'{"resourceType": "Bundle"}',
        b"MSH\xe0\xa1\xa2|^~\\&|", b"MSH\x00^~\\&\x00",
    ],
)  # fmt: skip
def test_what_is_not_hl7_is_refused_with_a_place(data):
    found = read(data)
    if isinstance(found, Message):  # MSH and separators alone are enough to answer
        assert found.type == ""
    else:
        assert found.location.startswith("MSH^1")


@pytest.mark.parametrize("marks", [b"^~\\&\0", b"^\0~\\&", b"^~\\\0", b"\0", b"^~\\&#\0\0", b"^~\x07&", b"^~\\\xa3"])
def test_separators_that_cannot_be_printed_are_refused_where_they_stand(marks):
    found = read(order().replace(b"|^~\\&|", b"|" + marks + b"|", 1))
    assert isinstance(found, Refusal)
    assert (found.location, found.severity) == ("MSH^1^2", Severity.ERROR)
    other = read(order().replace(b"MSH|", b"MSH\0", 1))
    assert isinstance(other, Refusal)
    assert other.location == "MSH^1^1"


def test_several_messages_in_one_piece():
    one, two = order(), order(MSH=HEADER.decode())
    noise = b"/*\n * examples\n */\n"
    parts = split(noise + one + b"\n// comment\n\n\xef\xbb\xbf" + two)
    assert [read(part).control_id for part in parts] == ["C-1001", "42"]
    assert split(b"nothing here") == (b"nothing here",)
    assert split(b"") == (b"",)


def test_text_that_mentions_msh_begins_no_message():
    assert len(split(order() + b"NTE|1||see MSH|10 above\r")) == 1


@given(st.binary(max_size=400))
@example(b"MSH|^~\\&" * 3)
@example(b"\rMSH\r|MSH|^~\\&|||||||||||||||||\xff")
def test_no_bytes_raise(data):
    for part in split(data):
        found = read(part)
        if isinstance(found, Message):
            exercise(found)


@given(st.binary(max_size=60), st.integers(0, len(FULL_ORDER)), st.integers(0, 30))
def test_no_damage_raises(noise, place, cut):
    data = order()
    found = read(data[:place] + noise + data[place + cut :])
    if isinstance(found, Message):
        exercise(found)


@given(st.text(alphabet='|^~\\&\r\nMSHPIDX09.br"', max_size=200))
def test_no_arrangement_of_separators_raises(text):
    found = read(HEADER + b"\r" + text.encode())
    assert isinstance(found, Message)
    exercise(found)


def exercise(found: Message) -> None:
    assert found.type is not None
    for segment in found.segments:
        for number in range(len(segment.fields) + 1):
            segment.text(number)
            for place in range(len(segment.repetitions(number)) + 1):
                segment.component(number, 2, repetition=place, subcomponent=2)


def test_ten_megabytes_are_read_in_one_pass():
    found = message(b"OBX|1|ED|||^AP^PDF^Base64^" + b"QUJD" * 2_500_000)
    assert len(found.component("OBX", 5, 5)) == 10_000_000
    assert len(read(HEADER + b"\rPID|1" + b"~" * 500_000 + b"\\" * 100_000).first("PID").repetitions(1)) == 500_001


def test_a_hundred_thousand_stray_escapes_cost_little():
    assert len(unescape("\\x" * 100_000, Separators())) == 200_000
