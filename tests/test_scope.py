"""Every page's query starts from what the person may see; every table says what that is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import Q

from gantry.apps.audit.models import Row
from gantry.domain.access import Scope
from tests.test_architecture import ROOT, shown

VIEWS = sorted(path for pattern in ("apps/*/views.py", "apps/*/views/*.py") for path in (ROOT / "gantry").glob(pattern))
NOBODY = Scope(frozenset())
ROWS = [model for model in apps.get_models() if issubclass(model, Row)]
OPEN = {model.__name__ for model in ROWS if model.scope(NOBODY) == Q()}
"""Names and addresses of the network: organisations, sites, scanners. Anything of a patient is closed."""
CLOSED = {model.__name__ for model in ROWS} - OPEN
OWN_RULE = {
    # A person's own sign-in, drafts and grants are found by the person; break-glass rows by those who review them.
    ("accounts", "BreakGlass"),
    # Finds nobody's record: it says only that an exact NHS number is known, to somebody who may break the glass.
    ("desk", "Patient"),
}


def unscoped(source: str) -> Iterator[tuple[str, int]]:
    """`Model.objects…` on a closed table in whose chain nothing narrows to the person."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and node.attr == "objects" and isinstance(node.value, ast.Name)):
            continue
        if node.value.id not in CLOSED:
            continue
        above: ast.AST = node
        names = set()
        while isinstance(parent := getattr(above, "parent", None), ast.Attribute | ast.Call):
            if isinstance(parent, ast.Call) and parent.func is not above:
                break
            if isinstance(parent, ast.Attribute):
                names.add(parent.attr)
            above = parent
        if "for_user" not in names and not hangs_from_a_row(node):
            yield node.value.id, node.lineno


def hangs_from_a_row(node: ast.AST) -> bool:
    """Inside a query that is scoped itself: a subquery on the outer row's key, or what is fetched along with its rows."""
    above: ast.AST | None = node
    while above is not None and not isinstance(above, ast.stmt):
        if isinstance(above, ast.Call):
            if isinstance(above.func, ast.Name) and above.func.id == "Prefetch":
                return True
            given = [keyword.value for keyword in above.keywords]
            if any(isinstance(v, ast.Call) and isinstance(v.func, ast.Name) and v.func.id == "OuterRef" for v in given):
                return True
        above = getattr(above, "parent", None)
    return False


def test_the_tables_of_patients_are_closed():
    assert {"Patient", "Referral", "Appointment", "Report", "Study", "Dose", "Event", "OutboxMessage"} <= CLOSED
    assert {"Organisation", "Site"} <= OPEN


@pytest.mark.parametrize("path", VIEWS, ids=shown)
def test_pages_ask_only_for_what_the_person_may_see(path: Path):
    room = path.relative_to(ROOT / "gantry" / "apps").parts[0]
    found = [(name, line) for name, line in unscoped(path.read_text()) if (room, name) not in OWN_RULE]
    assert not found


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ("Patient.objects.get(pk=1)", True),
        ("Patient.objects.filter(a=1).first()", True),
        ("Patient.objects.for_user(scope).get(pk=1)", False),
        ("get_object_or_404(Patient.objects.for_user(scope), pk=1)", False),
        ("Site.objects.get(pk=1)", False),
        ("Referral.objects.filter(patient__in=Patient.objects.for_user(s))", True),
        ('Exists(Report.objects.filter(procedure=OuterRef("pk")))', False),
        ('rows.prefetch_related(Prefetch("studies", Study.objects.filter(state="matched")))', False),
    ],
)
def test_an_unscoped_query_is_seen(line, caught):
    assert bool(list(unscoped(line))) is caught


@pytest.mark.parametrize("model", [m for m in ROWS if m.__name__ in CLOSED], ids=lambda m: m.__name__)
@pytest.mark.django_db
def test_a_person_without_organisations_sees_no_row(model):
    assert not model.objects.for_user(NOBODY).exists()
