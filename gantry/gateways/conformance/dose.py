"""D1 to D4: what scanners say of dose, read by the doors' own translation and judged by the domain's own rules."""

import json
from collections import defaultdict
from collections.abc import Iterator
from math import isclose
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydicom import dcmread
from pydicom.dataset import Dataset

from gantry.domain.ct_dose import of_study
from gantry.domain.uptake import disagreements, uptake, why_no_suv
from gantry.gateways.conformance.expected import expected
from gantry.gateways.conformance.judging import Found
from gantry.gateways.dicom import ct_dose, dose_report, pet

ZONE = ZoneInfo("Europe/London")
REL = 1e-5
ACTIVITY, HALF_LIFE, EFFECTIVE_DOSE = "Administered activity", "Radionuclide Half Life", "Effective Dose"
TOTAL_DLP, DLP_ALERT = "CT Dose Length Product Total", "DLP Alert Value"


def files(data: Path, pattern: str) -> Iterator[tuple[str, Dataset]]:
    for path in sorted(data.glob(pattern)):
        yield path.name, dcmread(path)


def beside(data: Path, pattern: str) -> dict[str, Any]:
    """What the folder of the files itself says to expect of each, by file name; it comes before the README's table."""
    found: dict[str, Any] = {}
    for path in sorted(data.glob(pattern)):
        told = path.parent / "EXPECTED.json"
        if told.is_file():
            row = json.loads(told.read_text(encoding="utf-8")).get(path.name)
            if isinstance(row, dict):
                found[path.name] = row
    return found


def told(row: dict[str, Any], label: str) -> list[float]:
    """The numbers of a label, in a row of that table."""
    return [float(value) for name, value, *_ in row.get("values", []) if name == label]


def d1(data: Path) -> Found:
    """A scanner's dose report: what, how much, when, how long it halves, what dose. And ours, read back the same."""
    readme, faults, said = expected(data, "D1"), [], ""
    rows = beside(data, "dicom/**/NM-RRDSR*.dcm")
    for name, ds in files(data, "dicom/**/NM-RRDSR*.dcm"):
        want = dict(readme)
        for key, label in (("mbq", ACTIVITY), ("half_life_s", HALF_LIFE), ("msv", EFFECTIVE_DOSE)):
            if values := told(rows.get(name, {}), label):
                want[key] = values[0]
        report = dose_report.read(ds, ZONE)
        given = report.administration
        got: dict[str, Any] = {
            "nuclide": given.nuclide,
            "agent": given.agent.value if given.agent else "",
            "mbq": given.activity_mbq,
            "started": given.started_at.strftime("%Y-%m-%dT%H:%M:%S") if given.started_at else "",
            "half_life_s": given.half_life_s,
            "msv": given.effective_dose_msv,
        }
        faults += [f"{name}: {key} is {got[key]}, not {want[key]}" for key in got if got[key] != want[key]]
        again = dose_report.read(dose_report.write(report), ZONE).administration
        for key in ("agent", "radionuclide", "half_life_s", "activity_mbq", "started_at", "effective_dose_msv"):
            if getattr(again, key) != getattr(given, key):
                faults.append(f"{name}: written by us and read again, {key} is {getattr(again, key)}")
        said = f"{given.nuclide} {given.activity_mbq:g} MBq, {given.effective_dose_msv} mSv, written and read back"
    return Found(said, tuple(faults))


def d2(data: Path) -> Found:
    """Uptake time and the factor from counts to uptake value; a description in another language survives."""
    want, faults, said, descriptions = expected(data, "D2"), [], [], set()
    rows = beside(data, "dicom/**/NM-PetIm*.dcm")
    for name, ds in files(data, "dicom/**/NM-PetIm*.dcm"):
        facts = pet.read_facts(ds, ZONE)
        found = uptake(facts)
        descriptions.add(str(ds.get("StudyDescription", "")))
        derived = rows.get(name, {}).get("derived")
        values = want["files"].get(name)
        if derived:
            values = {
                "uptake_s": derived["uptake_s_injection_to_series"],
                "factor": derived["SUVbw_factor_g_per_Bq_if_BQML"],
            }
        if found is None:
            faults.append(f"{name}: {'; '.join(why_no_suv(facts))}")
        elif values and found.seconds != values["uptake_s"]:
            faults.append(f"{name}: {found.seconds:g} s of uptake, not {values['uptake_s']}")
        elif values and not isclose(found.factor, values["factor"], rel_tol=REL):
            faults.append(f"{name}: factor {found.factor:.10f}, not {values['factor']}")
        else:
            said.append(f"{name} {found.seconds:g} s, {found.factor:.8f} g/Bq")
    if want["description"] not in descriptions:
        faults.append(f"{want['description']} did not survive: {', '.join(sorted(descriptions))}")
    return Found("; ".join(said), tuple(faults))


def d3(data: Path) -> Found:
    """The report and the image of one study state two injection times: both are said, and how far they are apart."""
    want, sources = expected(data, "D3"), []
    for name, ds in (*files(data, "dicom/**/NM-RRDSR*.dcm"), *files(data, "dicom/**/NM-PetIm*.dcm")):
        if str(ds.StudyInstanceUID) != want["study"]:
            continue
        if str(ds.SOPClassUID) == dose_report.SOP_CLASS:
            report = dose_report.read(ds, ZONE)
            sources.append(report.administration.stated(name, report.weight_kg))
        else:
            sources.append(pet.stated(pet.read_facts(ds, ZONE), name))
    found = {one.what: one for one in disagreements(sources)}
    times, faults = found.get("injected_at"), []
    if times is None:
        faults.append(f"{len(sources)} sources, and nobody said that their times differ")
    else:
        if times.apart != want["seconds"]:
            faults.append(f"{times.apart:g} s apart, not {want['seconds']}")
        if set(times.said.values()) != {source.injected_at for source in sources}:
            faults.append("a time is shown that no source states")
    if extra := set(found) - {"injected_at"}:
        faults.append(f"they are said to differ in {', '.join(sorted(extra))} too")
    return Found(f"{want['seconds']} s apart, both shown", tuple(faults))


def d4(data: Path) -> Found:
    """Every vendor's CT report; cumulative reports of a study counted once; a raised alert is seen."""
    want, faults, by_study = expected(data, "D4"), [], defaultdict(list)
    names: dict[str, str] = {}
    for pattern in ("dicom/**/CT-RDSR*.dcm", "dicom/**/CT-ESR*.dcm"):
        for name, ds in files(data, pattern):
            report = ct_dose.read(ds, ZONE)
            by_study[report.study_uid].append(report)
            names[report.report_uid] = name
    rows = beside(data, "dicom/**/CT-*.dcm")
    studies = [of_study(reports) for reports in by_study.values()]
    for study in studies:
        here = {names[uid] for uid in study.reports}
        # Reports of one study are cumulative: the greatest of their totals is the study's.
        totals = [dlp for name in here for dlp in told(rows.get(name, {}), TOTAL_DLP)]
        totals = totals or [want["dlp"][name] for name in here & set(want["dlp"])]
        if totals and not isclose(study.dlp_mgy_cm, max(totals), rel_tol=REL):
            faults.append(f"{', '.join(sorted(here))}: {study.dlp_mgy_cm:.2f} mGy·cm, not {max(totals)}")
        alerted = bool(here & set(want["alerts"])) or any(told(rows.get(name, {}), DLP_ALERT) for name in here)
        if alerted != any(alert.what.startswith("DLP") for alert in study.alerts):
            faults.append(f"{', '.join(sorted(here))}: the alert was {'not seen' if alerted else 'invented'}")
        if study.doubt:
            faults.append(f"{', '.join(sorted(here))}: {study.doubt}")
    vendors = {report.manufacturer for reports in by_study.values() for report in reports}
    return Found(
        f"{len(names)} reports of {len(vendors)} makers, {len(studies)} studies, each counted once", tuple(faults)
    )
