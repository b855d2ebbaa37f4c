from datetime import UTC, date, datetime

from gantry.domain.licence import Authorisation, why_not_covered

title = "What an authorisation covers"


def decide(rows, site, tracer, at):
    row = rows[0]
    authorisation = Authorisation(
        practitioner="dr-a",
        employers=frozenset({row["site"][:3]}),
        sites=frozenset({row["site"]}),
        tracer=row["tracer"],
        procedure="PET-FDG-ONC",
        authorised_at=datetime.fromisoformat(row["authorised"]).replace(tzinfo=UTC),
        valid_to=date.fromisoformat(row["valid to"]),
    )
    when = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return why_not_covered(authorisation, site=site, employer=site[:3], tracer=tracer, procedure="PET-FDG-ONC", at=when)


GIVEN = """
    site  | tracer | authorised       | valid to
    RBV01 | FDG    | 2026-05-01 10:00 | 2026-05-14
"""


def test_what_it_names(spec):
    """Asked at booking, at every move, the day before, and at injection."""
    spec(given=GIVEN, when=("RBV01", "FDG", "2026-05-08 09:30"), then=[])


def test_nothing_else(spec):
    """Another employer, site or tracer needs authorising anew; every reason is given at once."""
    spec(
        given=GIVEN,
        when=("NZZ02", "NAF", "2026-05-15 09:30"),
        then=[
            "The authorisation ended on 14 May 2026; this is on 15 May 2026",
            "The authorisation does not cover the employer NZZ",
            "The authorisation does not cover the site NZZ02",
            "The authorisation is for FDG, not NAF",
        ],
    )
