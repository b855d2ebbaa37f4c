"""The demonstration's network: real trusts with their ODS codes and places; everything else is assumed, and says so.

Names, codes and coordinates of trusts come from public lists. Which of them scans, with what and when, the site
codes, the provider, the practice and the supplier are invented: no statement about the real organisations is meant.
"""

from dataclasses import dataclass

from gantry.domain.referral import OrganisationKind
from gantry.reference.dated import ASSUMED_NOTICE, LIBRARY_FROM, Fact

PUBLIC = "Organisation codes and coordinates: public lists"
INVENTED = "Invented for the demonstration"


@dataclass(frozen=True, slots=True)
class Organisation:
    ods: str
    name: str
    kind: OrganisationKind
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class ScanningSite:
    """All assumed, but for the host trust and where it is."""

    ods: str
    name: str
    employer: str
    host: str
    latitude: float
    longitude: float
    scanners: tuple[str, ...]
    """AE titles."""
    uptake_rooms: int
    opens: str
    closes: str
    days: str
    """Monday is 1."""
    sees_children: bool = False
    anaesthetics: bool = False
    radiotherapy_planning: bool = False
    table_limit_kg: int = 200


def _trust(ods: str, name: str, latitude: float, longitude: float, *, specialist: bool = False) -> Fact[Organisation]:
    kind = OrganisationKind.SPECIALIST_CENTRE if specialist else OrganisationKind.ACUTE_TRUST
    return Fact(Organisation(ods, name, kind, latitude, longitude), "", PUBLIC, LIBRARY_FROM)


def _invented(ods: str, name: str, kind: OrganisationKind) -> Fact[Organisation]:
    return Fact(Organisation(ods, name, kind), "", INVENTED, LIBRARY_FROM, notice=ASSUMED_NOTICE)


PROVIDER = "NZZ"
PRACTICE = "P99999"
SUPPLIER = "8ZZ"

ORGANISATIONS: dict[str, Fact[Organisation]] = {
    fact.value.ods: fact
    for fact in (
        _trust("R0A", "Manchester University NHS Foundation Trust", 53.46244, -2.22771),
        _trust("RBV", "The Christie NHS Foundation Trust", 53.42977, -2.23012, specialist=True),
        _trust("REM", "Liverpool University Hospitals NHS Foundation Trust", 53.40951, -2.96481),
        _trust("REN", "The Clatterbridge Cancer Centre NHS Foundation Trust", 53.33289, -3.02414, specialist=True),
        _trust("RBS", "Alder Hey Children's NHS Foundation Trust", 53.42024, -2.89872, specialist=True),
        _trust("RAE", "Bradford Teaching Hospitals NHS Foundation Trust", 53.80598, -1.7947),
        _trust("RHQ", "Sheffield Teaching Hospitals NHS Foundation Trust", 53.40982, -1.45597),
        _trust("RCU", "Sheffield Children's NHS Foundation Trust", 53.3806, -1.49063, specialist=True),
        # Real, and outside the network on purpose: the demonstration's redirected referral.
        _trust("RH8", "Royal Devon University Healthcare NHS Foundation Trust", 50.7167, -3.50668),
        _invented(PROVIDER, "Northern PET-CT (invented provider)", OrganisationKind.INDEPENDENT_PROVIDER),
        _invented(PRACTICE, "High Street Surgery (invented practice)", OrganisationKind.GP_PRACTICE),
        _invented(SUPPLIER, "Northern Radiopharmacy (invented supplier)", OrganisationKind.SUPPLIER),
    )
}

REFERRERS = frozenset({"R0A", "RBV", "REM", "REN", "RBS", "RAE", "RHQ", "RCU"})
"""Who may refer in the demonstration."""


def _site(
    ods: str,
    host: str,
    name: str,
    employer: str,
    scanners: tuple[str, ...],
    rooms: int,
    *,
    opens: str = "07:30",
    closes: str = "19:30",
    days: str = "12345",
    children: bool = False,
    anaesthetics: bool = False,
    planning: bool = False,
    table_limit_kg: int = 200,
) -> Fact[ScanningSite]:
    place = ORGANISATIONS[host].value
    assert place.latitude is not None and place.longitude is not None
    site = ScanningSite(
        ods,
        name,
        employer,
        host,
        place.latitude,
        place.longitude,
        scanners,
        rooms,
        opens,
        closes,
        days,
        children,
        anaesthetics,
        planning,
        table_limit_kg,
    )
    return Fact(site, "", INVENTED, LIBRARY_FROM, notice=ASSUMED_NOTICE)


SITES: dict[str, Fact[ScanningSite]] = {
    fact.value.ods: fact
    for fact in (
        _site(
            "RBV01",
            "RBV",
            "Christie PET-CT",
            "RBV",
            ("PETRBV1", "PETRBV2"),
            6,
            days="123456",
            planning=True,
            table_limit_kg=250,
        ),
        _site("R0A01", "R0A", "Manchester Royal PET-CT", "R0A", ("PETR0A1",), 5, children=True, anaesthetics=True),
        _site("NZZ01", "REN", "Clatterbridge PET-CT", PROVIDER, ("PETNZZ1",), 4, days="123456", planning=True),
        _site("NZZ02", "RAE", "Bradford PET-CT", PROVIDER, ("PETNZZ2",), 4),
        _site("NZZ03", "RHQ", "Sheffield PET-CT", PROVIDER, ("PETNZZ3",), 5, opens="08:00", closes="18:00"),
    )
}

KINDS: dict[str, OrganisationKind] = {ods: fact.value.kind for ods, fact in ORGANISATIONS.items()}
SUCCESSORS: dict[str, Fact[str]] = {
    old: Fact(new, "", "Mergers, public lists", LIBRARY_FROM)
    for old, new in {"RW3": "R0A", "RD3": "R0D", "RXH": "RYR", "RQ6": "REM"}.items()
}
"""Codes that ended in a merger: messages still carry them."""
