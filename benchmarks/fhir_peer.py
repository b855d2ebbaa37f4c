"""The same reads by plain ORM objects, on the same server: the peer that benchmarks/fhir_reads.py times ours against."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from gantry.apps.accounts.access import Acting, public
from gantry.apps.audit.models import Event
from gantry.apps.exchange.models import AccessRecord
from gantry.apps.referrals.models import Referral
from gantry.gateways.fhir import tokens
from gantry.gateways.fhir.resource import ODS_ORGANISATION, OURS
from gantry.gateways.fhir.service_request import PLACER, PRIORITY, STATUS

PAGE = 20


def who(request: HttpRequest) -> Acting:
    token = request.headers["Authorization"].removeprefix("Bearer ")
    acting = tokens.acting_as(tokens.holder(token, now=request.now), now=request.now)
    if acting is None:
        raise PermissionError
    return acting


def instant(at: datetime) -> str:
    return at.astimezone(tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def organisation(row: Any) -> dict[str, Any]:
    return {
        "type": "Organization",
        "identifier": {"system": ODS_ORGANISATION, "value": row.ods_code},
        "display": row.name,
    }


def service_request(row: Referral) -> dict[str, Any]:
    last = Event.objects.filter(subjects__overlap=[row.pk]).aggregate(at=Max("recorded_at"))["at"] or row.received_at
    tree: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "id": str(row.pk),
        "meta": {"versionId": str(row.version), "lastUpdated": instant(last)},
    }
    if row.placer_order_number:
        tree["identifier"] = [{"system": PLACER, "value": row.placer_order_number}]
    tree |= {
        "status": STATUS.get(row.state, "active"),
        "intent": "order",
        "priority": PRIORITY.get(str(row.priority), "routine"),
    }
    if row.procedure_code:
        tree["code"] = {"coding": [{"system": OURS, "code": row.procedure_code}]}
    tree["subject"] = {"reference": f"Patient/{row.patient_id}"}
    if row.not_before or row.needed_by:
        period = {"start": row.not_before, "end": row.needed_by}
        tree["occurrencePeriod"] = {name: day.isoformat() for name, day in period.items() if day}
    tree |= {
        "authoredOn": instant(row.received_at),
        "requester": organisation(row.referring_organisation),
        "performer": [organisation(row.provider)],
    }
    if row.indication_code:
        reason: dict[str, Any] = {"coding": [{"system": OURS, "code": row.indication_code}]}
        if question := row.answers.get("clinical_question"):
            reason["text"] = question
        tree["reasonCode"] = [reason]
    return tree


def recorded(acting: Acting, request: HttpRequest, interaction: str, asked: str, rows: list[Referral]) -> None:
    AccessRecord.objects.create(
        at=request.now,
        person=acting.person.pk,
        by_name=acting.person.name,
        interaction=interaction,
        type="ServiceRequest",
        asked=asked,
        subjects=[row.pk for row in rows],
        patients=list({row.patient_id for row in rows}),
    )


def mine(acting: Acting) -> Any:
    return Referral.objects.for_user(acting.scope).select_related("referring_organisation", "provider")


def answer(tree: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(json.dumps(tree, ensure_ascii=False), status=status, content_type="application/fhir+json")


@csrf_exempt
@public
def one(request: HttpRequest, key: UUID) -> HttpResponse:
    acting = who(request)
    row = mine(acting).filter(pk=key).first()
    if not request.path.startswith("/peer/unrecorded"):
        recorded(acting, request, "read", str(key), [row] if row else [])
    return answer(service_request(row)) if row else answer({"resourceType": "OperationOutcome"}, 404)


@csrf_exempt
@public
def some(request: HttpRequest) -> HttpResponse:
    acting = who(request)
    after = request.GET.get("_page") or "0" * 32
    rows = list(mine(acting).filter(patient=request.GET["patient"], pk__gt=after).order_by("pk")[: PAGE + 1])[:PAGE]
    if not request.path.startswith("/peer/unrecorded"):
        recorded(acting, request, "search", "patient", rows)
    base = request.build_absolute_uri("/fhir/R4/")
    entries = [
        {
            "fullUrl": f"{base}ServiceRequest/{row.pk}",
            "resource": service_request(row),
            "search": {"mode": "match"},
        }
        for row in rows
    ]
    link = [{"relation": "self", "url": request.build_absolute_uri()}]
    return answer({"resourceType": "Bundle", "type": "searchset", "total": len(rows), "link": link, "entry": entries})


urlpatterns = [
    path("fhir/R4/", include("gantry.gateways.fhir.urls")),
    path("peer/ServiceRequest/<uuid:key>", one),
    path("peer/ServiceRequest", some),
    path("peer/unrecorded/ServiceRequest/<uuid:key>", one),
    path("peer/unrecorded/ServiceRequest", some),
]
