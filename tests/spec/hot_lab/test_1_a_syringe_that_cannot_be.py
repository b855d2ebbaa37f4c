from datetime import UTC, datetime

from gantry.domain.decay import Assay
from gantry.domain.implausible import Drawing, VialNow, findings, recheck
from gantry.reference.hot_lab import CHECK_PERCENT, MAX_VOLUME_ML, VOLUME_TOLERANCE_PERCENT
from gantry.reference.nuclides import F18

title = "A syringe that cannot be is doubted by name"

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def decide(*asked):
    if isinstance(asked[0], list):
        bench, (question,) = asked[0], asked[1:]
        book = {row["syringe"]: Assay(F18, float(row["MBq"]), NOON) for row in bench}
        name, mbq = question.removeprefix("syringe ").split(" is measured again: ")
        found = recheck(Assay(F18, float(mbq.split()[0]), NOON), name, book, percent=CHECK_PERCENT.value)
        return str(found) if found else "it is what its label says"
    vial, syringe = asked
    vial_mbq, vial_ml = (float(word) for word in vial.replace(",", "").split() if word.replace(".", "").isdigit())
    mbq, ml = (float(word) for word in syringe.replace(",", "").split() if word.replace(".", "").isdigit())
    drawing = Drawing(
        Assay(F18, mbq, NOON),
        VialNow(F18, vial_mbq, vial_ml),
        ml,
        most_ml=MAX_VOLUME_ML.value,
        tolerance_percent=VOLUME_TOLERANCE_PERCENT.value,
    )
    return [str(each) for each in findings(drawing)]


def test_activity_and_volume_have_to_agree_with_the_vial(spec):
    """The calibrator's reading is held against the vial's concentration and the volume that was drawn, decayed to that
    moment. A doubt stops authorising, a named override lifts it, and what has happened is recorded all the same."""
    vial = "the vial holds 10,000 MBq in 10 mL"
    spec(when=(vial, "the syringe reads 300 MBq in 0.30 mL"), then=[])
    spec(
        when=(vial, "the syringe reads 300,000 MBq in 0.30 mL"),
        then=["kBq typed for MBq: 0.3 mL of 1,000 MBq/mL is 300.0 MBq, not 300,000.0 MBq"],
    )
    spec(
        when=(vial, "the syringe reads 205.4 MBq in 0.30 mL"),
        then=["Clock wrong by an hour: 0.3 mL of 1,000 MBq/mL is 300.0 MBq, not 205.4 MBq"],
    )
    spec(
        when=(vial, "the syringe reads 300 MBq in 1.50 mL"),
        then=["Impossible concentration: 1.5 mL of 1,000 MBq/mL is 1,500.0 MBq, not 300.0 MBq"],
    )
    spec(
        when=(vial, "the syringe reads 5,000 MBq in 12 mL"),
        then=[
            "Impossible volume: 12 mL is more than the 10 mL of one injection",
            "Impossible concentration: 12 mL of 1,000 MBq/mL is 12,000.0 MBq, not 5,000.0 MBq",
        ],
    )


def test_a_swapped_syringe_is_named_with_the_one_that_it_is(spec):
    bench = """
        syringe | MBq
        D1      | 200
        D2      | 300
    """
    spec(given=bench, when="syringe D1 is measured again: 202 MBq", then="it is what its label says")
    spec(
        given=bench,
        when="syringe D1 is measured again: 300 MBq",
        then="Swapped syringe: D1 should hold 200.0 MBq, not 300.0 MBq; D2 should",
    )
