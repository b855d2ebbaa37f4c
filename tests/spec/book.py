"""The rulebook: each spec test runs a rule on a small table and leaves a paragraph that people can read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from inspect import getdoc, getsourcelines
from pathlib import Path
from types import ModuleType

SPEC = Path(__file__).parent
RULES = SPEC.parent.parent / "docs" / "rules"

type Row = dict[str, str]


def read_table(text: str) -> list[Row]:
    """Rows of a table written as in a README: the first line names the columns, bars part them."""
    lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return []
    head, *rows = lines
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"{row} has not the {len(head)} columns of {head}")
    return [dict(zip(head, row, strict=True)) for row in rows]


@dataclass
class Spec:
    """What a spec test is given: call it with given, when and then. It asks the section's `decide` and compares."""

    decide: Callable[..., object]
    lines: list[str] = field(default_factory=list)

    def __call__(self, *, when: object, then: object, given: str = "") -> None:
        asked = when if isinstance(when, tuple) else (when,)
        rows = read_table(given)
        answer = self.decide(rows, *asked) if given else self.decide(*asked)
        assert answer == then, f"given {rows}, when {asked}: {answer!r}, not {then!r}"
        if rows:
            self.lines += ["**Given**", "", *printed(list(rows[0]), [list(row.values()) for row in rows]), ""]
        self.lines += [f"**When** {', '.join(in_words(one) for one in asked)}", ""]
        if isinstance(then, list):
            self.lines += ["**Then**", "", *[f"- {in_words(one)}" for one in then or ["nothing stands in the way"]], ""]
        else:
            self.lines += [f"**Then** {in_words(then)}", ""]

    def table(self, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table of the code itself, so that the rulebook cannot differ from it."""
        kept = [[in_words(cell) for cell in row] for row in rows]
        assert kept, "an empty table tells nothing"
        self.lines += [*printed(head, kept), ""]


def printed(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in [list(head), ["---"] * len(head), *escaped]]


def in_words(value: object) -> str:
    match value:
        case None:
            return "nothing stands in the way"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def chapters() -> list[str]:
    return sorted(folder.name for folder in SPEC.iterdir() if (folder / "__init__.py").is_file())


def sections(chapter: str) -> list[ModuleType]:
    """The chapter's files, in the order their names give."""
    names = sorted(path.stem for path in (SPEC / chapter).glob("test_*.py"))
    return [import_module(f"tests.spec.{chapter}.{name}") for name in names]


def paragraphs(section: ModuleType) -> list[Callable[[Spec], None]]:
    """The section's tests, in the order they are written."""
    tests = [value for name, value in vars(section).items() if name.startswith("test_")]
    return sorted(tests, key=lambda test: getsourcelines(test)[1])


def print_chapter(chapter: str) -> str:
    title = (getdoc(import_module(f"tests.spec.{chapter}")) or chapter).strip().removesuffix(".")
    lines = [f"# {title}", "", f"Printed from `tests/spec/{chapter}/` by `make rules`; not edited by hand.", ""]
    for section in sections(chapter):
        lines += [f"## {section.title}", ""]
        for test in paragraphs(section):
            spec = Spec(section.decide)
            test(spec)
            heading = test.__name__.removeprefix("test_").replace("_", " ")
            lines += [f"### {heading[:1].upper()}{heading[1:]}", "", (getdoc(test) or "").strip(), "", *spec.lines]
    return "\n".join(lines).rstrip() + "\n"


def print_book() -> dict[str, str]:
    """Every page of docs/rules by file name; the same input gives the same bytes."""
    pages = {f"{chapter}.md": print_chapter(chapter) for chapter in chapters()}
    index = ["# The rulebook", "", "What the service decides, as its own tests state it.", ""]
    for name, page in pages.items():
        index.append(f"- [{page.splitlines()[0].removeprefix('# ')}]({name})")
        index += [f"  - {line.removeprefix('## ')}" for line in page.splitlines() if line.startswith("## ")]
    return {"README.md": "\n".join(index) + "\n", **pages}
