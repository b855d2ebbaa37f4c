"""The verbs of images: kept, matched, reconciled, checked, sent and proved."""

from gantry.apps.scanning.services.dispatching import (
    DOOR,
    check_images,
    dispatch_images,
    follow_check,
    images_failed,
    images_proved,
    send_again,
    send_late_instances,
    send_what_is_ready,
)
from gantry.apps.scanning.services.keeping import (
    Conflict,
    KeptInstance,
    ReceivedInstance,
    TracerSeen,
    appointment_of,
    keep_instance,
    match,
    nearest,
    site_of,
)
from gantry.apps.scanning.services.reconciling import Difference, NeedsNote, NotThePerson, differences, reconcile

__all__ = [
    "DOOR",
    "Conflict",
    "Difference",
    "KeptInstance",
    "NeedsNote",
    "NotThePerson",
    "ReceivedInstance",
    "TracerSeen",
    "appointment_of",
    "check_images",
    "differences",
    "dispatch_images",
    "follow_check",
    "images_failed",
    "images_proved",
    "keep_instance",
    "match",
    "nearest",
    "reconcile",
    "send_again",
    "send_late_instances",
    "send_what_is_ready",
    "site_of",
]
