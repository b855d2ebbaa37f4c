"""The verbs of a referral. Each is one transaction with one event for each thing that happened."""

from gantry.apps.referrals.services.asking import case_of, context_for, organisation_of
from gantry.apps.referrals.services.covering import (
    authorisation_for,
    lapse_due,
    sites_of,
    why_not_by_site,
    why_not_covered_now,
    window_of,
    withdraw_authorisation,
)
from gantry.apps.referrals.services.given import ct_had, given_to, msv_of
from gantry.apps.referrals.services.intake import receive
from gantry.apps.referrals.services.moving import (
    close,
    put_on_hold,
    reopen,
    resume,
    return_to_vetting,
    undecided,
    waits_again,
    withdraw,
)
from gantry.apps.referrals.services.next_steps import point_to
from gantry.apps.referrals.services.questions import Answered, answer, ask, open_items, open_questions
from gantry.apps.referrals.services.submission import Found, Received, Refused, Submission
from gantry.apps.referrals.services.vetting import NotVetted, Vetted, Vetting, Wanted, redirect, reject, vet

__all__ = [
    "Answered",
    "Found",
    "NotVetted",
    "Received",
    "Refused",
    "Submission",
    "Vetted",
    "Vetting",
    "Wanted",
    "answer",
    "ask",
    "authorisation_for",
    "case_of",
    "close",
    "context_for",
    "ct_had",
    "given_to",
    "lapse_due",
    "msv_of",
    "open_items",
    "open_questions",
    "organisation_of",
    "point_to",
    "put_on_hold",
    "receive",
    "redirect",
    "reject",
    "reopen",
    "resume",
    "return_to_vetting",
    "sites_of",
    "undecided",
    "vet",
    "waits_again",
    "why_not_by_site",
    "why_not_covered_now",
    "window_of",
    "withdraw",
    "withdraw_authorisation",
]
