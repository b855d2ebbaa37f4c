"""Whom we move: one sentence and one table, by deprivation, age, distance and language; what is not held is said as such."""

from datetime import date, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.scheduling.services.fairness import index_loaded, promised
from gantry.domain.access import Verb
from gantry.domain.fairness import groups, sentence

USUAL = timedelta(days=91)


@requires(Verb.SEE_MEASURES)
def fairness(request: HttpRequest) -> HttpResponse:
    today = timezone.localdate(request.now)
    start, end = asked(request, "from", today - USUAL), asked(request, "to", today)
    people = promised(request.acting.scope, start=min(start, end), end=max(start, end))
    return render(
        request,
        "scheduling/fairness.html",
        {
            "start": min(start, end),
            "end": max(start, end),
            "sentence": sentence(people),
            "groups": groups(people),
            "index": index_loaded(),
        },
    )


def asked(request: HttpRequest, name: str, usual: date) -> date:
    try:
        return date.fromisoformat(request.GET.get(name, ""))
    except ValueError:
        return usual
