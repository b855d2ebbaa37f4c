"""Shared pages: the stylesheet without outside addresses, errors in plain words, lists that live in their address."""

import csv
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import PermissionDenied
from django.test import Client, RequestFactory

from gantry.apps.ui import charts, demonstration, navigation, showcase, styles, views
from gantry.apps.ui.listing import Column, Filter, Listing, Search
from gantry.apps.ui.parts import Tag


def test_the_stylesheet_asks_nobody_outside(client: Client) -> None:
    response = client.get(styles.address())
    css = response.content.decode()
    assert response.status_code == 200 and response["Content-Type"].startswith("text/css")
    assert "immutable" in response["Cache-Control"]
    assert "http://" not in css and "https://" not in css and "@font-face" not in css
    assert "/static/nhsuk/assets/images/nhsuk-icon-cross.svg" in css
    packed = client.get(styles.address(), headers={"Accept-Encoding": "gzip, br"})
    assert packed["Content-Encoding"] == "br" and len(packed.content) < len(response.content) / 5


@pytest.mark.django_db
def test_error_pages_say_what_happened_and_what_to_do(rf: RequestFactory) -> None:
    request = rf.post("/x/", {"question": "Is it <back>?", "password": "hidden words", "csrfmiddlewaretoken": "t"})
    request.user = AnonymousUser()
    assert "No licence covers it" in views.forbidden(request, PermissionDenied("No licence covers it")).content.decode()
    assert "nothing at this address" in views.not_found(request).content.decode()
    refused = views.stale_csrf(request)
    assert refused.status_code == 403
    assert "Is it &lt;back&gt;?" in refused.content.decode() and "hidden words" not in refused.content.decode()


def test_the_page_for_a_broken_world_needs_no_database(rf: RequestFactory) -> None:
    """No django_db mark: any query here fails the test."""
    assert "our fault" in views.gone_wrong(rf.get("/")).content.decode()
    assert "nothing was changed" in views.bad_request(rf.get("/")).content.decode()


@pytest.mark.django_db
def test_components_are_shown_in_a_demonstration_only(client: Client, settings: Any) -> None:
    settings.DEMONSTRATION = True
    for part in ("", *(f"{part}/" for part in showcase.PARTS)):
        response = client.get(f"/ui/components/{part}")
        assert response.status_code == 200, part
        assert b"DEMONSTRATION" in response.content
        assert b" style=" not in response.content and b" onclick=" not in response.content
    assert client.get("/ui/components/none/").status_code == 404
    settings.DEMONSTRATION = False
    assert client.get("/ui/components/").status_code == 404


@pytest.mark.django_db
def test_a_board_refreshes_only_what_changes(client: Client) -> None:
    part = client.get("/ui/components/board/", headers={"HX-Request": "true", "HX-Target": "board-live"})
    assert b"<html" not in part.content and b"data-drawn-at" in part.content and b"PATIENT-ASH" in part.content


def test_navigation_follows_roles(rf: RequestFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(navigation, "_items", {})
    monkeypatch.setattr(navigation, "_roles_of", [])
    navigation.register("Components", "ui:components", roles={"lead"}, order=2)
    navigation.register("Style", "ui:nhsuk_css", order=1)
    navigation.register("Nowhere", "ui:not_there")
    request = rf.get("/ui/components/form/")
    request.user = AnonymousUser()
    assert navigation.links(request) == []
    request.user = type("Somebody", (), {"is_authenticated": True})()
    assert [link.label for link in navigation.links(request)] == ["Style"]
    navigation.roles_from(lambda request: ["lead"])
    assert [(link.label, link.current) for link in navigation.links(request)] == [
        ("Style", False),
        ("Components", True),
    ]


def test_the_bar_lists_people_in_a_demonstration_only(
    rf: RequestFactory, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demonstration, "_people_for", [])
    request = rf.get("/")
    request.user = AnonymousUser()
    demonstration.people_from(lambda request: [demonstration.DemoPerson("1", "Ash", "Lead", "North")])
    settings.DEMONSTRATION = True
    assert [person.name for person in demonstration.people(request)] == ["Ash"]
    assert demonstration.people(rf.get("/")) == []
    settings.DEMONSTRATION = False
    assert demonstration.people(request) == []


LIST = Listing(
    caption="Groups",
    columns=(
        Column("name", "Name", lambda g: g.name, sort="name"),
        Column("state", "State", lambda g: Tag("Open", "good")),
        Column("at", "At", lambda g: datetime(2026, 7, 1, 12, 0, tzinfo=UTC)),
    ),
    href=lambda g: f"/groups/{g.pk}/",
    filters=(
        Filter("start", "Starts with", lambda q, v: q.filter(name__startswith=v), choices=[("a", "A"), ("b", "B")]),
        Search("q", "Name", lambda q, v: q.filter(name__icontains=v)),
    ),
    default_sort="-name",
    page_size=10,
)


@pytest.mark.django_db
def test_a_list_lives_in_its_address(rf: RequestFactory) -> None:
    Group.objects.bulk_create([Group(name=f"{letter}{i:02}") for letter in "ab" for i in range(15)])
    first = LIST.page(rf.get("/"), Group.objects.all())
    assert (first.first, first.last, first.total) == (1, 10, 30)
    assert first.lines[0].cells[0] == "b14" and first.headings[0].direction == "descending"
    assert first.previous_href == "" and first.next_href == "?page=2"

    second = LIST.page(rf.get("/", {"start": "a", "sort": "name", "page": "2"}), Group.objects.all())
    assert [line.cells[0] for line in second.lines] == [f"a{i}" for i in range(10, 15)]
    assert second.filtered and second.next_href == "" and "start=a" in second.previous_href
    assert second.headings[0].href == "?start=a&sort=-name"

    for odd in ({"page": "999"}, {"page": "-1"}, {"page": "x"}, {"page": "²"}, {"sort": "password"}, {"start": "zz"}):
        assert LIST.page(rf.get("/", odd), Group.objects.all()).total == 30
    assert LIST.page(rf.get("/", {"q": "nobody"}), Group.objects.all()).lines == ()


@pytest.mark.django_db
def test_csv_is_the_same_list_and_no_formula(rf: RequestFactory) -> None:
    Group.objects.bulk_create([Group(name="=1+1"), Group(name="ash"), Group(name="birch")])
    request = rf.get("/", {"format": "csv", "sort": "name", "page": "3"})
    assert LIST.wants_csv(request)
    response = LIST.csv(request, Group.objects.exclude(name="birch"), "groups.csv")
    rows = list(csv.reader(StringIO(response.content.decode("utf-8-sig"))))
    assert rows == [
        ["Name", "State", "At"],
        ["'=1+1", "Open", "2026-07-01T13:00+01:00"],
        ["ash", "Open", "2026-07-01T13:00+01:00"],
    ]


def test_charts_say_their_numbers_and_escape_their_words() -> None:
    chart = charts.line_chart(
        "A <b>", ["1", "2", "3"], [charts.Series("x", [1.0, None, 3.0])], sentence="From 1 to 3.", target=2
    )
    assert "<b>" not in chart.svg and 'role="img"' in chart.svg and "<desc>From 1 to 3.</desc>" in chart.svg
    assert chart.svg.count("<polyline") == 2, "a gap is drawn as a gap"
    assert chart.rows == [("1", 1.0), ("2", None), ("3", 3.0)]
    assert "style=" not in chart.svg
    for values in ([0.0], [5.0, 5.0], [], [1e-9, 1e9]):
        charts.bar_chart("t", [str(v) for v in values], [charts.Series("x", values)], sentence="s")


def test_a_decay_chart_asks_the_physics() -> None:
    start = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    hours = [start.replace(hour=9 + h) for h in range(5)]
    chart = charts.decay_chart(
        "Vial", hours, lambda m: 800 * 0.5 ** ((m - start).total_seconds() / 3600), zone=UTC, floor_mbq=200
    )
    assert chart.sentence == "800\u00a0MBq at 09:00, 50.0\u00a0MBq at 13:00. Below 200\u00a0MBq after about 11:00."
    assert chart.rows[1] == ("10:00", "400\u00a0MBq")


def test_a_decay_chart_shows_what_is_committed_of_it_and_where_it_is_tightest() -> None:
    start = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    hours = [start.replace(hour=9 + h) for h in range(3)]

    def drawn(*promised: float):
        return charts.decay_chart(
            "Vial", hours, lambda m: 800 * 0.5 ** ((m - start).total_seconds() / 3600), zone=UTC,
            committed_at=lambda m: promised[min((m - start).seconds // 3600, len(promised) - 1)],
        )  # fmt: skip

    chart = drawn(300.0, 350.0, 0.0)
    assert chart.sentence.endswith("At the tightest, 10:00, 50.0\u00a0MBq is free.")
    assert chart.rows[1] == ("10:00", "400\u00a0MBq", "350\u00a0MBq", "50.0\u00a0MBq")
    assert chart.svg.count("<polyline") == 2 and "Committed" in chart.svg
    assert drawn(300.0, 450.0, 0.0).rows[1][3] == "short 50.0\u00a0MBq"
    assert drawn(0.0).sentence.endswith("Nothing of it is committed.")
