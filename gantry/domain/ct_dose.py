"""Decides what a study's CT gave, each irradiation counted once, and whether a reference level asks for a look at it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median


@dataclass(frozen=True, slots=True)
class Alert:
    """The scanner's own dose check: what it was set to, and what was foreseen."""

    event_uid: str
    what: str
    limit: float
    foreseen: float

    def __str__(self) -> str:
        return f"{self.what}: {self.foreseen:g} foreseen, alert at {self.limit:g}"


@dataclass(frozen=True, slots=True)
class CtEvent:
    uid: str
    protocol: str
    ctdi_vol_mgy: float | None
    dlp_mgy_cm: float | None
    """None for a localiser that states no dose."""
    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True)
class CtDose:
    """One report. `total_dlp_mgy_cm` is as the scanner stated it."""

    report_uid: str
    study_uid: str
    manufacturer: str
    started_at: datetime | None
    ended_at: datetime | None
    total_dlp_mgy_cm: float | None
    total_events: int | None
    events: tuple[CtEvent, ...]

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return tuple(alert for event in self.events for alert in event.alerts)


@dataclass(frozen=True, slots=True)
class StudyCt:
    """What one study's CT gave: each irradiation once, however many reports repeat it."""

    study_uid: str
    dlp_mgy_cm: float
    events: tuple[CtEvent, ...]
    alerts: tuple[Alert, ...]
    reports: tuple[str, ...]
    doubt: str = ""
    """Where the stated total and the sum of its irradiations do not agree."""

    @property
    def main(self) -> CtEvent | None:
        """The irradiation that gave most: the one whose CTDIvol stands for the study's."""
        return max((e for e in self.events if e.dlp_mgy_cm), key=lambda e: e.dlp_mgy_cm or 0.0, default=None)


def of_study(reports: Iterable[CtDose]) -> StudyCt:
    """Reports of one study are cumulative: a later one repeats the earlier, so nothing is counted twice.

    Raises ValueError for reports of several studies, or none.
    """
    listed = sorted(reports, key=lambda r: (len(r.events), r.total_dlp_mgy_cm or 0.0))
    studies = {report.study_uid for report in listed}
    if len(studies) != 1:
        raise ValueError("CT dose is counted for one study at a time")
    distinct = {one.uid: one for report in listed for one in report.events}
    summed = sum(one.dlp_mgy_cm or 0.0 for one in distinct.values())
    whole = listed[-1]
    complete = len(whole.events) == len(distinct) and whole.total_dlp_mgy_cm is not None
    dlp = whole.total_dlp_mgy_cm if complete and whole.total_dlp_mgy_cm is not None else summed
    doubt = ""
    if abs(dlp - summed) > 0.01 * max(dlp, 1.0):
        doubt = f"The scanner states {dlp:.2f} mGy·cm; its irradiations come to {summed:.2f} mGy·cm"
    events = tuple(distinct.values())
    alerts = tuple(alert for one in events for alert in one.alerts)
    return StudyCt(studies.pop(), dlp, events, alerts, tuple(r.report_uid for r in listed), doubt)


@dataclass(frozen=True, slots=True)
class Level:
    """A diagnostic reference level of one kind of CT: for the middle of many adults of usual size."""

    region: str
    ctdi_vol_mgy: float | None
    dlp_mgy_cm: float | None


def why_review(study: StudyCt, level: Level | None, *, far_percent: float = 0.0) -> Iterator[str]:
    """What asks a physicist to look: far above a level, or the scanner's own alert. Never a limit or a prescription.

    A level is for the middle of many: one person is asked about only when theirs is `far_percent` above it.
    """
    if level is not None:
        ctdi = study.main.ctdi_vol_mgy if study.main else None
        for what, unit, value, at in (
            ("DLP", "mGy·cm", study.dlp_mgy_cm, level.dlp_mgy_cm),
            ("CTDIvol", "mGy", ctdi, level.ctdi_vol_mgy),
        ):
            if value is not None and at is not None and value > at * (1 + far_percent / 100):
                over = (value / at - 1) * 100
                yield f"{what} {value:.4g} {unit} is {over:.0f} % above the {level.region} level of {at:g} {unit}"
    yield from (f"The scanner's dose check: {alert}" for alert in study.alerts)
    if study.doubt:
        yield study.doubt


def effective_dose_msv(dlp_mgy_cm: float, msv_per_mgy_cm: float) -> float:
    """An estimate for an adult of usual size, shown beside the tracer's dose and never inside it."""
    return dlp_mgy_cm * msv_per_mgy_cm


@dataclass(frozen=True, slots=True)
class Middle:
    """What a level is really for: the middle of a site's examinations."""

    count: int
    middle: float
    level: float

    @property
    def above(self) -> bool:
        return self.middle > self.level


def middle_of(values: Sequence[float], level: float, *, least: int) -> Middle | None:
    """The median; None while there are too few to say."""
    return Middle(len(values), median(values), level) if len(values) >= least else None
