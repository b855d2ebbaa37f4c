"""Invented content for the component page: every part in every state."""

from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils import timezone
from markupsafe import Markup

from gantry.apps.ui.charts import Series, bar_chart, decay_chart, line_chart
from gantry.apps.ui.fields import DateField, Input, MomentField, NhsNumberField, NumberField, Radios, TimeField
from gantry.apps.ui.forms import Form, Section
from gantry.apps.ui.listing import Column, Heading, Line, Listed, Shown, whole_number
from gantry.apps.ui.parts import Card, Link, NextStep, Progress, Row, Tag, TimelineEvent
from gantry.apps.ui.stale import Clash, Merge, Side
from gantry.apps.ui.wording import page_now

PARTS = ("form", "list", "board", "patient", "day-list", "dose-label", "letter", "stale")
PEOPLE = (
    ("Test PATIENT-ASH", "9990000018", "PET-CT whole body", "To vet", "soon", 2),
    ("Test PATIENT-BIRCH", "9990000026", "PET-CT brain", "Accepted", "good", 5),
    ("Test PATIENT-CEDAR", "9990000034", "PET-CT whole body", "Waiting for the referrer", "held", -1),
    ("Test PATIENT-ELM", "9990000042", "PSMA PET-CT", "Breached", "late", -3),
    ("Test PATIENT-FIR", "9990000050", "PET-CT cardiac", "Booked", "info", 9),
)


class Refer(Form):
    """A dense form with one of everything."""

    nhs_number = NhsNumberField(required=False, help_text="10 digits")
    no_number = forms.BooleanField(label="There is no NHS number", required=False)
    no_number_reason = forms.CharField(label="Why is there none?", required=False)
    family_name = forms.CharField(label="Family name")
    given_name = forms.CharField(label="Given name")
    born_on = DateField(label="Date of birth", past=True, help_text="For example, 27/3/1961")
    weight_kg = NumberField(label="Weight", unit="kg", max_digits=5, decimal_places=1, required=False)
    site = forms.ChoiceField(label="Site", choices=[("", "Choose"), ("a", "North site"), ("b", "South site")])
    diabetes = forms.ChoiceField(
        label="Diabetes",
        choices=[("no", "No"), ("tablets", "Tablets"), ("insulin", "Insulin")],
        widget=Radios(inline=True),
    )
    insulin_note = forms.CharField(label="Which insulin, and when?", required=False)
    needs = forms.MultipleChoiceField(
        label="Needs",
        required=False,
        choices=[("hoist", "Hoist"), ("interpreter", "Interpreter"), ("escort", "Escort")],
        widget=forms.CheckboxSelectMultiple,
    )
    question = forms.CharField(
        label="Clinical question",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What will the scan decide?",
    )
    code = forms.CharField(label="Your reference", required=False, widget=Input(width="10", code=True))
    injected_at = MomentField(label="Injected", required=False)
    clinic_at = TimeField(label="Clinic time", required=False)
    file = forms.FileField(label="Letter", required=False)
    reveals = {"no_number": {"on": ["no_number_reason"]}, "diabetes": {"insulin": ["insulin_note"]}}
    layout = (
        Section("Patient", ("family_name", "given_name", "born_on"), ("nhs_number:4", "no_number:4", "weight_kg:4")),
        Section("Referral", "question", ("site", "diabetes", "needs"), ("code", "injected_at", "clinic_at"), "file"),
    )


class BornOn(Form):
    """One thing a page."""

    dense = False
    born_on = DateField(label="What is your date of birth?", past=True, parts=True, help_text="For example, 27 3 1961")


def part(request: HttpRequest, name: str) -> tuple[str | None, dict[str, Any]]:
    now = page_now()
    if name == "":
        return "ui/showcase/all.html", _everything(now)
    if name not in PARTS:
        return None, {}
    context = {"parts": PARTS, **_PART[name](request, now)}
    return f"ui/showcase/{name.replace('-', '_')}.html" if name not in _TEMPLATE else _TEMPLATE[name], context


def _everything(now: datetime) -> dict[str, Any]:
    zone = timezone.get_current_timezone()
    hours = [now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=h) for h in range(-1, 8)]
    weeks = [f"{date(2026, 9, 7) + timedelta(weeks=w):%-d %b}" for w in range(10)]
    return {
        "parts": PARTS,
        "tags": [Tag("Received"), Tag("To vet", "soon"), Tag("Accepted", "good"), Tag("Breached", "late"), Tag("On hold", "held"), Tag("Booked", "info"), Tag("Closed", "off")],
        "cards": [
            Card("wait for a slot", 14, "oldest 6 days", "#cards", "soon"),
            Card("past their breach date", 2, "both at North site", "#cards", "late"),
            Card("booked this week", 1204, "of 1,260 offered", "#cards", "good"),
            Card("reports to read", 9, "", "", "info"),
        ],
        "events": [
            TimelineEvent("Booked for Thursday 09:40, North site", now - timedelta(hours=2), "C. Ordinator", tone="good", where="Booking office"),
            TimelineEvent("Slot held", now - timedelta(hours=2, minutes=4), "C. Ordinator", detail="10 minutes, scanner 1, uptake room 3, 350 MBq"),
            TimelineEvent("Scan moved", now - timedelta(days=1, hours=3), "N. Lead", cause="Batch failed quality control", tone="late", recorded_at=now - timedelta(days=1), message=Link("SIU^S13 sent", "#timeline")),
            TimelineEvent("Referral received", now - timedelta(days=6), "South hospital (order system)", message=Link("ORM^O01", "#timeline"), tone="info"),
        ],
        "next_step": NextStep("Tell the patient", "Booking office, North site", now + timedelta(hours=20), Link("Log a call", "#timeline")),
        "late_step": NextStep("Vet", "Dr P. Ractitioner", now - timedelta(days=1), late=True),
        "soon": now + timedelta(minutes=4), "calm": now + timedelta(minutes=47), "over": now - timedelta(minutes=3),
        "rows": [Row("NHS number", Markup("999&nbsp;000&nbsp;0018")), Row("Born", date(1961, 3, 27)), Row("Weight", "72.4 kg", Link("Change", "#facts")), Row("Interpreter", None)],
        "line": line_chart("Referral to scan", weeks, [Series("Median", [9, 8, 8, 10, None, 9, 8, 7, 7, 6]), Series("95 in 100 within", [16, 15, 17, 21, None, 18, 15, 14, 13, 13])], unit="days", target=14, sentence="Half of patients waited 6 days or less in the last week; 95 in 100 waited 13 days or less, inside the target of 14."),
        "bars": bar_chart("Not completed for isotope or equipment failure", ["North", "South", "East", "West", "Coast"], [Series("This month", [1.2, 0.4, 3.1, 0, 0.9])], unit="in 100", target=2, sentence="East site is above the limit with 3.1 in 100; the other four are below it."),
        "decay": decay_chart("Activity left in the vial", hours, lambda m: 7400 * 2 ** (-((m - hours[0]).total_seconds() / 6586.2)), zone=zone, floor_mbq=400, marks=[(now, "now")]),
        "work": Progress("Scans of last month counted", 3480, 8000),
        "listing": _listing(now),
    }  # fmt: skip


def _listing(now: datetime) -> Listed:
    columns = (
        Column("name", "Patient", lambda p: p[0], sort="name"),
        Column("number", "NHS number", lambda p: p[1], hide_narrow=True),
        Column("scan", "Scan", lambda p: p[2]),
        Column("breach", "Breach date", lambda p: (now + timedelta(days=p[5])).date(), sort="breach"),
        Column("state", "State", lambda p: Tag(p[3], p[4])),
        Column("wait", "Days waiting", lambda p: 11 - p[5], numeric=True),
    )
    return Listed(
        caption="Referrals by breach date",
        headings=tuple(
            Heading(
                c.label,
                c.numeric,
                c.hide_narrow,
                f"?sort={c.key}" if c.sort else "",
                "ascending" if c.key == "breach" else "",
            )
            for c in columns
        ),
        lines=tuple(
            Line(p, f"?open={p[1]}", tuple(c.cell(p) for c in columns)) for p in sorted(PEOPLE, key=lambda p: p[5])
        ),
        filters=(
            Shown("q", "Name or number", "", (), True),
            Shown("site", "Site", "north", (("north", "North site"), ("south", "South site")), False),
        ),
        filtered=True,
        first=1,
        last=5,
        total=1204,
        more_than_total=False,
        previous_href="",
        next_href="?page=2",
        csv_href="?format=csv",
        sort="breach",
    )


def _form(request: HttpRequest, now: datetime) -> dict[str, Any]:
    given = {
        "family_name": "",
        "born_on": "31/2/1961",
        "nhs_number": "999 000",
        "diabetes": "insulin",
        "needs": ["hoist"],
        "weight_kg": "72,4",
    }
    return {"form": Refer(given if "wrong" in request.GET else None, now=now), "wrong": "wrong" in request.GET}


def _patient(request: HttpRequest, now: datetime) -> dict[str, Any]:
    data = {"born_on-day": "27", "born_on-month": "", "born_on-year": "1961"} if "wrong" in request.GET else None
    return {"form": BornOn(data, now=now)}


def _board(request: HttpRequest, now: datetime) -> dict[str, Any]:
    return {
        "lanes": [
            ("Waiting", [("PATIENT-ASH", "arrived", None, "Inject", "info")]),
            ("Uptake", [("PATIENT-BIRCH", "injected", now + timedelta(minutes=3), "To scanner", "soon"), ("PATIENT-CEDAR", "injected", now + timedelta(minutes=41), "To scanner", "plain")]),
            ("Scanner", [("PATIENT-ELM", "started", now - timedelta(minutes=2), "Finish", "late")]),
            ("Recovery", []),
        ],
        "poll_seconds": whole_number(request.GET.get("poll", "")) or 10,
        "hours": [("09:00", 5120.0), ("10:00", 3507.0), ("11:00", 2402.0), ("12:00", 1645.0), ("13:00", 1127.0)],
    }  # fmt: skip


def _day_list(request: HttpRequest, now: datetime) -> dict[str, Any]:
    return {
        "heading": "Day list, scanner 1",
        "site": "North site",
        "day": now,
        "columns": ("Time", "Patient", "NHS number", "Scan", "Activity", "Needs", "Arrived"),
        "rows": [
            (f"{8 + i}:40", name, number, scan, "350 MBq", "", "") for i, (name, number, scan, *_) in enumerate(PEOPLE)
        ],
        "notes": ["Write times in the last column if the screens are down; enter them later."],
    }


def _dose_label(request: HttpRequest, now: datetime) -> dict[str, Any]:
    return {
        "patient_name": "PATIENT-ASH, Test",
        "nhs_number": "9990000018",
        "born_on": date(1961, 3, 27),
        "tracer": "F-18 FDG",
        "activity_mbq": 352.4,
        "assayed_at": now,
        "expires_at": now + timedelta(hours=4),
        "volume_ml": 3.1,
        "dose_id": "D-0042",
        "site": "North site",
        "barcode": None,
    }


def _letter(request: HttpRequest, now: datetime) -> dict[str, Any]:
    return {
        "heading": "Your scan on Thursday 3 December at 9:40am",
        "address": ("Test Patient-Ash", "1 Invented Street", "Northtown"),
        "sender": ("PET-CT, North site", "Ring 01632 960 001"),
        "reference": "R-1042",
        "dear": "Test Patient-Ash",
        "day": now,
        "body": Markup("<p>Do not eat for 6 hours before your scan. You can drink plain water.</p><p>Wear something warm without metal. The visit takes about 2 hours and 30 minutes.</p>"),
    }  # fmt: skip


def _stale(request: HttpRequest, now: datetime) -> dict[str, Any]:
    return {
        "merge": Merge(
            (Clash("weight_kg", "Weight", Side("72.4 kg", "72.4"), Side("74 kg", "74")),),
            (("Site", "South site"),),
            (("Clinical question", "Recurrence?"),),
            (),
        ),
        "hidden": [("version", "8")],
        "changed_by": "Dr P. Ractitioner",
        "changed_at": now - timedelta(minutes=2),
        "back": request.path,
    }


_PART = {
    "form": _form,
    "list": lambda request, now: {"listing": _listing(now)},
    "board": _board,
    "patient": _patient,
    "day-list": _day_list,
    "dose-label": _dose_label,
    "letter": _letter,
    "stale": _stale,
}
_TEMPLATE = {
    "day-list": "ui/print/day_list.html",
    "dose-label": "ui/print/dose_label.html",
    "letter": "ui/print/letter.html",
    "stale": "ui/409.html",
}
