"""The page on which a referrer answers: only what is open, and nothing typed is lost."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.referrals import services
from gantry.apps.referrals.forms import (
    AnswerText,
    ReferralForm,
)
from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.views.showing import one, overtaken
from gantry.apps.ui.forms import without_nul
from gantry.domain.access import Verb
from gantry.domain.referral import Kind
from gantry.domain.referral.data_set import ITEMS


@requires(Verb.ANSWER)
def answer(request: HttpRequest, key: UUID) -> HttpResponse:
    """Only what is open, filled with what was sent, and words beside it."""
    referral = one(request, key)
    posted = without_nul(request.POST) if request.method == "POST" else None
    on = timezone.localdate(request.now)
    context = services.context_for(referral.network, on, referring=referral.referring_organisation)
    names = services.open_items(referral)
    case = services.case_of(referral, on, context)
    filled = {}
    if "declaration" in names and request.POST.get("declaration"):
        filled = {"declared_by": request.acting.person.name, "declared_at": request.now}
    form = ReferralForm(
        posted,
        context=context,
        on=on,
        now=request.now,
        only=names,
        answers={name: value for name, value in case.answers.items() if name not in names},
        filled=filled,
        initial=initial_of(referral.answers, names),
    )
    words = AnswerText(posted, now=request.now)
    if request.method != "POST":
        return answer_page(request, referral, form, words)
    if request.POST.get("version") != str(referral.version):
        messages.warning(request, "Somebody else changed this referral while you were typing: check it and send again")
        return answer_page(request, referral, form, words, status=409)
    words.is_valid()
    open_words = any(not question.fields for question in services.open_questions(referral))
    if open_words and not words.cleaned_data.get("text", "").strip():
        words.add_error("text", "Write the answer")
        return answer_page(request, referral, form, words, status=422)
    given = {name: form.answers[name] for name in names if name in form.answers} | filled
    unreadable = [one for one in form.found if one.code == "MDS-02"]
    try:
        answered = services.answer(
            referral,
            given,
            text=words.cleaned_data.get("text", ""),
            version=referral.version,
            now=request.now,
            by=request.acting.actor,
            person=request.acting.person,
            unreadable=unreadable,
        )
    except Stale as stale:
        return overtaken(request, referral, stale)
    if answered.left:
        fresh = one(request, key)
        form.show(each for each in answered.left if form.place(each.field))
        messages.info(request, "What you answered is kept. Some of it is still open.")
        return answer_page(request, fresh, form, words, status=422)
    messages.success(request, "Answered: it goes on to be decided")
    return redirect("referrals:detail", referral.pk)


def initial_of(answers: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Kept answers as the form's fields show them; rows are spread over their cells."""
    initial: dict[str, Any] = {}
    for name in names:
        value = answers.get(name)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            initial |= {f"{name}-{n}-{cell}": v for n, row in enumerate(value) for cell, v in row.items()}
        elif name in answers:
            codes = next((item for item in ITEMS if item.name == name and item.kind is Kind.CODES), None)
            initial[name] = ", ".join(value) if codes and isinstance(value, list) else value
            if value == []:
                initial[f"{name}_none"] = True
    return initial


def answer_page(
    request: HttpRequest, referral: Referral, form: ReferralForm, words: AnswerText, status: int = 200
) -> HttpResponse:
    context = {
        "referral": referral,
        "form": form,
        "words": words,
        "parts": list(form.parts()),
        "questions": services.open_questions(referral),
    }
    return render(request, "referrals/answer.html", context, status=status)
