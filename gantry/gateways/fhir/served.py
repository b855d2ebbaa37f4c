"""Lists the resource types that are served: the CapabilityStatement, the reads and the imports all start from here."""

from collections.abc import Mapping

from gantry.gateways.fhir import (
    appointment,
    diagnostic_report,
    healthcare_service,
    imaging_study,
    location,
    organization,
    patient,
    practitioner,
    practitioner_role,
    schedule,
    service_request,
    slot,
)
from gantry.gateways.fhir.resource import Resource

SERVED: Mapping[str, Resource] = {
    module.RESOURCE.type: module.RESOURCE
    for module in (
        appointment,
        diagnostic_report,
        healthcare_service,
        imaging_study,
        location,
        organization,
        patient,
        practitioner,
        practitioner_role,
        schedule,
        service_request,
        slot,
    )
}
