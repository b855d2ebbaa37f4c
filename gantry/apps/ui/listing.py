"""Lists that keep their filters in the address, sort by risk, page fast and export what they show."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from io import StringIO
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone

COUNTED_UP_TO = 10_000
LONGEST_NUMBER = 9
EXPORTED_UP_TO = 50_000


@dataclass(frozen=True, slots=True)
class Column:
    """`cell` gives what is shown; `sort` names the ORM fields behind the heading; `plain` what CSV gets instead."""

    key: str
    label: str
    cell: Callable[[Any], Any]
    sort: str | Sequence[str] = ()
    numeric: bool = False
    plain: Callable[[Any], Any] | None = None
    hide_narrow: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice in the address. `choices` are (value, words); `apply` narrows the query."""

    key: str
    label: str
    apply: Callable[[QuerySet, str], QuerySet]
    choices: Sequence[tuple[str, str]] | Callable[[HttpRequest], Sequence[tuple[str, str]]] = ()
    default: str = ""

    def options(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        return self.choices(request) if callable(self.choices) else self.choices


@dataclass(frozen=True, slots=True)
class Search:
    """A free-text box in the address."""

    key: str
    label: str
    apply: Callable[[QuerySet, str], QuerySet]


@dataclass(frozen=True, slots=True)
class Shown:
    """A filter as the page draws it."""

    key: str
    label: str
    value: str
    options: Sequence[tuple[str, str]]
    is_search: bool


@dataclass(frozen=True, slots=True)
class Heading:
    label: str
    numeric: bool
    hide_narrow: bool
    href: str
    direction: str
    """'', 'ascending' or 'descending': what the rows are sorted by now."""


@dataclass(frozen=True, slots=True)
class Line:
    item: Any
    href: str
    cells: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a list, ready for ui/components/table.html."""

    caption: str
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    filters: tuple[Shown, ...]
    filtered: bool
    first: int
    last: int
    total: int
    more_than_total: bool
    previous_href: str
    next_href: str
    csv_href: str
    sort: str


@dataclass(frozen=True)
class Listing:
    """The definition of a list, written once beside the view."""

    caption: str
    columns: Sequence[Column]
    href: Callable[[Any], str] = lambda item: ""
    filters: Sequence[Filter | Search] = ()
    default_sort: str = ""
    """A column's key, with '-' for descending: what is most at risk comes first."""
    tie: str = "pk"
    page_size: int = 50
    by_key: dict[str, Column] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_key", {column.key: column for column in self.columns})

    def narrowed(self, request: HttpRequest, rows: QuerySet) -> QuerySet:
        for each in self.filters:
            value = _given(request, each)
            if isinstance(each, Filter) and value and value not in {v for v, _ in each.options(request)}:
                continue
            if value:
                rows = each.apply(rows, value)
        return self._sorted(request, rows)

    def page(self, request: HttpRequest, rows: QuerySet) -> Listed:
        """The page that the address asks for; an address that makes no sense shows the first page."""
        rows = self.narrowed(request, rows)
        # Counted by key alone: what a row shows is not worked out for the rows that nobody sees.
        total = rows.order_by().values("pk")[: COUNTED_UP_TO + 1].count()
        number = min(page_number(request), max(1, -(-total // self.page_size)))
        start = (number - 1) * self.page_size
        found = list(rows[start : start + self.page_size])
        return Listed(
            caption=self.caption,
            headings=tuple(self._heading(request, column) for column in self.columns),
            lines=tuple(Line(item, self.href(item), tuple(c.cell(item) for c in self.columns)) for item in found),
            filters=tuple(_shown(request, each) for each in self.filters),
            filtered=any(_given(request, each) for each in self.filters),
            first=start + 1 if found else 0,
            last=start + len(found),
            total=min(total, COUNTED_UP_TO),
            more_than_total=total > COUNTED_UP_TO,
            previous_href=_with(request, page=number - 1) if number > 1 else "",
            next_href=_with(request, page=number + 1) if start + len(found) < total else "",
            csv_href=_with(request, page=None, format="csv"),
            sort=self._sort_key(request),
        )

    def wants_csv(self, request: HttpRequest) -> bool:
        return request.GET.get("format") == "csv"

    def csv(self, request: HttpRequest, rows: QuerySet, filename: str) -> HttpResponse:
        """The same rows in the same order, exact times, safe to open in a spreadsheet."""
        items = self.narrowed(request, rows)[:EXPORTED_UP_TO]
        cells = ([(c.plain or c.cell)(item) for c in self.columns] for item in items)
        return csv_file([column.label for column in self.columns], cells, filename)

    def _sort_key(self, request: HttpRequest) -> str:
        asked = request.GET.get("sort", "")
        column = self.by_key.get(asked.lstrip("-"))
        return asked if column and column.sort else self.default_sort

    def _sorted(self, request: HttpRequest, rows: QuerySet) -> QuerySet:
        key = self._sort_key(request)
        if not key:
            return rows
        names = _names(self.by_key[key.lstrip("-")].sort)
        if key.startswith("-"):
            names = tuple(name[1:] if name.startswith("-") else f"-{name}" for name in names)
        return rows.order_by(*names, self.tie)

    def _heading(self, request: HttpRequest, column: Column) -> Heading:
        now = self._sort_key(request)
        direction = {column.key: "ascending", f"-{column.key}": "descending"}.get(now, "")
        turned = f"-{column.key}" if direction == "ascending" else column.key
        href = _with(request, sort=turned, page=None) if column.sort else ""
        return Heading(column.label, column.numeric, column.hide_narrow, href, direction)


def csv_file(head: Sequence[str], rows: Iterable[Iterable[Any]], filename: str) -> HttpResponse:
    """A table for a spreadsheet: exact times, and never a formula."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    for row in rows:
        writer.writerow([_plain(cell) for cell in row])
    response = HttpResponse("\ufeff" + out.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def whole_number(text: str) -> int | None:
    """What a page or a script of ours sends as a count; longer ones are nobody's, and Python refuses to read them."""
    return int(text) if text.isdecimal() and len(text) <= LONGEST_NUMBER else None


def page_number(request: HttpRequest) -> int:
    return max(1, whole_number(request.GET.get("page", "")) or 1)


def _names(sort: str | Sequence[str]) -> tuple[str, ...]:
    return (sort,) if isinstance(sort, str) else tuple(sort)


def _given(request: HttpRequest, each: Filter | Search) -> str:
    return request.GET.get(each.key, getattr(each, "default", "")).strip()


def _shown(request: HttpRequest, each: Filter | Search) -> Shown:
    search = isinstance(each, Search)
    return Shown(each.key, each.label, _given(request, each), () if search else each.options(request), search)


def _with(request: HttpRequest, **change: Any) -> str:
    query: QueryDict = request.GET.copy()
    query.pop("format", None)
    for key, value in change.items():
        if value is None:
            query.pop(key, None)
        else:
            query[key] = str(value)
    return "?" + query.urlencode()


def _plain(value: Any) -> Any:
    """Text for a spreadsheet: exact local times, and never a formula."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(timezone.get_current_timezone()).isoformat(timespec="minutes")
    if isinstance(value, date | bool | int | float):
        return str(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "; ".join(str(_plain(each)) for each in value)
    text = str(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text != "-" else text
