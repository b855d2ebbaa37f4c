from datetime import UTC, datetime, timedelta

from gantry.domain.ordering import Payer, why_not_cancelled
from gantry.domain.readiness import Item, Standing, asked_of, chance_of_coming
from gantry.domain.supply import DOSE, ORDER, why_not_ordered
from gantry.domain.transport import Arrived, Label, why_not_as_labelled
from gantry.reference.attendance import risks_of
from gantry.reference.carriage import A2_MBQ, CATEGORIES, METER_PERCENT
from gantry.reference.nuclides import F18

title = "What is ordered, who is ready for it, and what comes"

CUT_OFF = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
WORDS = {
    "answered": Item.ANSWERED,
    "instructions": Item.INSTRUCTIONS,
    "transport": Item.TRANSPORT,
    "glucose plan": Item.GLUCOSE_PLAN,
}


def said_of(lines):
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}


def decide(first, *more):
    if first.startswith("an FDG patient"):
        diabetes = "insulin" if "insulin" in first else "none"
        asked = asked_of(diabetes=diabetes, glucose_matters=True)
        said = {WORDS[name]: value == "settled" for name, value in said_of(more).items()}
        chance = chance_of_coming(risks_of(asked, glucose_matters=True), said)
        missing = ", ".join(str(item).replace("_", " ") for item in Standing(asked, said).missing) or "nothing"
        return f"comes with {chance:.0%}; still open: {missing}"
    if first.startswith("a label"):
        said = said_of((first, *more))
        label, _, index = said["a label"].partition(", index ")
        arrived = Arrived(
            F18, 9_000, Label(label), float(index), number(said.get("surface")), number(said.get("one metre"))
        )  # fmt: skip
        return list(
            why_not_as_labelled(
                arrived, a2_mbq=A2_MBQ["F-18"].value, categories=CATEGORIES.value, meter_percent=METER_PERCENT.value
            )
        )
    late = "after the cut-off" in more
    now = CUT_OFF + timedelta(minutes=1 if late else -1)
    if first.startswith("order"):
        return list(
            why_not_ordered(now=now, cut_off_at=CUT_OFF, activity_mbq=number(first.split()[1]) or 0, free_mbq=5_000)
        )
    said = said_of(more)
    return list(
        why_not_cancelled(
            now=now,
            cut_off_at=CUT_OFF,
            reason=said.get("because", ""),
            payer=Payer(said.get("pays", "nobody")),
            agreed=said.get("agreed", ""),
            left_without=int(said.get("left without", 0)),
        )
    )


def number(text):
    return None if text is None else float(text.split()[0].replace(",", ""))


def test_an_order_is_placed_by_its_cut_off(spec):
    """The run of this example can bring 5,000 MBq more; its cut-off is at 16:00."""
    spec(when=("order 4,000 MBq",), then=[])
    spec(when=("order 6,000 MBq",), then=["The run can bring 5,000 MBq more, not 6,000 MBq"])
    spec(
        when=("order 4,000 MBq", "after the cut-off"),
        then=["The cut-off for this run was 16:00 on 23 November 2026 UTC"],
    )


def test_a_cancelled_order_costs_nothing_until_the_cut_off(spec):
    """After it the supplier is making it: somebody pays, and nobody who has activity of it may be left without."""
    spec(when=("cancel", "because: the scanner is down"), then=[])
    spec(when=("cancel",), then=["Say why it is cancelled"])
    spec(
        when=("cancel", "after the cut-off", "because: the scanner is down"),
        then=["The cut-off was 16:00 on 23 November 2026 UTC: say who pays for what the supplier is making"],
    )
    spec(when=("cancel", "after the cut-off", "because: the scanner is down", "pays: provider"), then=[])
    spec(
        when=("cancel", "after the cut-off", "because: the scanner is down", "pays: supplier"),
        then=["Say who at the supplier agreed to bear the price"],
    )
    spec(
        when=("cancel", "after the cut-off", "because: cheaper", "pays: provider", "left without: 3"),
        then=[
            "3 people have activity of this run that no other order brings: move them first, or record that it will not come"
        ],
    )


def test_who_is_ready_is_likelier_to_come(spec):
    """The shares are recalled and the effect of asking is ours: a service measures its own."""
    spec(
        when=("an FDG patient",),
        then="comes with 91%; still open: answered, instructions, transport",
    )
    spec(
        when=("an FDG patient", "answered: open"),
        then="comes with 85%; still open: answered, instructions, transport",
    )
    spec(
        when=("an FDG patient", "answered: settled", "instructions: settled", "transport: settled"),
        then="comes with 94%; still open: nothing",
    )
    spec(
        when=("an FDG patient on insulin", "answered: settled", "instructions: settled", "transport: settled"),
        then="comes with 80%; still open: glucose plan",
    )


def test_a_package_is_judged_by_its_label_and_by_what_is_measured(spec):
    """Only more than the label says is a breach: on the road it decays. A meter's own uncertainty is allowed for."""
    spec(when=("a label: II-YELLOW, index 0.6", "surface: 0.3 mSv/h", "one metre: 0.006 mSv/h"), then=[])
    spec(
        when=("a label: I-WHITE, index 0.4",),
        then=["The label is I-WHITE, whose transport index is at most 0; it says 0.4"],
    )
    spec(
        when=("a label: II-YELLOW, index 0.6", "surface: 0.9 mSv/h"),
        then=["It carries II-YELLOW; what was measured here asks for III-YELLOW"],
    )
    spec(
        when=("a label: III-YELLOW, index 1.2", "one metre: 0.03 mSv/h"),
        then=["0.03 mSv/h at one metre is a transport index of at least 2.4; the label says 1.2"],
    )


def test_from_drafted_to_ended(spec):
    spec.table(("When an order is", "and somebody would", "it becomes"), [(a, b, c) for (a, b), c in ORDER.items()])


def test_from_the_door_to_the_vein(spec):
    """A dose is prepared here, or received from its supplier as a unit dose. What is in it never goes into a vial."""
    spec.table(
        ("When a dose is", "and somebody would", "it becomes"),
        [(a, b, c.replace("_", " ")) for (a, b), c in DOSE.items()],
    )
