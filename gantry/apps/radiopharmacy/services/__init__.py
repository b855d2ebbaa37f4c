"""Hot-lab verbs: orders, batches, doses, and what is left."""

from gantry.apps.radiopharmacy.services.batches import (
    DeliveryFacts,
    accept_batch,
    expire_batch,
    fail_batch,
    recall_batch,
    receive_delivery,
    reject_batch,
    release_batch,
    spend_batch,
)
from gantry.apps.radiopharmacy.services.doses import (
    Impossible,
    administer,
    assay_residual,
    assign,
    draw,
    retime,
    waste,
    why_not_this_dose,
)
from gantry.apps.radiopharmacy.services.orders import (
    cancel_order,
    close_run,
    confirm_order,
    fail_order,
    open_run,
    place_order,
)
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.apps.radiopharmacy.services.stock import activity_left, balance, left_in, nuclide_of

__all__ = [
    "DeliveryFacts",
    "Impossible",
    "NotDone",
    "accept_batch",
    "activity_left",
    "administer",
    "assay_residual",
    "assign",
    "balance",
    "cancel_order",
    "close_run",
    "confirm_order",
    "draw",
    "expire_batch",
    "fail_batch",
    "fail_order",
    "left_in",
    "nuclide_of",
    "open_run",
    "place_order",
    "recall_batch",
    "receive_delivery",
    "reject_batch",
    "release_batch",
    "retime",
    "spend_batch",
    "waste",
    "why_not_this_dose",
]
