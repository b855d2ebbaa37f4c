"""No double booking, shown: one winner a round, a clean history; and without the constraint the checker finds it."""

import os

import pytest
from django.db import connection

from gantry.apps.audit.models import Event
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Reservation
from tests.soak import race

pytestmark = [pytest.mark.soak, pytest.mark.journey, pytest.mark.django_db(transaction=True)]
SIZE = os.environ.get("GANTRY_SOAK_SIZE")
ROUNDS = 4 * int(SIZE) if SIZE else 4
SEED = int(os.environ.get("GANTRY_SOAK_SEED", "1"))
CLIENTS = 50
OVERLAPS = """
SELECT count(*) FROM booking_reservation one JOIN booking_reservation two
ON one.resource = two.resource AND one.id < two.id AND one.active AND two.active AND one.during && two.during
"""


def overlaps() -> int:
    with connection.cursor() as cursor:
        cursor.execute(OVERLAPS)
        return int(cursor.fetchone()[0])


def test_fifty_clients_one_slot_one_winner():
    run = race.run(rounds=ROUNDS, seed=SEED, clients=CLIENTS)
    for number, each in enumerate(run.rounds, start=1):
        assert (each.winners, each.shown_others) == (1, CLIENTS - 1), f"round {number} of seed {SEED}: {each.answers}"
    assert Event.objects.filter(kind="slot_held").count() >= ROUNDS
    assert booking.history_faults() == []
    assert overlaps() == 0
    assert not Reservation.objects.filter(active=True).exists()


def test_without_the_constraint_two_win_and_the_checker_says_so():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE booking_reservation DROP CONSTRAINT reservation_no_overlap")
    run = race.run(rounds=2, seed=SEED, clients=8)
    assert sum(each.winners for each in run.rounds) > 2
    found = booking.history_faults()
    assert any("have scanner" in fault and "at once" in fault for fault in found), found
