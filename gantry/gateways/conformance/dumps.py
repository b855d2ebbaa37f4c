"""Reads data sets as DCMTK's dcmdump writes them: `(gggg,eeee) VR [value]`, items between brackets of their own."""

import re
from pathlib import Path

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

LINE = re.compile(r"\s*\(([0-9a-fA-F]{4}),([0-9a-fA-F]{4})\)\s+(\S+)\s*(.*)")
ITEM, ITEM_END, SEQUENCE_END = Tag(0xFFFE, 0xE000), Tag(0xFFFE, 0xE00D), Tag(0xFFFE, 0xE0DD)
CODECS = {"ISO_IR 100": "latin-1", "ISO_IR 192": "utf-8"}


def read_dump(path: Path) -> Dataset:
    raw = path.read_bytes()
    codec = next((codec for name, codec in CODECS.items() if name.encode() in raw), "latin-1")
    top = Dataset()
    open_sets, open_sequences = [top], []
    for line in raw.decode(codec).splitlines():
        found = LINE.match(line)
        if found is None:
            continue
        tag = Tag(int(found[1], 16), int(found[2], 16))
        if tag == ITEM:
            open_sets.append(Dataset())
            open_sequences[-1].append(open_sets[-1])
        elif tag == ITEM_END:
            open_sets.pop()
        elif tag == SEQUENCE_END:
            open_sequences.pop()
        elif found[3] == "SQ":
            open_sequences.append(Sequence())
            open_sets[-1].add_new(tag, "SQ", open_sequences[-1])
        elif tag not in open_sets[-1]:
            # Of an attribute written twice, DCMTK's own readers hold to the first.
            open_sets[-1].add_new(tag, vr_of(tag, found[3]), value(found[4]))
    return top


def value(text: str) -> str:
    """In brackets where the dump wrote them; else all before a comment."""
    bracketed = re.match(r"\[(.*?)\]\s*(#.*)?$", text)
    return bracketed[1] if bracketed else text.split(" #")[0].strip()


def vr_of(tag: BaseTag, said: str) -> str:
    return said if re.fullmatch("[A-Z]{2}", said) else dictionary_VR(tag)
