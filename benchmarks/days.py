"""Seeded days of realistic shape, for anybody who plans scans that decay.

    python -m benchmarks.days NAME > day.json

The same name gives the same bytes. What is drawn, and from which public figure:

- 12 to 50 patients on 1 to 4 scanners, open 08:00 to 19:30 or 20:00 with a quality-control block first: a modern scanner does up
  to 37 a day and an older one 12 to 14 (UCLH, 2024); other sites say 13 to 19 (CQC reports of Southend and Leeds).
- Scans of 15 to 30 minutes, 5 more with contrast (one in ten); a child on an anaesthetic list takes 45 (one in twenty-five).
- Uptake rooms: ceil(rate per hour × 1.4 h) + 1, so five at three an hour; one injector and one hot toilet to a scanner.
- FDG at 3.5 MBq/kg for adults of 76 ± 15 kg, 80 to 140 MBq for children; half-life 109.77 min; uptake 55, 60 or 65 min.
- One in seven cannot come early (inpatients, transport), one in ten must be early (insulin, school).
- One to three runs a day. `uncapped`: an MBq costs the same on each. `priced`: a price for each run and a least order as well.
  `capped`: besides, no run gives more than about three fifths of what everybody would draw.
- `needs`: priced, and what people need binds. One in four has contrast, which every other scanner gives; one in ten is a child,
  whom the first scanner alone takes: two in three asleep in the anaesthetist's session, the others with the play specialist,
  one at a time, while they are prepared. The scanners are then no longer alike.
- A week: four sites, two scanners each, five days, 700 patients; each can go to two sites on up to three days, at a cost of
  60 pence away from home; ten-minute grid, one uptake.
"""

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from random import Random

from gantry.domain.scheduling.files import write_day
from gantry.domain.scheduling.problem import Day, Delivery, Patient, Place, Scanner, Tracer, Uptake, Window

FDG = Tracer("FDG", 109.77)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
OPENS, CLOSES = 480, 1170
RUN_TIMES = {1: (450,), 2: (450, 720), 3: (450, 630, 840)}


@dataclass(frozen=True, slots=True)
class Instance:
    kind: str
    patients: int
    scanners: int
    runs: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.patients}x{self.scanners}-{self.runs}runs-{self.seed}"


SIZES = ((12, 1, 1), (16, 1, 2), (20, 1, 2), (25, 1, 2), (30, 2, 2), (40, 2, 2), (40, 3, 3), (50, 4, 2))
KINDS = ("uncapped", "priced", "capped", "needs")
PUBLISHED = tuple(Instance(kind, *size, seed) for kind in KINDS for size in SIZES for seed in range(3))
CHILDREN, CONTRAST = {"needs": 0.1}, {"needs": 0.25}
AWAKE = 1 / 3


def person(chance: Random, ref: str, kind: str) -> Patient:
    child = chance.random() < CHILDREN.get(kind, 0.04)
    contrast = not child and chance.random() < CONTRAST.get(kind, 0.1)
    scan = 45 if child else chance.choice([15, 20, 20, 20, 25, 25, 30]) + 5 * contrast
    weight_kg = min(130.0, max(45.0, chance.gauss(76, 15)))
    tied = chance.random()
    awake = child and kind == "needs" and chance.random() < AWAKE
    return Patient(
        ref=ref,
        tracer="FDG",
        activity_mbq=float(chance.randint(80, 140) if child else round(3.5 * weight_kg)),
        uptake=Uptake(55, 60, 65),
        scan_min=scan,
        earliest_min=chance.choice([570, 600, 630]) if tied < 0.15 else 0,
        latest_min=chance.choice([600, 660, 720]) if 0.15 <= tied < 0.25 else None,
        weight=chance.choice([1, 1, 1, 2, 2, 4]),
        needs=frozenset({"contrast"} if contrast else {"paediatric"} if child else ()),
        anaesthetist=child and not awake,
        play_specialist=awake,
    )


def able(instance: Instance, number: int) -> frozenset[str]:
    """What a scanner can be used for, counted from 1."""
    if instance.kind != "needs":
        return frozenset({"contrast", "paediatric"})
    return frozenset({"contrast"} if number % 2 else ()) | frozenset({"paediatric"} if number == 1 else ())


def realistic(instance: Instance) -> Day:
    chance = Random(instance.name)
    people = tuple(person(chance, f"P{n:02}", instance.kind) for n in range(1, instance.patients + 1))
    hourly = instance.patients / ((CLOSES - OPENS) / 60)
    return Day(
        origin=MONDAY,
        zone="Europe/London",
        tracers=(FDG,),
        places=(
            Place(
                "Site",
                Window(OPENS - 60, CLOSES + 60),
                uptake_rooms=ceil(hourly * 1.4) + 1,
                injectors=instance.scanners,
                hot_toilets=instance.scanners,
                anaesthetist=(Window(OPENS + 30, OPENS + 270),),
                play_specialist=(Window(OPENS - 60, CLOSES),) if instance.kind == "needs" else (),
                overtime_from_min=CLOSES - 60,
            ),
        ),
        scanners=tuple(
            Scanner(f"Scanner {n}", "Site", (Window(OPENS + 15, CLOSES),), able(instance, n))
            for n in range(1, instance.scanners + 1)
        ),
        deliveries=tuple(run(instance, people, n, at) for n, at in enumerate(RUN_TIMES[instance.runs], 1)),
        patients=people,
    )


def run(instance: Instance, people: tuple[Patient, ...], number: int, at: int) -> Delivery:
    priced = instance.kind != "uncapped"
    needed = sum(p.activity_mbq for p in people) * 2.4 / instance.runs
    return Delivery(
        f"Run {number}",
        "Site",
        "FDG",
        arrives_min=at,
        expires_min=at + 600,
        reference_min=at,
        least_mbq=1500.0 if priced else 0.0,
        most_mbq=float(round(max(2000.0, needed * 0.6))) if instance.kind == "capped" else None,
        price_pence=12_000 + 3_000 * number if priced else 0,
        price_pence_per_gbq=4_000 if priced else 1_000,
    )


def week(patients: int = 700, *, seed: int = 0, sites: int = 4, days: int = 5, scanners: int = 2) -> Day:
    chance = Random(f"week/{patients}/{seed}")
    places, rooms, runs = [], [], []
    for site in range(sites):
        for of_week in range(days):
            start, ref = 1440 * of_week, f"Site {site + 1} day {of_week + 1}"
            places.append(Place(ref, Window(start + 420, start + 1230), 6 * scanners, scanners, scanners))
            rooms += [
                Scanner(f"{ref} scanner {n + 1}", ref, (Window(start + 490, start + 1170),)) for n in range(scanners)
            ]
            runs += [
                Delivery(
                    f"{ref} run {n + 1}", ref, "FDG", start + at, start + at + 600, start + at, price_pence_per_gbq=1000
                )
                for n, at in enumerate(RUN_TIMES[2])
            ]
    people = []
    for number in range(patients):
        home, first = chance.randrange(sites), chance.randrange(days)
        other = (home + chance.randrange(1, sites)) % sites
        may = range(first, min(days, first + 3)) if first + 3 <= days else range(days - 3, days)
        people.append(
            Patient(
                ref=f"P{number + 1:03}",
                tracer="FDG",
                activity_mbq=float(round(3.5 * min(130.0, max(45.0, chance.gauss(76, 15))))),
                uptake=Uptake(60, 60, 60),
                scan_min=chance.choice([20, 20, 30, 30, 40]),
                weight=chance.choice([1, 1, 1, 2, 2, 4]),
                away_pence={
                    f"Site {site + 1} day {of_week + 1}": 60 * (site != home)
                    for site in (home, other)
                    for of_week in may
                },
            )
        )
    return Day(MONDAY, "Europe/London", (FDG,), tuple(places), tuple(rooms), tuple(runs), tuple(people), grid_min=10)


def main() -> int:
    by_name = {instance.name: instance for instance in PUBLISHED}
    if len(sys.argv) < 2:
        print("\n".join(by_name))
        return 0
    if sys.argv[1] not in by_name:
        print(f"no such day: {sys.argv[1]}", file=sys.stderr)
        return 1
    print(json.dumps(write_day(realistic(by_name[sys.argv[1]])), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
