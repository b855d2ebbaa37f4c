"""Whether somebody may be injected at all: their scanner is fit, running and free in their window, or a named fallback is.

And whether they were injected before: then the authorisation that let it happen is used up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gantry.domain.scan import Waiting


@dataclass(frozen=True, slots=True)
class ScannerNow:
    """One scanner at this moment, with what it already owes to people who are injected."""

    name: str
    unfit: str | None
    """Why it may not be used for this person; None: fit."""
    free_from: datetime
    owed: tuple[Waiting, ...] = ()
    hours: tuple[tuple[datetime, datetime], ...] | None = None
    """When it runs today; None: its site keeps no hours, and is not judged by them."""


def why_no_scan(scanner: ScannerNow, mine: Sequence[Waiting]) -> str | None:
    """Why this scanner cannot start these scans inside their windows; None when it can.

    Lists run late, so what was booked for others is not asked: only what is owed to those who are injected.
    """
    if scanner.unfit:
        return scanner.unfit
    if any((opens := _in_hours(scanner, each.least)) is None or opens > each.most for each in mine):
        return f"{scanner.name} is not running inside the window"
    if not _in_time(scanner, [*scanner.owed, *mine]):
        count = len(scanner.owed)
        others = f"{count} {'other' if count == 1 else 'others'} already injected"
        return f"{scanner.name} cannot scan this person inside the window beside {others}"
    return None


def _in_time(scanner: ScannerNow, waiting: Sequence[Waiting]) -> bool:
    """Whether everybody's scan can start inside their window, those first whose window closes first."""
    free = scanner.free_from
    for each in sorted(waiting, key=lambda w: (w.most, w.least)):
        starts = _in_hours(scanner, max(free, each.least))
        if starts is None or starts > each.most:
            return False
        free = starts + each.length
    return True


def _in_hours(scanner: ScannerNow, earliest: datetime) -> datetime | None:
    """A scan that has begun is finished, so only its start has to be inside the hours."""
    if scanner.hours is None:
        return earliest
    return next((max(earliest, opens) for opens, shuts in sorted(scanner.hours) if earliest < shuts), None)


def able(scanners: Iterable[ScannerNow], mine: Sequence[Waiting]) -> list[str]:
    """Names of those that could be the fallback."""
    return [scanner.name for scanner in scanners if why_no_scan(scanner, mine) is None]


def why_not_inject(
    intended: ScannerNow,
    mine: Sequence[Waiting],
    *,
    named: ScannerNow | None = None,
    sisters: Iterable[ScannerNow] = (),
) -> list[str]:
    """Nobody is injected unless their scanner is fit, running and free inside the window, or a fallback that was named is.

    It stops authorising, never recording.
    """
    why = why_no_scan(intended, mine)
    if why is None:
        return []
    if named is not None:
        instead = why_no_scan(named, mine)
        return [] if instead is None else [why, f"The fallback does not help: {instead}"]
    others = able(sisters, mine)
    return [f"{why}. {' or '.join(others)} could take this person: name it as the fallback"] if others else [why]


def why_glucose(mmol_per_l: float | None, limit_mmol_per_l: float) -> str | None:
    """A glucose that spoils the scan is a practitioner's or a doctor's decision, before the exposure and not after it."""
    if mmol_per_l is None or mmol_per_l <= limit_mmol_per_l:
        return None
    return f"Glucose {mmol_per_l:g} mmol/L, above {limit_mmol_per_l:g}: ask before injecting"


@dataclass(frozen=True, slots=True)
class Given:
    """One injection that somebody has had."""

    at: datetime
    mbq: float
    msv: float | None
    """None: no coefficient is known for this tracer and age."""
    step: str
    visit: str


def why_not_again(earlier: Iterable[Given], *, step: str, visit: str, authorised_at: datetime) -> str | None:
    """One authorisation is one injection: another visit's injection for the same step has used it up."""
    used = [g for g in earlier if g.visit != visit and g.step == step and g.at >= authorised_at]
    if not used:
        return None
    return f"The authorisation was used for {used[-1].mbq:.0f} MBq: a new injection needs its own"


@dataclass(frozen=True, slots=True)
class CtHad:
    """What the CT of one study gave."""

    dlp_mgy_cm: float
    msv: float | None


def in_all(earlier: Sequence[Given], *, mbq: float, msv: float | None, ct: Sequence[CtHad] = ()) -> str:
    """The cumulative dose in words, for whoever authorises another injection; nothing when it is the first.

    Of the tracer and of the CT side by side. What cannot be computed is said, and never counted as nothing.
    """
    if not earlier:
        return ""
    had_mbq = sum(g.mbq for g in earlier)
    had, then = summed(g.msv for g in earlier), summed([*(g.msv for g in earlier), msv])
    times = "once" if len(earlier) == 1 else f"{len(earlier)} times"
    said = f"Injected {times} before for this referral: {had_mbq:.0f} MBq, {in_msv(had)}"
    if ct:
        said += f", and CT of {sum(each.dlp_mgy_cm for each in ct):.0f} mGy·cm, {in_msv(summed(c.msv for c in ct), about=True)}"
    said += f". With {mbq:.0f} MBq more it is {had_mbq + mbq:.0f} MBq, {in_msv(then)} in all"
    together = summed([then, *(c.msv for c in ct)])
    if ct:
        said += f", {in_msv(together, about=True)} with the CT so far; the next CT comes to it"
    return said


def summed(values: Iterable[float | None]) -> float | None:
    """None as soon as one is not known: a sum of the rest would look like all of it."""
    listed = list(values)
    known = [each for each in listed if each is not None]
    return sum(known) if len(known) == len(listed) else None


def in_msv(msv: float | None, *, about: bool = False) -> str:
    return "effective dose not computed" if msv is None else f"{'about ' if about else ''}{msv:.1f} mSv"
