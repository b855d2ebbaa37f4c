"""A referrer and a practitioner in a browser: one page typed and sent, then decided with two keys; each page accessible."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from gantry.apps.accounts.models import Person
from gantry.apps.referrals.models import Referral
from gantry.domain.access import Role
from tests.apps.factories import make_network, make_person, make_practitioner, make_referral
from tests.journeys.axe import assert_accessible, assert_fits

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


def sign_in(context: BrowserContext, server: LiveServer, person: Person) -> None:
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.save()
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": server.url}])


def both_widths(page: Page) -> None:
    assert_accessible(page)
    page.set_viewport_size({"width": 320, "height": 800})
    assert_fits(page)
    page.set_viewport_size({"width": 1280, "height": 900})


def fill(page: Page) -> None:
    """What a consultant types for a plain staging scan; the rest is prefilled."""
    today = timezone.localdate()
    for name, text in {
        "nhs_number": "999 000 0018",
        "local_patient_id": "H77",
        "family_name": "Browser",
        "given_name": "Bea",
        "date_of_birth": "14/3/58",
        "address": "1 Test Street",
        "postcode": "m20 4bx",
        "phone_primary": "01632 960 001",
        "gp_practice_ods": "V81999",
        "responsible_consultant": "Dr Pat Example",
        "responsible_consultant_gmc": "C1234567",
        "referring_site_ods": "RBV01",
        "requested_scan_by": f"{today + timedelta(days=10):%d/%m/%Y}",
        "clinical_question": "Stage before radical treatment: is there distant disease?",
        "weight_kg": "71.5",
        "weight_date": "yesterday",
    }.items():
        page.fill(f"#id_{name}", text)
    for name, value in {
        "nhs_number_status": "01",
        "stated_gender": "2",
        "sex_assigned_at_birth": "female",
        "transport": "own",
        "arrival_mobility": "walking",
        "referrer_role": "consultant",
        "priority": "2",
        "cancer_pathway": "none",
        "indication_code": "INF-VAS",
        "scan_purpose": "infection",
        "diabetes": "insulin",
        "claustrophobia": "none",
        "continence": "continent",
        "escort": "not_needed",
        "anaesthetic_required": "none",
        "weight_basis": "measured",
    }.items():
        control = page.locator(f"[name={name}]")
        if control.first.evaluate("one => one.tagName") == "SELECT":
            control.select_option(value)
        else:
            page.check(f"[name={name}][value='{value}']")
    for name, value in {
        "interpreter_required": "no",
        "surgery_or_biopsy_last_6w": "no",
        "iv_contrast_requested": "no",
        "lie_flat_30min": "yes",
        "reasonable_adjustments": "none",
        "infection_risk": "none",
        "allergies": "none",
        "support_need": "none",
    }.items():
        page.check(f"[name={name}][value='{value}']")
    page.check("#id_prior_imaging_none")
    page.check("#id_declaration")


def test_referred_on_one_page_followed_and_decided_with_two_keys(live_server: LiveServer, context: BrowserContext):
    made = make_network()
    referrer = make_person(Role.REFERRER, made.trust, name="Dr Pat Example", gmc="GMC C1234567")
    sign_in(context, live_server, referrer)
    page = context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))

    page.goto(f"{live_server.url}/referrals/new/")
    both_widths(page)
    assert page.locator("[data-item=insulin_regimen]").is_hidden()
    fill(page)
    expect(page.locator("[data-item=insulin_regimen]")).to_be_visible()
    expect(page.locator("[data-saved]")).to_contain_text("Draft saved")
    page.click("button[value=send]")
    expect(page.locator(".nhsuk-error-summary")).to_contain_text("Insulin is needed")
    assert page.input_value("#id_family_name") == "Browser"
    both_widths(page)
    page.select_option("#id_insulin_regimen", "pump")
    page.fill("#id_diabetes_detail", "Aspart")
    page.check("[name=metformin][value=no]")
    page.click("button[value=send]")
    expect(page.locator("h1")).to_have_text("BROWSER, Bea")
    both_widths(page)
    page.goto(f"{live_server.url}/referrals/")
    expect(page.locator("tbody tr")).to_contain_text("Being decided")
    both_widths(page)
    page.goto(f"{live_server.url}/referrals/upload/")
    both_widths(page)

    practitioner = make_practitioner(made)
    sign_in(context, live_server, practitioner)
    page.goto(f"{live_server.url}/referrals/vetting/")
    both_widths(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("BROWSER, Bea")
    both_widths(page)
    page.keyboard.press("y")
    page.keyboard.press("a")
    expect(page.locator(".message--success")).to_contain_text("accepted")
    referral = Referral.objects.get()
    assert referral.state == "accepted"
    assert referral.procedures.get().authorisations.get().activity_mbq == 250
    page.goto(f"{live_server.url}/referrals/{referral.pk}/")
    both_widths(page)
    assert not broken


def test_the_page_works_without_script(live_server: LiveServer, browser: Browser):
    made = make_network()
    person = make_person(Role.REFERRER, made.trust, name="Dr Pat Example", gmc="GMC C1234567")
    make_referral(made, referrer=person)
    context = browser.new_context(java_script_enabled=False)
    sign_in(context, live_server, person)
    page = context.new_page()
    page.goto(f"{live_server.url}/referrals/new/")
    assert page.locator("[data-item=insulin_regimen]").is_hidden()
    page.select_option("#id_diabetes", "insulin")
    page.fill("#id_family_name", "Slow")
    page.click("button[value=check]:visible >> nth=-1")
    assert page.locator("[data-item=insulin_regimen]").is_visible()
    assert page.input_value("#id_family_name") == "Slow"
    context.close()
