"""Receiving unit doses: every syringe of a delivery on one page, for a named person or for nobody yet."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.forms import SyringeForm, UnitDosesForm
from gantry.apps.radiopharmacy.models import TracerOrder
from gantry.apps.radiopharmacy.views.doses import people_for
from gantry.apps.radiopharmacy.views.sites import usual_instrument, zone_of
from gantry.apps.radiopharmacy.views.today import name_of
from gantry.domain.access import Verb
from gantry.domain.lifecycle import IllegalMove
from gantry.reference.hot_lab import USABLE_FOR

MOST_SYRINGES = 24


def rows_of(request: HttpRequest, order: TracerOrder) -> int:
    """As many lines as patients were ordered for, and never fewer than were posted."""
    try:
        asked = int(request.POST.get("rows") or request.GET.get("rows") or order.patients)
    except ValueError:
        asked = order.patients
    return max(1, min(asked, MOST_SYRINGES))


@requires(Verb.RECEIVE_TRACER)
def receive_doses(request: HttpRequest, order: UUID) -> HttpResponse:
    row = get_object_or_404(
        TracerOrder.objects.for_user(request.acting.scope).select_related("run__supplier", "site"), pk=order
    )
    zone, posted, count = zone_of(row.site), request.POST or None, rows_of(request, row)
    with timezone.override(zone):
        people = people_for(row.site, row.tracer, request.now, request.acting.scope)
        choices = [
            (str(one.pk), f"{timezone.localtime(one.injection_at):%H:%M} {one.referral.patient.name}") for one in people
        ]
        form = UnitDosesForm(
            posted,
            initial={
                "reference_at": row.run.reference_at,
                "expires_at": row.run.reference_at + USABLE_FOR.value,
                "instrument": usual_instrument(request, row.site),
            },
            now=request.now,
            zone=zone,
        )
        syringes = [
            SyringeForm(posted, prefix=f"s{number}", number=number, people=choices, now=request.now, zone=zone)
            for number in range(1, count + 1)
        ]
        filled = [one for one in syringes if posted and one.filled()]
        unread = [one for one in filled if not one.is_valid()]
        if posted and form.is_valid() and not unread:
            by_key = {str(one.pk): one for one in people}
            try:
                batch = services.receive_unit_doses(
                    row,
                    form.facts(),
                    [one.syringe(by_key, form.cleaned_data["measured_at"]) for one in filled],
                    now=request.now,
                    by=request.acting.actor,
                )
                messages.success(request, f"Batch {batch.number} is in quarantine until it is released and accepted.")
                return redirect("tracer:batch", batch.pk)
            except services.NotDone as refused:
                for reason in refused.reasons:
                    form.add_error(None, reason)
            except (Stale, IllegalMove):
                row.refresh_from_db()
                form.add_error(None, f"This order is {row.state} already")
        return render(
            request,
            "tracer/receive_doses.html",
            {
                "order": row,
                "tracer": name_of(row.tracer),
                "form": form,
                "syringes": syringes,
                "filled": filled,
                "rows": count,
                "more": min(count + 4, MOST_SYRINGES),
            },
            status=422 if form.errors or unread else 200,
        )
