"""Server time of every page of the path, with 20,000 past referrals, 300 open ones and five sites.

    python -m benchmarks.pages [--quick] [--json]

Ours is the 95th percentile of the whole request (middleware, session, query, template) without the network; the peer is
the budget of 150 ms. Before anything is timed, the booking history checker must accept what was loaded, and each page
must answer 200 with its patient on it. Everything is opened at one moment of an ordinary morning; each site
has had ten scans, one run and one batch a day. The database is the one of DATABASE_URL, else one of its own; what was
loaded for the same size is used again.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import psycopg

from gantry.cli.places import var

BUDGET_MS = 150.0
PAST, OPEN, SITES = 20_000, 300, 5
LEAST = 12


@contextmanager
def database(past: int) -> Iterator[None]:
    """DATABASE_URL, or a cluster of the bench's own, where each state of loader and migrations has its database."""
    from gantry.cli.postgres import FAST, Cluster

    own, name = None, ""
    if not os.environ.get("DATABASE_URL"):
        own = Cluster(var() / "bench", FAST)
        running = own.running()
        own.start()
        # The rows were lived once through every trigger and key; their copies need not ask again, and then load in a minute.
        with psycopg.connect(own.url("postgres").replace("//gantry:", "//postgres:", 1), autocommit=True) as owner:
            owner.execute("GRANT SET ON PARAMETER session_replication_role TO gantry")
        name = f"pages_{past}_{state()}"
        ready = bool(own.databases(name))
        if not ready:
            for old in (*own.databases(f"pages_{past}_%"), f"pages_draft_{past}"):
                own.drop_database(old)
            own.create_database(f"pages_draft_{past}")
        os.environ["DATABASE_URL"] = own.url(name if ready else f"pages_draft_{past}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gantry.config.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    try:
        if not own or not ready:
            call_command("migrate", verbosity=0, interactive=False)
            from benchmarks.years import load

            load(past, OPEN, SITES)
            checked(past, OPEN)
        if own and not ready:
            connections.close_all()
            own.rename_database(f"pages_draft_{past}", name)
            connections["default"].settings_dict["NAME"] = name
        yield
    finally:
        connections.close_all()
        if own is not None and not running:
            own.stop()


def state() -> str:
    """What the loaded rows follow from: the loader, what it lives through, and every table."""
    root = Path(__file__).resolve().parent.parent
    found = [*root.glob("gantry/apps/*/migrations/*.py"), *(root / "tests/apps").glob("*.py")]
    found = sorted(one for one in found if not one.name.startswith("test_"))
    digest = sha256()
    for path in (*found, *(Path(__file__).with_name(name) for name in ("years.py", "past.py", "lived.py"))):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def checked(past: int, open_ones: int) -> str:
    from gantry.apps.booking.services import history_faults
    from gantry.apps.referrals.models import Referral

    faults = history_faults()
    if faults:
        raise SystemExit(f"the booking history has {len(faults)} faults: {faults[:3]}")
    held = Referral.objects.count()
    if held < past + open_ones:
        raise SystemExit(f"{held} referrals were loaded, not {past + open_ones}")
    return f"history without fault, {held:,} referrals, every page 200 with its subject"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="each page for less long")
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--past", type=int, default=PAST)
    options = parser.parse_args()
    for_s = 0.35 if options.quick else 3.0
    began = time.monotonic()
    with database(options.past):
        loaded_s = time.monotonic() - began
        said = checked(options.past, OPEN)
        slowest = 0.0
        from django.utils import timezone

        from benchmarks.path import CLOCK, pages
        from gantry.config.start import settle

        settle()  # as each web process does while it starts

        with patch.object(timezone, "now", return_value=CLOCK):
            for name, client, path, wanted in pages():
                times = timed(client, path, wanted, for_s)
                p95 = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
                slowest = max(slowest, p95)
                if options.as_json:
                    row = {
                        "name": f"page {name}, p95",
                        "ours": round(p95, 1),
                        "peer": BUDGET_MS,
                        "ratio": round(BUDGET_MS / p95, 2),
                        "unit": "ms",
                        "checked": said,
                    }
                    print(json.dumps(row), flush=True)
                else:
                    print(f"{name:<28} p95 {p95:7.1f} ms, median {statistics.median(times):6.1f} ms", flush=True)
        if not options.as_json:
            print(f"loaded in {loaded_s:.0f} s; {said}; slowest {slowest:.1f} of {BUDGET_MS:.0f} ms")
    return 0 if slowest < BUDGET_MS else 1


def timed(client: object, path: str, wanted: str, for_s: float) -> list[float]:
    """As often as fits: the quicker a page, the more of it; never so seldom that one slow answer is all there is."""
    times: list[float] = []
    warming = 2  # the first two warm templates and plans
    ends = time.perf_counter() + for_s
    while len(times) < LEAST or time.perf_counter() < ends:
        began = time.perf_counter()
        answer = client.get(path)  # type: ignore[attr-defined]
        took = 1000 * (time.perf_counter() - began)
        body = answer.content.decode(errors="replace")
        if answer.status_code != 200 or wanted not in body:
            raise SystemExit(f"{path}: {answer.status_code}, without {wanted!r}")
        if warming:
            warming -= 1
        else:
            times.append(took)
    return times


if __name__ == "__main__":
    sys.exit(main())
