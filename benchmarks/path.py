"""Every page of the path from referral to acted-on report: who opens it, its address, and what must stand on it."""

from collections.abc import Iterator
from datetime import timedelta

from django.test import Client

from benchmarks.lived import DAY, ROLES, TODAY
from gantry.apps.accounts.models import Person
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import Batch, Dose, SupplyRun, TracerOrder
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.apps.reporting.models import Report
from gantry.apps.scanning.models import Study, Visit
from gantry.domain.access import Role

CLOCK = TODAY + timedelta(hours=1)
"""When everything is opened: an ordinary morning, with people on the board and activity in the hot lab."""


def pages() -> Iterator[tuple[str, Client, str, str]]:
    waiting = Referral.objects.filter(state="to_vet").order_by("received_at", "pk")[0]
    site = Site.objects.order_by("ods_code")[0]
    today = Appointment.objects.filter(state="told", site=site, arrival_at__date=TODAY.date()).order_by("arrival_at")
    appointment = today[0]
    visit = Visit.objects.get(appointment=appointment)
    to_book = RequestedProcedure.objects.filter(referral__state="accepted", appointments=None).order_by("pk")[0]
    # A past day, full; the lived day holds one scan of each site alone.
    past = DAY - timedelta(days=30)
    batch = Batch.objects.get(site=site, reference_at__date=past.date())
    open_batch = Batch.objects.get(site=site, reference_at__date=TODAY.date())
    order = TracerOrder.objects.get(batches=open_batch)
    run = SupplyRun.objects.get(site=site, due_at__date=TODAY.date() + timedelta(days=1))
    dose = Dose.objects.filter(batch=batch).order_by("drawn_at")[3]
    done = Visit.objects.get(appointment=dose.appointment)
    tap = done.steps.filter(current=True, act="acquire").order_by("happened_at")[0]
    study = Study.objects.get(procedure=dose.appointment.procedure)
    report = Report.objects.get(procedure=dose.appointment.procedure)
    version = report.versions.get()
    practitioner = Person.objects.filter(grants__role=Role.PRACTITIONER).order_by("pk")[0]
    who = {said: signed_in(Person.objects.get(email=f"{said}@bench.test")) for said in ROLES}
    who["decides"] = signed_in(practitioner)
    scanner = site.deployments.get().scanner_id
    patient = "TESTCASE"
    for name, role, path, wanted in (
        ("refer", "refers", "/referrals/new/", "NHS number"),
        ("referrals", "refers", "/referrals/?who=", patient),
        ("a referral", "refers", f"/referrals/{waiting.pk}/", patient),
        ("upload", "refers", "/referrals/upload/", "CSV"),
        ("to decide", "decides", "/referrals/vetting/", patient),
        ("decide", "decides", f"/referrals/{waiting.pk}/vet/", patient),
        ("booking list", "books", "/booking/", patient),
        ("book", "books", f"/booking/scan/{to_book.pk}/", patient),
        ("an appointment", "books", f"/booking/appointment/{appointment.pk}/", patient),
        ("hot lab", "dispenses", f"/tracer/?site={site.pk}", open_batch.number),
        ("hot lab, a past day", "dispenses", f"/tracer/?site={site.pk}&on={past.date()}", batch.number),
        ("order for a run", "dispenses", f"/tracer/runs/{run.pk}/order/", "MBq"),
        ("an order", "dispenses", f"/tracer/orders/{order.pk}/", "MBq"),
        ("receive", "dispenses", f"/tracer/orders/{order.pk}/receive/", "Batch number"),
        ("a batch", "dispenses", f"/tracer/batches/{batch.pk}/", batch.number),
        ("draw", "dispenses", f"/tracer/batches/{open_batch.pk}/draw/", patient),
        ("a dose", "dispenses", f"/tracer/doses/{dose.pk}/", patient),
        ("a label", "dispenses", f"/tracer/doses/{dose.pk}/label/", patient),
        ("a recall", "dispenses", f"/tracer/batches/{batch.pk}/recall/", patient),
        ("holdings", "dispenses", f"/tracer/holdings/?site={site.pk}", "MBq"),
        ("disposals", "dispenses", f"/tracer/disposals/?site={site.pk}", "isposal"),
        ("instruments", "dispenses", f"/tracer/instruments/?site={site.pk}", "nstrument"),
        ("generators", "dispenses", f"/tracer/generators/?site={site.pk}", "enerator"),
        ("a package", "dispenses", f"/tracer/batches/{open_batch.pk}/consign/", open_batch.number),
        ("board", "scans", f"/board/{site.pk}/", patient),
        ("board, a past day", "scans", f"/board/{site.pk}/?on={past.date()}", patient),
        ("a visit", "scans", f"/board/visits/{done.pk}/", patient),
        ("a visit to come", "scans", f"/board/visits/{visit.pk}/", patient),
        ("a step", "scans", f"/board/visits/{visit.pk}/steps/weigh/", patient),
        ("leave", "scans", f"/board/visits/{visit.pk}/leave/", patient),
        ("a scanner", "scans", f"/board/{site.pk}/scanners/{scanner}/", "Scanner 1"),
        ("inject", "scans", f"/board/visits/{visit.pk}/inject/inject/", patient),
        ("a correction", "scans", f"/board/steps/{tap.pk}/correct/", patient),
        ("held images", "scans", "/images/held/", "images"),
        ("a study", "reports", f"/images/{study.pk}/", patient),
        ("to read", "reports", "/reports/", "To read"),
        ("write", "reports", f"/reports/write/{report.procedure_id}/", patient),
        ("issued reports", "refers", "/reports/issued/", patient),
        ("a report", "refers", f"/reports/{report.pk}/", patient),
        ("a report as PDF", "refers", f"/reports/versions/{version.pk}.pdf", "%PDF"),
        ("timeline", "refers", f"/timeline/referral/{report.procedure.referral_id}/", patient),
        ("a patient's timeline", "refers", f"/timeline/patient/{report.procedure.referral.patient_id}/", patient),
        ("search", "books", "/search/?q=testcase", patient),
        ("search by number", "books", f"/search/?q={report.procedure.referral.patient.nhs_number}", patient),
        ("watch", "leads", "/watch/", "watch"),
        ("opened in need", "manages", "/people/opened/", "pened"),
        ("doses to review", "manages", "/doses/", "ose"),
        ("incidents", "manages", "/measures/incidents/", "ncident"),
        ("measures", "manages", "/measures/", "easures"),
        ("measure M1", "manages", "/measures/M1/", "easure"),
        ("measure M2", "manages", "/measures/M2/", "easure"),
        ("measure T1", "manages", "/measures/T1/", "easure"),
        ("measure T2", "manages", "/measures/T2/", "easure"),
    ):
        yield name, who[role], path, wanted


def signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client
