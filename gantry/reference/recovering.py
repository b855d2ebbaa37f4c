"""What recovery assumes about journeys and transport, and the rules that practitioners and advisers have approved."""

from gantry.domain.scheduling.failures import Rules
from gantry.reference.dated import LIBRARY_FROM, Fact

TRANSPORT_PENCE_PER_KM = Fact(
    150, "pence a km", "Ours, for comparing choices; a transport contract replaces it", LIBRARY_FROM, notice="Assumed"
)
JOURNEY_MIN_PER_KM = Fact(1.5, "minutes a km", "Ours: town and country roads mixed", LIBRARY_FROM, notice="Assumed")
GETTING_READY_MIN = Fact(20, "minutes", "Ours: from the door to the road and from the car park in", LIBRARY_FROM, notice="Assumed")  # fmt: skip
FASTING_BEFORE_ARRIVAL_MIN = Fact(
    360,
    "minutes",
    "At least 6 h without food: patient leaflets of Alliance, Guildford and Swansea; counted here to the arrival",
    LIBRARY_FROM,
)
APPROVED = Fact(
    Rules(fasting_before_min=FASTING_BEFORE_ARRIVAL_MIN.value),
    "",
    "No rule on activity or transfer is approved until a practitioner and the radiation protection adviser sign one",
    LIBRARY_FROM,
)
