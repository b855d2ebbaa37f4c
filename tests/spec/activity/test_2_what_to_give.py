from datetime import date

from gantry.domain.activity import NotOnCard, from_card, prescribe
from gantry.reference.schemes import CARDS, card, scheme

title = "What to give"
DAY = date(2026, 11, 23)


def decide(name, weight, minutes=None):
    kg = float(weight.removesuffix(" kg"))
    if name in CARDS:
        answer = from_card(card(name, DAY).value, kg)
    else:
        answer = prescribe(scheme(name, DAY).value, kg, minutes_per_bed=minutes and float(minutes.split()[0]))
    if isinstance(answer, NotOnCard):
        return answer.reason
    return f"{answer.prescribed_mbq} MBq{f' ({answer.note})' if answer.note else ''}"


def test_by_the_kilogram(spec):
    """The reference level beside it is a trigger for review, not a prescription."""
    spec(when=("fdg-3.5", "70 kg"), then="245 MBq")


def test_by_weight_and_the_minutes_at_each_bed_position(spec):
    """Longer at each position, less activity; held at the most for the heavy. The formula is recalled."""
    spec(when=("fdg-linear-14", "70 kg", "3 minutes per bed"), then="327 MBq")
    spec(
        when=("fdg-linear-14", "120 kg", "3 minutes per bed"),
        then="530 MBq (Held at the most, 530 MBq: lengthen the acquisition instead, to 3.2 minutes per bed)",
    )


def test_a_child_by_the_card(spec):
    """EANM card 2016: a step table. Between listed weights the nearest counts, ties to the heavier."""
    spec(when=("fdg-torso", "20 kg"), then="126 MBq (Card row 20 kg, × 4.86)")
    spec(when=("fdg-torso", "5 kg"), then="44 MBq (Card row 6 kg, × 1.71)")
    spec(
        when=("fdg-torso", "72 kg"),
        then="The card ends at 68 kg: use an adult scheme, not above the child's ceiling",
    )
