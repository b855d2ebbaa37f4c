"""Every address as every role, from the wrong organisation: nobody else's object, nobody else's name, and never a fall."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest
from django.apps import apps
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from gantry.apps.accounts.models import RoleGrant
from gantry.apps.correspondence import services as correspondence
from gantry.apps.desk.views import KINDS
from gantry.apps.estate.models import Organisation, Site
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.reporting.services import Sections, verify
from gantry.apps.scanning.models import InjectorReport
from gantry.apps.scanning.services import visits
from gantry.apps.scanning.services.injecting import inject
from gantry.domain.access import VERBS, Role
from gantry.domain.message import Occasion
from gantry.domain.scan import Phase
from gantry.gateways.fhir.served import SERVED
from tests.apps.factories import NOW, PAPERS_FROM, Made, make_network, make_person
from tests.apps.reports import Reading, make_reading, receive
from tests.apps.scan_day import make_booked, scan

NAME = "Quillfeather"
"""On no page of anybody else's."""
NEVER = 500
WORDS: dict[str, tuple[str, ...]] = {
    "kind": tuple(KINDS),
    "code": ("no-such",),
    "step": ("identify", "inject", "scan"),
    "on": ("2026-11-23",),
}
OWN_ONLY = {"break_glass", "drop_draft"}
"""Opens outside the scope by a reason and shows nothing before; or touches nothing but one's own drafts."""
NOT_FOUND, FORBIDDEN, METHOD = 404, 403, 405


@dataclass(frozen=True)
class Place:
    """One address of ours, as the resolver knows it."""

    name: str
    route: str
    view: object
    keys: tuple[tuple[str, str], ...]
    """Name and kind of each part that varies."""

    def at(self, *said: object) -> str:
        path = self.route
        for (name, kind), value in zip(self.keys, said, strict=True):
            path = path.replace(f"<{kind}:{name}>", str(value))
        return f"/{path}"

    @property
    def ids(self) -> int:
        return sum(kind == "uuid" for _, kind in self.keys)


def places() -> list[Place]:
    found = []
    for route, pattern in walk(get_resolver(), ""):
        if not str(getattr(pattern.callback, "__module__", "")).startswith("gantry."):
            continue
        keys = tuple((name, kind_of(converter)) for name, converter in pattern.pattern.converters.items())
        found.append(Place(pattern.name or "", route, pattern.callback, keys))
    return found


def walk(at: URLResolver, before: str) -> Iterator[tuple[str, URLPattern]]:
    for one in at.url_patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from walk(one, route)
        else:
            yield route, one


def kind_of(converter: object) -> str:
    return {"UUIDConverter": "uuid", "StringConverter": "str", "SlugConverter": "slug", "PathConverter": "path"}[
        type(converter).__name__
    ]


@dataclass
class World:
    """One patient's world, and which addresses open in it to somebody who may do everything there."""

    reading: Reading
    ids: list[UUID]
    everything: Client
    right: list[tuple[Place, str]] = field(default_factory=list)
    never_right: list[Place] = field(default_factory=list)
    """Of an object in a state that nothing here is in: whoever asks is asked with every id."""


@pytest.fixture(scope="module")
def made_once(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Lived once for this module, in a transaction that is taken back at its end."""
    logging.disable(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock(), transaction.atomic():
        patch.setattr(timezone, "now", lambda: NOW)
        reading = lived()
        everything = signed_in(reading.day.made.provider, *(role for role in Role))
        world = World(reading, kept_ids(), everything)
        for place in places():
            look_for_what_opens(world, place)
        yield world
        transaction.set_rollback(True)
    logging.disable(logging.NOTSET)


@pytest.fixture
def world(made_once: World, monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """The same world for each test, which leaves it as it was."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    with django_db_blocker.unblock(), transaction.atomic():
        yield made_once
        transaction.set_rollback(True)


def look_for_what_opens(world: World, place: Place) -> None:
    """The first id of each kind of address that is not answered by 404; a view is about one kind of object."""
    found = False
    for words in product_of_words(place):
        for path in paths(place, world.ids, words):
            if undone(world.everything, "GET", path).status_code != NOT_FOUND:
                world.right.append((place, path))
                found = True
                break
    if not found:
        world.never_right.append(place)


def lived() -> Reading:
    """One patient of one network, lived through to a verified report; and images that nobody could match."""
    reading = make_reading(family_name=NAME)
    day, visit = reading.day, reading.visit
    correspondence.write(visit.appointment, Occasion.BOOKED, now=NOW, by=day.by)
    visits.arrive(visit, happened_at=NOW, now=NOW, by=day.by)
    visits.record_step(visit, "identify", phase=Phase.DONE, happened_at=NOW, now=NOW, by=day.by)
    radiopharmacy.assign(day.dose(), visit.appointment, now=NOW, by=day.by)
    receive(visit, number=9, study_uid="1.2.3", accession_number="")
    given_and_told(reading)
    radiopharmacy.count_vial(day.batch, radiopharmacy.Reading(100, NOW, "Calibrator 1"), now=NOW, by=day.by)
    report = reading.report(NOW)
    verify(
        report,
        Sections("FDG.", "Nothing.", "Normal."),
        version=report.version,
        by=reading.by,
        person=reading.reporter,
        now=NOW,
    )
    return reading


def given_and_told(reading: Reading) -> None:
    """Somebody else was injected, and an injector that nobody knows has told of it."""
    day, later = reading.day, NOW + timedelta(minutes=60)
    dose = day.dose()
    given = inject(
        make_booked(day, arrival_at=later), "inject", dose, injected_at=NOW, match=scan(dose), now=NOW, by=day.by,
        already_happened=True,
    )  # fmt: skip
    InjectorReport.objects.create(
        site=day.made.site, provider=day.made.provider, calling_ae_title="INJLOAN", sop_instance_uid="1.2.3.4",
        sop_class_uid="1.2", study_uid="1.2.4", path="none", size=1, sha256="0", received_at=NOW, state="held",
        reasons=["Unknown injector: nobody here sends as INJLOAN"], activity=250.0, unit="MBq", injected_at=given.injected_at,
    )  # fmt: skip


SUBJECTS = (
    *("patients.patient", "referrals.referral", "referrals.requestedprocedure", "booking.appointment"),
    *("scanning.visit", "scanning.stepdone", "scanning.study", "scanning.reconcileitem"),
    *("scanning.injection", "scanning.injectorreport"),
    *("estate.site", "estate.scanner", "radiopharmacy.supplyrun", "radiopharmacy.tracerorder"),
    *("radiopharmacy.batch", "radiopharmacy.dose", "radiopharmacy.container", "radiopharmacy.investigation"),
    *("reporting.report", "reporting.reportversion"),
    *("reporting.reportdispatch", "audit.outboxmessage", "correspondence.patientmessage"),
)
"""What an address may be about."""


def kept_ids() -> list[UUID]:
    """The last of each that has been kept."""
    newest = [apps.get_model(name).objects.order_by("-pk").values_list("pk", flat=True).first() for name in SUBJECTS]
    return [key for key in newest if key is not None]


def signed_in(organisation, *roles: Role) -> Client:
    person = make_person(roles[0], organisation)
    for role in roles[1:]:
        RoleGrant.objects.create(person=person, organisation=organisation, role=role, valid_from=PAPERS_FROM)
    client = Client(raise_request_exception=False)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


type Words = dict[str, str]


def paths(place: Place, ids: list[UUID], words: Words) -> Iterator[str]:
    """The address with every id in it; a site's own part holds a site."""
    sites = list(Site.objects.filter(pk__in=ids).values_list("pk", flat=True))
    said = [(words[name],) if kind != "uuid" else sites if name == "site" else ids for name, kind in place.keys]
    yield from (place.at(*one) for one in product(*said))


def product_of_words(place: Place) -> list[Words]:
    """Every choice of the parts that are words; one empty choice where there are none."""
    names = [name for name, kind in place.keys if kind != "uuid"]
    return [dict(zip(names, said, strict=True)) for said in product(*(WORDS.get(name, ("x",)) for name in names))]


def undone(client: Client, method: str, path: str, data: dict[str, str] | None = None):
    """The answer, with whatever it changed taken back."""
    with transaction.atomic():
        answer = client.generic(method, path, "", content_type="application/x-www-form-urlencoded")
        transaction.set_rollback(True)
    return answer


def test_every_view_says_who_may_open_it():
    silent = [place.route for place in places() if not hasattr(place.view, "verbs")]
    assert not silent
    assert len(places()) > 30


def test_a_stranger_with_every_role_finds_nobody_elses_object(world: World):
    """What opens to those whose it is, and whatever has an id and opened to nobody."""
    stranger = signed_in(make_network("RXX", "NXX").provider, *(role for role in Role))
    asked = [(place, path) for place, path in world.right if place.ids]
    asked += [
        (place, path)
        for place in world.never_right
        if place.ids
        for words in product_of_words(place)[:1]
        for path in paths(place, world.ids, words)
    ]
    asked = [(place, path) for place, path in asked if place.name not in OWN_ONLY]
    wrong = []
    for _, path in asked:
        for method in ("GET", "POST"):
            answer = undone(stranger, method, path)
            if answer.status_code not in (NOT_FOUND, FORBIDDEN, METHOD) or NAME.upper() in text(answer):
                wrong.append((method, path, answer.status_code))
    assert not wrong, wrong[:20]
    assert {place.route for place, _ in asked} == {
        place.route for place in places() if place.ids and place.name not in OWN_ONLY
    }


def text(answer) -> str:
    if getattr(answer, "streaming", False):
        return ""
    return answer.content.decode(errors="replace").upper()


def test_lists_hold_nobody_elses_patients(world: World):
    strangers = make_network("RXX", "NXX")
    number = world.reading.procedure.referral.patient.nhs_number
    lists = [place.at() for place in places() if not place.keys]
    for_roles = [place.at() for place in places() if not place.keys and place.view.verbs]
    asked = [
        (client, role.value, path)
        for organisation, role in everybody(strangers)
        for client in [signed_in(organisation, role)]
        for path in for_roles
    ]
    every = signed_in(strangers.provider, *(role for role in Role))
    asked += [(every, "all", f"{path}?q={q}") for path in lists for q in (NAME, number)]
    for client, who, path in asked:
        answer = undone(client, "GET", path)
        shown = text(answer).replace(f'VALUE="{NAME.upper()}"', "").replace(f'VALUE="{number}"', "")
        assert answer.status_code < NEVER, (who, path)
        assert f"{NAME.upper()}, " not in shown, (who, path)


def test_nobody_who_is_not_signed_in_sees_a_page(world: World):
    anybody = Client(raise_request_exception=False)
    for place in places():
        path = next(paths(place, world.ids, product_of_words(place)[0]))
        answer = anybody.get(path)
        open_to_all = place.view.verbs == frozenset()
        assert answer.status_code < NEVER, path
        assert open_to_all or answer.status_code in (302, METHOD), (path, answer.status_code)
        if answer.status_code == 302:
            assert answer.url.startswith("/accounts/login/"), path


def test_ones_own_pages_never_fall_whatever_the_role_and_the_id(world: World):
    """The right id or a wrong one, read or posted empty: a page, a refusal or nothing there."""
    for place in places():
        for path in list(paths(place, world.ids, product_of_words(place)[0]))[:2]:
            for method in ("GET", "POST"):
                assert undone(world.everything, method, path).status_code < NEVER, (method, path)
    right = []
    for place, path in world.right:
        for method in ("GET", "POST"):
            code = undone(world.everything, method, path).status_code
            assert code < NEVER, (method, path)
            if code != METHOD:
                right.append((place, method, path))
    assert len({path.split("/")[1] for _, _, path in right}) >= 6, "whole rooms have no page that opens"
    for organisation, role in everybody(world.reading.day.made):
        client = signed_in(organisation, role)
        for place, method, path in right:
            if method == "GET" or VERBS[role] & place.view.verbs:  # a refusal is the same whatever is asked
                assert undone(client, method, path).status_code < NEVER, (role, method, path)


def everybody(made: Made) -> Iterator[tuple[Organisation, Role]]:
    yield from ((made.provider, role) for role in Role)
    yield from ((made.trust, role) for role in (Role.REFERRER, Role.INTERFACE))


def test_the_fhir_door_shows_a_stranger_nothing(world: World):
    stranger = signed_in(make_network("RXX", "NXX").provider, *(role for role in Role))
    for kind, key in product(
        ("Patient", "ServiceRequest", "Appointment", "ImagingStudy", "DiagnosticReport"), world.ids
    ):
        assert kind in SERVED
        answer = stranger.get(f"/fhir/R4/{kind}/{key}")
        assert answer.status_code == NOT_FOUND, (kind, key, answer.status_code)
