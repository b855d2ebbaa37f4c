"""Forms: nothing typed is lost, errors link to their field, a stale save is merged or asked about."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django import forms
from django.http import QueryDict
from django.template import engines
from django.test import RequestFactory
from markupsafe import Markup

from gantry.apps.ui import stale
from gantry.apps.ui.fields import DateField, MomentField, NhsNumberField, NumberField, Radios
from gantry.apps.ui.forms import Form, Section

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ZONE = ZoneInfo("Europe/London")


class Asked(Form):
    nhs_number = NhsNumberField(required=False)
    name = forms.CharField(label="Family name")
    born_on = DateField(label="Date of birth", past=True, parts=True)
    weight_kg = NumberField(label="Weight", unit="kg", required=False)
    diabetes = forms.ChoiceField(label="Diabetes", choices=[("no", "No"), ("insulin", "Insulin")], widget=Radios())
    insulin_note = forms.CharField(label="Which?", required=False)
    needs = forms.MultipleChoiceField(
        label="Needs",
        required=False,
        choices=[("hoist", "Hoist"), ("escort", "Escort")],
        widget=forms.CheckboxSelectMultiple,
    )
    at = MomentField(label="Injected", required=False)
    layout = (Section("Patient", ("name:8", "born_on")),)
    reveals = {"diabetes": {"insulin": ["insulin_note"]}}
    keeps_base = True


def asked(data: dict[str, object] | None = None, **initial: object) -> Asked:
    posted = None
    if data is not None:
        posted = QueryDict(mutable=True)
        for key, value in data.items():
            posted.setlist(key, value if isinstance(value, list) else [value])
    return Asked(posted, initial=initial, now=NOW, zone=ZONE)


def drawn(form: forms.Form, source: str = "{{ error_summary(form) }}{{ form_fields(form) }}") -> str:
    return Markup(engines["jinja2"].from_string(source).render({"form": form}))


def test_fields_are_cleaned_from_what_people_type() -> None:
    form = asked(
        {
            "nhs_number": "999 000-0018",
            "name": "Ash",
            "born_on-day": "27",
            "born_on-month": "mar",
            "born_on-year": "61",
            "weight_kg": "72,4 kg",
            "diabetes": "no",
            "at": "four minutes ago",
        }
    )
    assert form.is_valid(), form.errors
    assert form.cleaned_data["nhs_number"] == "9990000018"
    assert form.cleaned_data["born_on"] == date(1961, 3, 27)
    assert form.cleaned_data["weight_kg"] == Decimal("72.4")
    assert form.cleaned_data["at"] == NOW - timedelta(minutes=4)


@pytest.mark.parametrize("posted", [{"born_on": "27/3/1961"}, {"born_on-day": "27/3/1961"}])
def test_a_whole_date_may_be_typed_into_three_boxes(posted: dict[str, object]) -> None:
    form = asked({"name": "Ash", "diabetes": "no", **posted})
    assert form.is_valid(), form.errors
    assert form.cleaned_data["born_on"] == date(1961, 3, 27)


def test_what_was_typed_comes_back_with_its_errors_linked() -> None:
    form = asked(
        {
            "nhs_number": "12 <b>",
            "born_on-day": "27",
            "born_on-year": "61x",
            "weight_kg": "heavy",
            "diabetes": "insulin",
            "insulin_note": "night",
            "needs": ["hoist"],
            "at": "when?",
        }
    )
    html = drawn(form)
    assert 'value="12 &lt;b&gt;"' in html and "<b>" not in html
    assert 'value="27"' in html and 'value="61x"' in html and 'value="heavy"' in html and 'value="when?"' in html
    assert 'value="night"' in html
    assert html.count(" checked") == 2
    assert 'href="#id_name"' in html and "Enter family name" in html
    assert 'href="#id_born_on-month"' in html and "Date of birth must include a month" in html
    assert 'id="id_born_on-month"' in html and 'id="id_name"' in html


def test_no_field_is_lost_from_the_page_and_each_is_drawn_once() -> None:
    html = drawn(asked())
    for name in ("nhs_number", "name", "born_on-day", "weight_kg", "insulin_note", "at"):
        assert html.count(f' name="{name}"') == 1, name
    assert "Weight (optional)" in html and "Which?</label>" in html.replace("\n", "").replace("  ", "")
    assert "grid__cell--8" in html


def test_findings_stand_beside_their_fields() -> None:
    form = asked({"name": "Ash", "born_on": "27/3/1961", "diabetes": "no"})
    form.add_findings(
        [
            SimpleNamespace(field="nhs_number", message="The check digit is wrong"),
            SimpleNamespace(field="elsewhere", message="Something else"),
        ]
    )
    assert form.errors["nhs_number"] == ["The check digit is wrong"]
    assert form.non_field_errors() == ["Something else"]


BASE = {"name": "Ash", "born_on": date(1961, 3, 27), "weight_kg": Decimal("70"), "diabetes": "no", "needs": ["hoist"]}


def stale_form(**typed: object) -> Asked:
    data = {"name": "Ash", "born_on": "27/3/1961", "weight_kg": "70", "diabetes": "no", "needs": ["hoist"]} | typed
    hidden = {
        "initial-name": "Ash",
        "initial-born_on": "27/3/1961",
        "initial-weight_kg": "70",
        "initial-diabetes": "no",
        "initial-needs": ["hoist"],
    }
    return asked(data | hidden, **BASE)


def test_what_does_not_clash_is_merged() -> None:
    merged = stale.merge(stale_form(weight_kg="72"), {**BASE, "name": "Birch"})
    assert not merged.clashes
    assert merged.theirs == (("Family name", "Birch"),)
    assert merged.yours == (("Weight", "72"),)
    assert ("name", "Birch") in merged.posted and ("weight_kg", "72") in merged.posted


def test_what_clashes_is_asked() -> None:
    merged = stale.merge(stale_form(weight_kg="72", diabetes="insulin"), {**BASE, "weight_kg": Decimal("74")})
    assert [(c.name, c.theirs.posted, c.yours.posted) for c in merged.clashes] == [("weight_kg", "74", "72")]
    assert merged.yours == (("Diabetes", "Insulin"),)
    assert "weight_kg" not in dict(merged.posted)


def test_the_same_change_made_twice_is_no_clash() -> None:
    merged = stale.merge(stale_form(weight_kg="72"), {**BASE, "weight_kg": Decimal("72")})
    assert (merged.clashes, merged.theirs, merged.yours) == ((), (), ())


@pytest.mark.django_db
def test_the_merge_posts_on_top_of_the_new_version(rf: RequestFactory) -> None:
    response = stale.stale_page(
        rf.post("/somewhere/"),
        stale_form(weight_kg="72"),
        {**BASE, "weight_kg": Decimal("74")},
        changed_by="Dr Ash",
        changed_at=NOW,
        version="8",
    )
    html = response.content.decode()
    assert response.status_code == 409
    assert "Dr Ash changed this while you were typing" in html
    assert '<input type="hidden" name="version" value="8">' in html
    assert '<input type="hidden" name="initial-weight_kg" value="74">' in html
    assert 'name="weight_kg" value="72"' in html and 'name="weight_kg" value="74"' in html


class AsUsual(Form):
    left = forms.CharField(label="Left")
    meter = forms.CharField(label="Meter")
    layout = (Section("What", "left"), Section("Measured", "meter", folded=True))


def test_a_folded_section_says_what_it_holds_and_opens_while_something_is_missing() -> None:
    held = drawn(AsUsual(initial={"meter": "Calibrator 1"}))
    assert '<details class="form-section form-section--folded"><summary' in held
    assert "Measured: Calibrator 1</summary>" in held
    empty = drawn(AsUsual())
    assert '<details class="form-section form-section--folded" open>' in empty and ">Measured</summary>" in empty
