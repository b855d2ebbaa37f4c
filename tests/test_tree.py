"""What the tree holds and must not hold: documents that point at what exists, and no address of anybody's registry."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "gantry").rglob("*.md")]
)
# Written in halves so that this file is not what it looks for.
HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry.npm" + "js.org",
    "npm" + "js.com",
    "registry." + "yarnpkg.com",
    "deb." + "debian.org",
    "crates" + ".io",
    "docker" + ".io",
    "proxy.golang" + ".org",
]
PATHS_OF_ONE_MACHINE = ["/work" + "/main", "/work" + "/shared", "/root" + "/.", "/home" + "/runner"]
UNFINISHED = ["TO" + "DO", "FIX" + "ME", "XX" + "X:", "NotImplemented" + "Error"]


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def lines_holding(needles: list[str], files: list[Path]) -> Iterator[str]:
    pattern = re.compile("|".join(re.escape(needle) for needle in needles).encode())
    for path in files:
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}"


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_tracked_file_names_a_registry():
    assert not list(lines_holding(HOSTS, tracked()))


def test_no_tracked_file_names_a_place_on_one_machine():
    assert not list(lines_holding(PATHS_OF_ONE_MACHINE, tracked()))


def test_nothing_is_left_for_another_day():
    assert not list(lines_holding(UNFINISHED, tracked("gantry/*.py", "benchmarks/*.py", "scripts/*")))


def test_what_is_looked_for_would_be_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_tree.ROOT", tmp_path)
    planted = tmp_path / "planted.txt"
    for needle in (*HOSTS, *PATHS_OF_ONE_MACHINE, *UNFINISHED):
        planted.write_text(f"first\nsee {needle} there\n")
        assert list(lines_holding([needle], [planted])) == ["planted.txt:2"]


def test_decisions_have_numbers_of_their_own():
    numbers = Counter(path.name.split("-")[0] for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert all(number.isdigit() for number in numbers), numbers
    assert [number for number, times in numbers.items() if times > 1] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_every_path_a_document_names_exists(document):
    assert [name for name in paths_named(document.read_text()) if not exists(name, document)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_every_make_target_a_document_names_exists(document):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word
        for words in re.findall(r"`make ([a-z ]+?)(?: [A-Z]+=\S*)*`", document.read_text())
        for word in words.split()
    }
    assert named <= targets


def paths_named(text: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            yield target.split("#")[0]
    for code in re.findall(r"`([^`\n]+)`", text):
        for word in code.split():
            name = word.strip("\"',;()").split(":")[0]
            if re.match(r"(gantry|docs|tests|scripts|benchmarks|requirements)/", name) and not re.search(
                r"[<>…{$]", name
            ):
                yield name


def exists(name: str, document: Path) -> bool:
    for base in (document.parent, ROOT):
        if (base / name).exists() or ("*" in name and any(base.glob(name.rstrip("/")))):
            return True
    return False
