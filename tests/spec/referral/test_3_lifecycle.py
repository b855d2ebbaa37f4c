from gantry.domain.lifecycle import IllegalMove, advance
from gantry.domain.referral import KIND, REFERRAL, ReferralEvent, ReferralState

title = "What may happen to a referral"


def decide(state, event):
    try:
        return advance(REFERRAL, ReferralState(state), ReferralEvent(event)).value
    except IllegalMove as refused:
        return str(refused)


def test_a_referral_that_is_enough_goes_to_vetting(spec):
    """Received and complete are two moments: a contract must say which one starts its clock, so both are kept."""
    spec(when=("received", "complete"), then="to_vet")


def test_a_gap_is_asked_back_and_the_referral_kept(spec):
    """Nobody waits unseen: it stays on the referrer's list and on ours until it is answered."""
    spec(when=("received", "ask"), then="awaiting_referrer")


def test_new_facts_after_acceptance_go_back_to_vetting(spec):
    """Another site, tracer or fact is another decision."""
    spec(when=("accepted", "return to vetting"), then="to_vet")


def test_what_was_refused_cannot_be_accepted_by_the_back_door(spec):
    """It is opened again first, and checked again."""
    spec(when=("refused", "accept"), then="cannot accept when refused; can: reopen")


def test_the_whole_table(spec):
    """A state changes by a row of this table or not at all. Booked, scanned and reported are derived from acts."""
    spec.table(
        ["From", "Event", "To", "Appended"],
        [(start, event, end, f"`{KIND[event].value}`") for (start, event), end in REFERRAL.items()],
    )
