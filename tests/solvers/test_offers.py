"""The offers: the compiled search, the plain one and the facts themselves agree, and each rule can forbid."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gantry.domain.appointment import CLEANING, VisitShape, planned
from gantry.solvers.network_calendar import (
    Busy,
    Licence,
    NetworkFacts,
    Opening,
    Run,
    SiteFacts,
    Stand,
    build,
)
from gantry.solvers.offers import (
    MINUTES_PER_DAY_OF_DELAY,
    Half,
    Need,
    Wish,
    arrival_at,
    best_choices,
    load,
    plain_choices,
    query,
)

MONDAY = date(2026, 11, 23)
LONDON = ZoneInfo("Europe/London")
HALF_LIFE = timedelta(minutes=109.77)
NEAR, FAR = UUID(int=1), UUID(int=2)
SHAPE = VisitShape(preparation_min=30, uptake_min=60, scan_min=20)


def at(day: int, hour: int, minute: int = 0, first: date = MONDAY) -> datetime:
    return datetime.combine(first + timedelta(days=day), time(hour, minute), LONDON).astimezone(UTC)


def site(number: int, latitude: float, **over: object) -> SiteFacts:
    rooms = tuple(UUID(int=100 * number + room) for room in range(2))
    made = SiteFacts(UUID(int=number), f"Site {number}", "Europe/London", latitude, 0.0, frozenset(), rooms)
    return replace(made, **over)


def facts(**over: object) -> NetworkFacts:
    """Two sites, each with a scanner open 08:00 to 18:00 on two days and one run a day."""
    scanners = {NEAR: UUID(int=11), FAR: UUID(int=12)}
    made = NetworkFacts(
        sites=[site(1, 52.0), site(2, 53.0)],
        stands=[Stand(scanner, place, 200) for place, scanner in scanners.items()],
        openings=[Opening(s, p, at(d, 8), at(d, 18)) for p, s in scanners.items() for d in range(2)],
        busy=[],
        runs=[Run(p, "FDG", at(d, 8), at(d, 8), at(d, 16), 4000.0) for p in scanners for d in range(2)],
        licences=[Licence(p, "PET-FDG-ONC", MONDAY, MONDAY + timedelta(days=60)) for p in scanners],
    )
    return replace(made, **over)


def need(**over: object) -> Need:
    made = Need(
        tracer="FDG",
        procedure_code="PET-FDG-ONC",
        activity_mbq=250.0,
        half_life=HALF_LIFE,
        shape=SHAPE,
        earliest=at(0, 6),
        authorised_from=MONDAY,
        authorised_to=MONDAY + timedelta(days=90),
        sites=frozenset({NEAR, FAR}),
        latitude=52.0,
        longitude=0.0,
    )
    return replace(made, **over)


def said(choices, calendar):
    return [
        (calendar.names[c.site], datetime.fromtimestamp(arrival_at(calendar, c) * 60, LONDON).strftime("%a %H:%M"))
        for c in choices
    ]


def both(network: NetworkFacts, asked: Need, wish: Wish = Wish(), limit: int = 10, days: int = 3):
    calendar = build(network, first_day=MONDAY, days=days)
    load()
    fast = best_choices(calendar, asked, wish, limit=limit)
    numbers = query(calendar, asked, wish)
    assert fast == (plain_choices(calendar, numbers, limit) if numbers else [])
    return said(fast, calendar)


def test_the_first_morning_and_afternoon_of_each_place_and_day_nearest_and_soonest_first():
    assert both(facts(), need()) == [
        ("Site 1", "Mon 07:30"),
        ("Site 1", "Mon 12:00"),
        ("Site 1", "Tue 07:30"),
        ("Site 1", "Tue 12:00"),
        ("Site 2", "Mon 07:30"),
        ("Site 2", "Mon 12:00"),
        ("Site 2", "Tue 07:30"),
        ("Site 2", "Tue 12:00"),
    ]


def test_the_calendar_is_of_local_days_on_the_night_the_clocks_change():
    sunday = date(2026, 10, 25)
    run = Run(NEAR, "FDG", at(0, 8, first=sunday), at(0, 8, first=sunday), at(0, 16, first=sunday), 4000.0)
    opening = Opening(UUID(int=11), NEAR, at(0, 8, first=sunday), at(0, 18, first=sunday))
    licence = Licence(NEAR, "PET-FDG-ONC", sunday, sunday)
    calendar = build(facts(openings=[opening], runs=[run], licences=[licence]), first_day=sunday, days=2)
    asked = need(earliest=at(0, 0, first=sunday), authorised_from=sunday)
    numbers = query(calendar, asked)
    assert said(plain_choices(calendar, numbers, 9), calendar) == [("Site 1", "Sun 07:30"), ("Site 1", "Sun 12:00")]


@pytest.mark.parametrize(
    ("network", "asked", "wish", "left"),
    [
        pytest.param(facts(runs=[]), need(), Wish(), [], id="no tracer"),
        pytest.param(facts(licences=[]), need(), Wish(), [], id="no licence"),
        pytest.param(facts(), need(tracer="GA-PSMA-11"), Wish(), [], id="another tracer"),
        pytest.param(facts(), need(procedure_code="PET-DOTA"), Wish(), [], id="another procedure"),
        pytest.param(facts(), need(sites=frozenset()), Wish(), [], id="authorised nowhere"),
        pytest.param(facts(), need(activity_mbq=9000.0), Wish(), [], id="more than the run holds"),
        pytest.param(facts(), need(weight_kg=201.0), Wish(), [], id="too heavy for every scanner"),
        pytest.param(facts(), need(capabilities=frozenset({"anaesthesia"})), Wish(), [], id="no such place"),
        pytest.param(facts(), need(not_before=MONDAY + timedelta(days=2)), Wish(), [], id="not before it closes"),
        pytest.param(facts(), need(authorised_to=MONDAY - timedelta(days=1)), Wish(), [], id="authorisation ended"),
        pytest.param(
            facts(), need(), Wish(half=Half.AFTERNOON, sites=frozenset({FAR}), weekdays=frozenset({1})),
            [("Site 2", "Tue 12:00")], id="a wish narrows",
        ),
        pytest.param(
            facts(busy=[Busy(UUID(int=11), at(0, 8), at(1, 18)), Busy(UUID(int=12), at(0, 8), at(0, 18))]),
            need(), Wish(half=Half.MORNING), [("Site 2", "Tue 07:30")], id="scanners taken",
        ),
        pytest.param(
            facts(busy=[Busy(UUID(int=200 + r), at(0, 0), at(2, 0)) for r in (0, 1)]
                  + [Busy(UUID(int=100), at(0, 0), at(2, 0)), Busy(UUID(int=101), at(0, 7), at(1, 12))]),
            need(), Wish(), [("Site 1", "Tue 12:00")], id="one room left after a while",
        ),
        pytest.param(
            facts(runs=[Run(FAR, "FDG", at(0, 9), at(0, 9), at(0, 10), 300.0)]),
            need(), Wish(), [("Site 2", "Mon 08:30")], id="a small run decays within half an hour",
        ),
    ],
)  # fmt: skip
def test_each_rule_can_forbid(network, asked, wish, left):
    assert both(network, asked, wish) == left


def test_late_choices_only_when_none_is_in_time():
    early = need(needed_by=MONDAY)
    assert {when[:3] for _, when in both(facts(), early)} == {"Mon"}
    busy = [Busy(UUID(int=number), at(0, 0), at(1, 0)) for number in (11, 12)]
    assert {when[:3] for _, when in both(facts(busy=busy), early)} == {"Tue"}


def test_a_day_of_delay_weighs_against_travel():
    shut = [Busy(UUID(int=11), at(0, 8), at(1, 0))]
    nearby = facts(sites=[site(1, 52.0), site(2, 52.1)], busy=shut)
    assert both(nearby, need())[0] == ("Site 2", "Mon 07:30")
    assert both(facts(busy=shut), need())[0] == ("Site 1", "Tue 07:30")
    assert MINUTES_PER_DAY_OF_DELAY == 20


SPANS = st.tuples(st.integers(0, 2), st.integers(6 * 12, 19 * 12), st.integers(1, 60)).map(
    lambda t: (at(t[0], 0) + timedelta(minutes=5 * t[1]), at(t[0], 0) + timedelta(minutes=5 * (t[1] + t[2])))
)


@st.composite
def networks(draw: st.DrawFn) -> NetworkFacts:
    sites = [
        site(n, draw(st.floats(50, 55)), capabilities=frozenset(draw(st.sets(st.sampled_from(["hoist", "isolation"])))))
        for n in range(1, draw(st.integers(1, 3)) + 1)
    ]
    stands = [
        Stand(UUID(int=1000 * n + k), place.id, draw(st.sampled_from([150.0, 200.0])))
        for n, place in enumerate(sites)
        for k in range(draw(st.integers(1, 2)))
    ]
    openings = [Opening(s.scanner, s.site, *draw(SPANS)) for s in stands for _ in range(draw(st.integers(0, 4)))]
    resources = [s.scanner for s in stands] + [room for place in sites for room in place.rooms]
    busy = [Busy(draw(st.sampled_from(resources)), *draw(SPANS)) for _ in range(draw(st.integers(0, 12)))]
    runs = []
    for place in sites:
        for _ in range(draw(st.integers(0, 3))):
            start, end = draw(SPANS)
            lead = timedelta(minutes=draw(st.integers(-90, 90)))
            tracer = draw(st.sampled_from(["FDG", "NAF"]))
            runs.append(Run(place.id, tracer, start + lead, start, end, draw(st.floats(0, 1500))))
    licences = [
        Licence(place.id, "PET-FDG-ONC", MONDAY + timedelta(days=draw(st.integers(-1, 1))), MONDAY + timedelta(days=2))
        for place in sites
        if draw(st.integers(0, 4))
    ]
    return NetworkFacts(sites, stands, openings, busy, runs, licences)


@st.composite
def needs(draw: st.DrawFn) -> Need:
    days = st.none() | st.integers(0, 2).map(lambda d: MONDAY + timedelta(days=d))
    return need(
        activity_mbq=draw(st.floats(1, 500)),
        shape=VisitShape(draw(st.integers(0, 40)), draw(st.integers(0, 90)), draw(st.integers(1, 60))),
        earliest=at(0, 0) + timedelta(minutes=draw(st.integers(0, 1440))),
        not_before=draw(days),
        needed_by=draw(days),
        capabilities=frozenset(draw(st.sets(st.sampled_from(["hoist"])))),
        weight_kg=draw(st.sampled_from([70.0, 170.0])),
        sites=frozenset(UUID(int=n) for n in draw(st.sets(st.integers(1, 3), min_size=1))),
    )


WISHES = st.builds(
    Wish,
    half=st.none() | st.sampled_from(Half),
    weekdays=st.just(frozenset()) | st.frozensets(st.integers(0, 2), min_size=1),
)


@settings(max_examples=80, deadline=None)
@given(networks(), needs(), WISHES, st.integers(1, 12))
def test_the_compiled_search_says_what_the_plain_one_says(network, asked, wish, limit):
    both(network, asked, wish, limit)


def fits(network: NetworkFacts, asked: Need, place: SiteFacts, stand: Stand, arrival: datetime) -> bool:
    """From the facts themselves: no bits, no calendar."""
    plan = planned(asked.shape, arrival)
    day = arrival.astimezone(LONDON).date()

    def free(resource: UUID, start: datetime, end: datetime) -> bool:
        return not any(b.resource == resource and b.start < end and start < b.end for b in network.busy)

    # A scan may run over from one session into the next that touches it.
    minutes = int((plan.scanner.end - plan.scan_at) / timedelta(minutes=1))
    instants = [plan.scan_at + timedelta(minutes=m) for m in range(minutes)]
    mine = [o for o in network.openings if o.scanner == stand.scanner and o.site == place.id]
    return (
        place.id in asked.sites
        and asked.capabilities <= place.capabilities
        and asked.weight_kg <= stand.max_weight_kg
        and arrival >= asked.earliest
        and (asked.not_before is None or day >= asked.not_before)
        and asked.authorised_from <= day <= asked.authorised_to
        and any(
            x.site == place.id and x.procedure == asked.procedure_code and x.valid_from <= day <= x.valid_to
            for x in network.licences
        )
        and all(any(o.start <= i < o.end for o in mine) for i in instants)
        and free(stand.scanner, plan.scan_at, plan.scanner.end)
        and any(free(room, plan.arrival_at, plan.scan_at) for room in place.rooms)
        and any(
            r.site == place.id
            and r.tracer == asked.tracer
            and r.usable_from <= plan.injection_at <= r.usable_to
            and asked.activity_mbq * 2 ** ((plan.injection_at - r.reference_at) / HALF_LIFE) <= r.free_mbq
            for r in network.runs
        )
    )


@settings(max_examples=20, deadline=None)
@given(networks(), needs())
def test_brute_force_over_the_facts_agrees_about_what_fits_and_what_is_first(network, drawn):
    shape = VisitShape(*(max(5, -(-m // 5) * 5) for m in (drawn.shape.preparation_min, drawn.shape.uptake_min,
                                                            drawn.shape.scan_min)))  # fmt: skip
    asked = replace(drawn, shape=shape)
    calendar = build(network, first_day=MONDAY, days=3)
    numbers = query(calendar, asked)
    found = plain_choices(calendar, numbers, 100) if numbers else []
    possible = {}
    for place in network.sites:
        for day in range(3):
            for slot in range(288):
                arrival = at(day, 0) + timedelta(minutes=5 * slot)
                if any(fits(network, asked, place, s, arrival) for s in network.stands if s.site == place.id):
                    possible.setdefault((day, place.id, slot >= 144), slot)
    in_time = {k: v for k, v in possible.items() if asked.needed_by is None or k[0] <= (asked.needed_by - MONDAY).days}
    assert {(c.day, calendar.sites[c.site], c.slot >= 144): c.slot for c in found} == (in_time or possible)
    assert [c.cost for c in found] == sorted(c.cost for c in found)


def test_the_scanner_is_kept_for_cleaning_after_each_person():
    assert timedelta(minutes=5) == CLEANING
    plan = planned(SHAPE, at(0, 7, 30))
    taken = facts(busy=[Busy(UUID(int=11), plan.scan_at + timedelta(minutes=24), at(2, 0))])
    assert ("Site 1", "Mon 07:30") not in both(taken, need())
