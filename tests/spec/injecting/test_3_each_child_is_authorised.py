from gantry.domain.activity import why_not_individually
from gantry.reference.schemes import CHILD_UNDER, TOLERANCE_PERCENT

title = "A practitioner authorises each child"


def decide(age, authorised, drawn):
    def mbq(text):
        number = text.split()[-2]
        return None if number == "nothing" else float(number)

    return list(
        why_not_individually(
            int(age.split()[-1]),
            child_under=CHILD_UNDER.value,
            authorised_mbq=None if "nobody" in authorised else mbq(authorised),
            drawn_mbq=mbq(drawn),
            tolerance_percent=TOLERANCE_PERCENT.value,
        )
    )


def test_no_dose_of_a_child_without_its_own_authorisation(spec):
    """A card proposes; a practitioner authorises, for this child and this dose. No override lifts it. What was given all
    the same is recorded, as the breach that it is."""
    spec(
        when=("aged 9", "nobody has authorised an activity", "the syringe holds 126 MBq"),
        then=["This person is 9: a practitioner authorises each child's activity individually, and none has"],
    )
    spec(when=("aged 9", "a practitioner authorised 126 MBq", "the syringe holds 130 MBq"), then=[])
    spec(
        when=("aged 9", "a practitioner authorised 126 MBq", "the syringe holds 200 MBq"),
        then=["This person is 9: 200 MBq is not the dose that was authorised for this child, 126 MBq"],
    )


def test_from_the_sixteenth_birthday_the_rule_is_another(spec):
    """Tolerance and authorisation are still asked of everybody; there an emergency may be overridden by name."""
    spec(when=("aged 16", "nobody has authorised an activity", "the syringe holds 200 MBq"), then=[])
