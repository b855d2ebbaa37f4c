"""A file of referrals: every fault of every row at once, good rows kept, the same file again changes nothing."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from gantry.apps.accounts.access import requires
from gantry.apps.referrals.forms import UploadForm
from gantry.apps.referrals.services import drafts
from gantry.apps.referrals.services import upload as files
from gantry.apps.referrals.views.referring import organisation_for
from gantry.domain.access import Verb


@requires(Verb.REFER)
def upload(request: HttpRequest) -> HttpResponse:
    form = UploadForm(request.POST or None, request.FILES or None, now=request.now)
    organisation = organisation_for(request)
    network = drafts.network_of(organisation)
    if organisation is None or network is None:
        return render(request, "referrals/no_network.html", status=503)
    if request.method != "POST":
        return render(request, "referrals/upload.html", {"form": form})
    if not form.is_valid():
        return render(request, "referrals/upload.html", {"form": form}, status=422)
    sent = form.cleaned_data["rows"]
    content = sent.read(files.MOST_BYTES + 1)
    got = files.upload(
        content,
        network=network,
        organisation=organisation,
        referrer=request.acting.person,
        now=request.now,
        by=request.acting.actor,
    )
    if isinstance(got, files.NotRead):
        for reason in got.reasons:
            form.add_error("rows", reason)
        return render(request, "referrals/upload.html", {"form": form}, status=422)
    refused = sum(one.referral is None for one in got.outcomes)
    context = {"form": form, "uploaded": got, "refused": refused, "kept": len(got.outcomes) - refused}
    return render(request, "referrals/upload.html", context, status=422 if refused else 200)


@requires(Verb.REFER)
def template(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("\ufeff" + files.template(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="gantry-referrals.csv"'
    return response
