from datetime import date

from gantry.domain.licence import (
    Duty,
    EmployerLicence,
    Entitlement,
    PractitionerLicence,
    Register,
    SiteInPlay,
    why_not_authorised,
)

title = "Who may be scanned"


def decide(papers, procedure, first, last):
    employer, practitioner, entitlements, sites = [], [], [], []
    for row in papers:
        span = (date.fromisoformat(row["from"]), date.fromisoformat(row["to"]))
        site, held = row["site"], frozenset({row["procedure"]})
        match row["paper"]:
            case "employer licence":
                employer.append(EmployerLicence("E", site[:3], site, held, *span))
                sites.append(SiteInPlay(site, site[:3]))
            case "practitioner licence":
                practitioner.append(PractitionerLicence("P", "dr-a", held, *span))
            case "entitlement":
                entitlements.append(Entitlement("dr-a", site[:3], Duty.PRACTITIONER, *span, held))
    return why_not_authorised(
        procedure,
        sites=list(dict.fromkeys(sites)),
        window=(date.fromisoformat(first), date.fromisoformat(last)),
        practitioner="dr-a",
        register=Register(tuple(employer), tuple(practitioner), tuple(entitlements)),
    )


def test_three_papers_on_every_day_at_every_site(spec):
    """IR(ME)R: the employer's licence at the site, the practitioner's own, and that employer's entitlement."""
    spec(
        given="""
            paper                | site  | procedure   | from       | to
            employer licence     | RBV01 | PET-FDG-ONC | 2025-01-01 | 2029-12-31
            practitioner licence |       | PET-FDG-ONC | 2025-01-01 | 2029-12-31
            entitlement          | RBV01 | PET-FDG-ONC | 2025-01-01 | 2029-12-31
        """,
        when=("PET-FDG-ONC", "2026-05-01", "2026-05-10"),
        then=[],
    )


def test_a_licence_that_lapses_inside_the_window_is_said_with_its_dates(spec):
    """The day that counts is the day of administration, not of referral. Renewed two days late leaves one bare day."""
    spec(
        given="""
            paper                | site  | procedure   | from       | to
            employer licence     | RBV01 | PET-FDG-ONC | 2021-05-04 | 2026-05-03
            employer licence     | RBV01 | PET-FDG-ONC | 2026-05-05 | 2031-05-04
            practitioner licence |       | PET-FDG-ONC | 2025-01-01 | 2029-12-31
            entitlement          | RBV01 | PET-FDG-ONC | 2025-01-01 | 2029-12-31
        """,
        when=("PET-FDG-ONC", "2026-05-01", "2026-05-10"),
        then=["No employer licence at RBV01 covers PET-FDG-ONC on 4 May 2026"],
    )


def test_another_employer_must_entitle_the_practitioner_too(spec):
    """With two sites in play there are two employers; one's word does not bind the other."""
    spec(
        given="""
            paper                | site  | procedure   | from       | to
            employer licence     | RBV01 | PET-FDG-ONC | 2025-01-01 | 2029-12-31
            employer licence     | NZZ02 | PET-FDG-ONC | 2025-01-01 | 2029-12-31
            practitioner licence |       | PET-FDG-ONC | 2025-01-01 | 2029-12-31
            entitlement          | RBV01 | PET-FDG-ONC | 2025-01-01 | 2029-12-31
        """,
        when=("PET-FDG-ONC", "2026-05-01", "2026-05-02"),
        then=["NZZ has not entitled this practitioner for PET-FDG-ONC from 1 May 2026 to 2 May 2026"],
    )


def test_another_procedure_is_another_licence(spec):
    """A licence lists its procedures; the tracer decides which one it is."""
    spec(
        given="""
            paper                | site  | procedure   | from       | to
            employer licence     | RBV01 | PET-FDG-ONC | 2025-01-01 | 2029-12-31
            practitioner licence |       | PET-NAF     | 2025-01-01 | 2029-12-31
            entitlement          | RBV01 | PET-NAF     | 2025-01-01 | 2029-12-31
        """,
        when=("PET-NAF", "2026-05-01", "2026-05-01"),
        then=["No employer licence at RBV01 covers PET-NAF on 1 May 2026"],
    )
