"""What a referral's rules are told: answers, the day, and the reference facts; and what they say back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

type Answers = Mapping[str, object]
"""Typed answers by item name. A key that is absent or None is not answered; an empty tuple is "none", said."""


class Severity(StrEnum):
    REFUSE = "refuse"
    """Not taken in. Says where to send it instead, or what to mend and send again."""
    REDIRECT = "redirect"
    """Kept, and handed to a person who sends it on."""
    QUERY = "query"
    """Taken in; asked back."""
    WARN = "warn"
    """Taken in; shown to whoever vets."""


@dataclass(frozen=True, slots=True)
class Finding:
    code: str
    field: str
    message: str
    severity: Severity = Severity.QUERY
    where_to: str = ""
    recalled: bool = False
    """Rests on a fact that a professional has yet to confirm."""


class OrganisationKind(StrEnum):
    ACUTE_TRUST = "acute_trust"
    SPECIALIST_CENTRE = "specialist_centre"
    INDEPENDENT_PROVIDER = "independent_provider"
    GP_PRACTICE = "gp_practice"
    ICB = "icb"
    ALLIANCE = "alliance"
    IMAGING_NETWORK = "imaging_network"
    SUPPLIER = "supplier"


class Population(StrEnum):
    ADULT = "adult"
    CHILD = "child"
    ALL = "all"


class FundingRule(StrEnum):
    """How the commissioner pays for an indication."""

    ROUTINE = "routine"
    POLICY_LIMITED = "policy_limited"
    IFR = "ifr"
    NOT_COMMISSIONED = "not_commissioned"


@dataclass(frozen=True, slots=True)
class Indication:
    code: str
    title: str
    tracers: frozenset[str]
    edition: str
    population: Population = Population.ALL
    funding: FundingRule = FundingRule.ROUTINE
    recalled: bool = False

    @property
    def is_cancer(self) -> bool:
        return self.code.startswith(("ONC-", "PRO-", "NET-", "GLI-", "BRE-"))


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers that the rules compare with; `recalled` names those not yet confirmed."""

    child_before_age: int
    greatest_age: int
    pregnancy_from_age: int
    pregnancy_to_age: int
    weight_from_kg: float
    weight_to_kg: float
    usual_table_limit_kg: float
    question_min_characters: int
    days_after_chemotherapy: int
    days_after_radiotherapy: int
    days_after_surgery: int
    egfr_valid_days: int
    fds_days: int
    recalled: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Signposts:
    """Where to send what this service cannot take: nobody is turned away without an address."""

    primary_care: str
    outside_network: str
    mend: str


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Context:
    limits: Limits
    signposts: Signposts
    indications: Mapping[str, Indication] = field(default_factory=dict)
    lists: Mapping[str, Sequence[Choice]] = field(default_factory=dict)
    """Choice lists that reference data owns, by the item's `choices_from`."""
    organisations: Mapping[str, OrganisationKind] = field(default_factory=dict)
    """Kind by ODS code, from the directory we hold. A code that is not here is judged by its shape."""
    network: frozenset[str] | None = None
    """ODS codes that may refer here; None where the caller cannot say."""
    entitled_referrers: frozenset[str] | None = None
    """Registration numbers on the referring employer's list; None where no list is held."""
    invented_people: bool = False
    """Whether NHS numbers of the test range are what is expected here, as in a demonstration."""


@dataclass(frozen=True, slots=True)
class Case:
    """One referral as the rules see it."""

    answers: Answers
    on: date
    context: Context

    def get(self, name: str) -> object:
        return self.answers.get(name)

    def text(self, name: str) -> str:
        value = self.answers.get(name)
        return value.strip() if isinstance(value, str) else ""

    def day(self, name: str) -> date | None:
        value = self.answers.get(name)
        return value if isinstance(value, date) else None

    def number(self, name: str) -> float | None:
        value = self.answers.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def several(self, name: str) -> tuple[str, ...]:
        value = self.answers.get(name)
        return tuple(str(one) for one in value) if isinstance(value, tuple) else ()

    def rows(self, name: str) -> tuple[Mapping[str, object], ...]:
        value = self.answers.get(name)
        return tuple(row for row in value if isinstance(row, Mapping)) if isinstance(value, tuple) else ()

    @property
    def earliest(self) -> date:
        """The first day the scan could be."""
        return max(self.on, self.day("not_before") or self.on)

    @property
    def latest(self) -> date:
        """The last day the referrer asks for, or the earliest where none is given."""
        return max(self.earliest, self.day("requested_scan_by") or self.day("planned_scan_due") or self.earliest)

    @property
    def indication(self) -> Indication | None:
        return self.context.indications.get(self.text("indication_code"))

    @property
    def is_child(self) -> bool:
        """Before the 16th birthday on the first day the scan could be (specification annex 1)."""
        born = self.day("date_of_birth")
        return born is not None and age_on(born, self.earliest) < self.context.limits.child_before_age

    @property
    def of_childbearing_age(self) -> bool:
        """In the age range on any day the scan could be. Unknown age is asked."""
        born = self.day("date_of_birth")
        if born is None:
            return True
        limits = self.context.limits
        return (
            age_on(born, self.latest) >= limits.pregnancy_from_age
            and age_on(born, self.earliest) <= limits.pregnancy_to_age
        )

    def recalled(self, *limits: str) -> bool:
        return not self.context.limits.recalled.isdisjoint(limits)


Rule = Callable[[Case], Iterable[Finding]]


def age_on(born: date, on: date) -> int:
    """Whole years; a birthday on 29 February is kept on 1 March in other years."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
