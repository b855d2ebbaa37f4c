"""Decides how bytes become text: the character set of MSH-18, and what to do when the bytes say otherwise."""

import codecs

CODECS: dict[str, str] = {
    "": "utf-8",
    "ASCII": "ascii",
    "ISO IR6": "ascii",
    "ISO IR 6": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "ISO IR192": "utf-8",
    "ISO_IR 192": "utf-8",
    "ISO IR87": "iso2022_jp",
    "ISO IR14": "shift_jis",
    "ISO IR159": "iso2022_jp_1",
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "KS X 1001": "euc_kr",
    "CNS 11643-1992": "euc_tw",
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)},
    **{f"ISO-8859-{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "WINDOWS-1252": "cp1252",
    "CP1252": "cp1252",
}
"""HL7 table 0211, and the names that engines write instead of it."""


def codec_for(declared: str) -> str | None:
    """Python's name for the set that MSH-18 declares; None when it is one we do not read."""
    name = CODECS.get(declared.strip().upper())
    if name is None:
        return None
    try:
        codecs.lookup(name)
    except LookupError:
        return None
    return name


def to_text(raw: bytes, codec: str) -> tuple[str, str | None]:
    """The text, and the codec really used when the declared one cannot be right for these bytes.

    A segment at a time, since one system's Z-segment rides in another's message. Nothing is lost: the last
    resort maps every byte to a character.
    """
    if raw.isascii() and not codec.startswith("iso2022"):
        return raw.decode("ascii"), None
    if codec == "iso8859-1":
        return western_text(raw)
    try:
        return raw.decode(codec), None
    except (UnicodeDecodeError, LookupError):
        pass
    if codec != "utf-8":
        try:
            return raw.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            pass
    text, used = western_text(raw)
    return text, used or "iso8859-1"


def western_text(raw: bytes) -> tuple[str, str | None]:
    """Latin 1, unless that would put control characters (0x80-0x9F) in the text, which no sender means."""
    text = raw.decode("iso8859-1")
    if not any("\x80" <= character <= "\x9f" for character in text):
        return text, None
    for codec in ("utf-8", "cp1252"):
        try:
            return raw.decode(codec), codec
        except UnicodeDecodeError:
            continue
    return text, None
