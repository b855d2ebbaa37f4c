"""Forms of the report: three texts, and what has to be said beside them."""

from typing import Any

from django import forms

from gantry.apps.reporting.services import Sections
from gantry.apps.ui.fields import Radios
from gantry.apps.ui.forms import Form

LONGEST = 20_000


def text(label: str, rows: int) -> forms.CharField:
    return forms.CharField(label=label, required=False, strip=False, widget=forms.Textarea(attrs={"rows": rows}))


class Writing(Form):
    technique = text("Technique", 3)
    findings = text("Findings", 14)
    conclusion = text("Conclusion", 5)
    exception_reason = forms.CharField(
        label="Why it is released without a verified NHS number", required=False, max_length=300
    )
    reason = forms.CharField(label="Why the report is amended", required=False, max_length=600)
    version = forms.IntegerField(widget=forms.HiddenInput)
    keeps_base = True
    marks_optional = False

    def __init__(self, *args: Any, without_number: bool, amending: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].show_hidden_initial = False
        if not without_number:
            del self.fields["exception_reason"]
        if not amending:
            del self.fields["reason"]

    def clean(self) -> dict[str, Any]:
        for name in ("technique", "findings", "conclusion"):
            if len(self.cleaned_data.get(name) or "") > LONGEST:
                self.add_error(name, f"Use {LONGEST:,} characters or fewer")
        return self.cleaned_data

    @property
    def sections(self) -> Sections:
        return Sections.of({name: self.cleaned_data.get(name, "").replace("\r\n", "\n") for name in TEXTS})


TEXTS = ("technique", "findings", "conclusion")


class Checking(Form):
    acceptable = forms.ChoiceField(
        label="Are the images good enough to report?",
        choices=[("yes", "Yes: report them and send them on"), ("no", "No")],
        widget=Radios(),
    )
    note = forms.CharField(label="What is wrong or missing?", required=False, max_length=400)

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("acceptable") == "no" and not self.cleaned_data.get("note"):
            self.add_error("note", "Say what is wrong")
        return self.cleaned_data


class Withdrawing(Form):
    wrong_person = forms.ChoiceField(
        label="Is the report about another person?",
        choices=[("yes", "Yes: it is about another person"), ("no", "No: it is wrong in another way")],
        widget=Radios(),
    )
    why = forms.CharField(
        label="Why is it withdrawn?",
        max_length=600,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Everyone who had the report is sent these words. Do not name another patient.",
    )
    version = forms.IntegerField(widget=forms.HiddenInput)


class Acting(Form):
    action = forms.CharField(
        label="What was done because of this report?",
        max_length=600,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
