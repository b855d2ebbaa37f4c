"""Knows what every FHIR R4 type is made of: elements in order, how many, of what type, from which codes.

Read from the typed models of fhir.resources, whose nearest release to 4.0.1 is R4B: what R4B added is taken away here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, get_args
from uuid import UUID

from fhir.resources.R4B import get_fhir_model_class

ADDED_IN_R4B = frozenset(
    [
        "AdministrableProductDefinition",
        "Citation",
        "ClinicalUseDefinition",
        "EvidenceReport",
        "Ingredient",
        "ManufacturedItemDefinition",
        "MedicinalProductDefinition",
        "NutritionProduct",
        "PackagedProductDefinition",
        "RegulatedAuthorization",
        "SubscriptionStatus",
        "SubscriptionTopic",
        "SubstanceDefinition",
    ]
)
CHANGED_IN_R4B = frozenset({"DeviceDefinition", "Evidence", "EvidenceVariable", "ResearchElementDefinition"})
"""Their elements in R4 differ from those known here: they cannot be judged."""

RESOURCE_TYPES = frozenset(
    [
        "Account",
        "ActivityDefinition",
        "AdverseEvent",
        "AllergyIntolerance",
        "Appointment",
        "AppointmentResponse",
        "AuditEvent",
        "Basic",
        "Binary",
        "BiologicallyDerivedProduct",
        "BodyStructure",
        "Bundle",
        "CapabilityStatement",
        "CarePlan",
        "CareTeam",
        "CatalogEntry",
        "ChargeItem",
        "ChargeItemDefinition",
        "Claim",
        "ClaimResponse",
        "ClinicalImpression",
        "CodeSystem",
        "Communication",
        "CommunicationRequest",
        "CompartmentDefinition",
        "Composition",
        "ConceptMap",
        "Condition",
        "Consent",
        "Contract",
        "Coverage",
        "CoverageEligibilityRequest",
        "CoverageEligibilityResponse",
        "DetectedIssue",
        "Device",
        "DeviceDefinition",
        "DeviceMetric",
        "DeviceRequest",
        "DeviceUseStatement",
        "DiagnosticReport",
        "DocumentManifest",
        "DocumentReference",
        "EffectEvidenceSynthesis",
        "Encounter",
        "Endpoint",
        "EnrollmentRequest",
        "EnrollmentResponse",
        "EpisodeOfCare",
        "EventDefinition",
        "Evidence",
        "EvidenceVariable",
        "ExampleScenario",
        "ExplanationOfBenefit",
        "FamilyMemberHistory",
        "Flag",
        "Goal",
        "GraphDefinition",
        "Group",
        "GuidanceResponse",
        "HealthcareService",
        "ImagingStudy",
        "Immunization",
        "ImmunizationEvaluation",
        "ImmunizationRecommendation",
        "ImplementationGuide",
        "InsurancePlan",
        "Invoice",
        "Library",
        "Linkage",
        "List",
        "Location",
        "Measure",
        "MeasureReport",
        "Media",
        "Medication",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationKnowledge",
        "MedicationRequest",
        "MedicationStatement",
        "MedicinalProduct",
        "MedicinalProductAuthorization",
        "MedicinalProductContraindication",
        "MedicinalProductIndication",
        "MedicinalProductIngredient",
        "MedicinalProductInteraction",
        "MedicinalProductManufactured",
        "MedicinalProductPackaged",
        "MedicinalProductPharmaceutical",
        "MedicinalProductUndesirableEffect",
        "MessageDefinition",
        "MessageHeader",
        "MolecularSequence",
        "NamingSystem",
        "NutritionOrder",
        "Observation",
        "ObservationDefinition",
        "OperationDefinition",
        "OperationOutcome",
        "Organization",
        "OrganizationAffiliation",
        "Parameters",
        "Patient",
        "PaymentNotice",
        "PaymentReconciliation",
        "Person",
        "PlanDefinition",
        "Practitioner",
        "PractitionerRole",
        "Procedure",
        "Provenance",
        "Questionnaire",
        "QuestionnaireResponse",
        "RelatedPerson",
        "RequestGroup",
        "ResearchDefinition",
        "ResearchElementDefinition",
        "ResearchStudy",
        "ResearchSubject",
        "RiskAssessment",
        "RiskEvidenceSynthesis",
        "Schedule",
        "SearchParameter",
        "ServiceRequest",
        "Slot",
        "Specimen",
        "SpecimenDefinition",
        "StructureDefinition",
        "StructureMap",
        "Subscription",
        "Substance",
        "SubstanceNucleicAcid",
        "SubstancePolymer",
        "SubstanceProtein",
        "SubstanceReferenceInformation",
        "SubstanceSourceMaterial",
        "SubstanceSpecification",
        "SupplyDelivery",
        "SupplyRequest",
        "Task",
        "TerminologyCapabilities",
        "TestReport",
        "TestScript",
        "ValueSet",
        "VerificationResult",
        "VisionPrescription",
    ]
)
"""The concrete resource types of 4.0.1, abstract ones left out."""

PRIMITIVES = frozenset(
    [
        "base64Binary",
        "boolean",
        "canonical",
        "code",
        "date",
        "dateTime",
        "decimal",
        "id",
        "instant",
        "integer",
        "markdown",
        "oid",
        "positiveInt",
        "string",
        "time",
        "unsignedInt",
        "uri",
        "url",
        "uuid",
        "xhtml",
    ]
)
ANY_RESOURCE = "Resource"

ALL_CODES = {
    ("DiagnosticReport", "status"): """registered partial preliminary final amended corrected appended cancelled
        entered-in-error unknown""",
    ("Encounter", "status"): """planned arrived triaged in-progress onleave finished cancelled entered-in-error
        unknown""",
    ("Task", "status"): """draft requested received accepted rejected ready cancelled in-progress on-hold failed
        completed entered-in-error""",
    ("QuestionnaireItem", "type"): """group display boolean decimal integer date dateTime time string text url choice
        open-choice attachment reference quantity question""",
    ("Contract", "status"): """amended appended cancelled disputed entered-in-error executable executed negotiable
        offered policy rejected renewed revoked resolved terminated""",
}
"""Where the typed models list only the first few."""


@dataclass(frozen=True, slots=True)
class Element:
    name: str
    type: str
    """A primitive, a data type, a part of a resource (PatientContact), or Resource for any of them."""
    many: bool = False
    required: bool = False
    choice: str = ""
    """The group of which at most one may be given: value, for valueString."""
    choice_required: bool = False
    codes: frozenset[str] = frozenset()
    """All codes there are, where the binding is required and the list is known here."""
    targets: frozenset[str] = frozenset()

    @property
    def primitive(self) -> bool:
        return self.type in PRIMITIVES


class UnknownType(LookupError):
    """No type of that name in R4 that this gateway can judge."""


@cache
def elements_of(name: str) -> MappingProxyType[str, Element]:
    """By JSON name, in the order of the definition (which is the order in XML)."""
    if name in ADDED_IN_R4B or name in CHANGED_IN_R4B:
        raise UnknownType(name)
    try:
        model = get_fhir_model_class(name)
    except (ValueError, ImportError, KeyError):
        raise UnknownType(name) from None
    fields = {field.alias or key: field for key, field in model.model_fields.items()}
    return MappingProxyType(
        {element: read(name, element, fields[element]) for element in model.elements_sequence() if element in fields}
    )


def read(owner: str, name: str, field: Any) -> Element:
    facts = field.json_schema_extra or {}
    kind, many = of(field.annotation)
    choice = str(facts.get("one_of_many", ""))
    return Element(
        name=name,
        type=kind,
        many=many,
        required=bool(facts.get("element_required")) or (field.is_required() and not choice),
        choice=choice,
        choice_required=bool(facts.get("one_of_many_required")),
        codes=codes_of(owner, name, facts.get("enum_values", ())) if kind == "code" else frozenset(),
        targets=frozenset(facts.get("enum_reference_types", ())),
    )


def codes_of(owner: str, name: str, listed: Iterable[str]) -> frozenset[str]:
    """All codes, or none where only some are known."""
    if (owner, name) in ALL_CODES:
        return frozenset(ALL_CODES[owner, name].split())
    codes = frozenset(listed)
    return frozenset() if "+" in codes or "mime" in codes else codes


SPELT_BY_PYTHON: dict[Any, str] = {bool: "boolean", UUID: "uuid"}


def of(annotation: Any) -> tuple[str, bool]:
    """The FHIR type behind an annotation, and whether it repeats."""
    many = False
    queue = [annotation]
    while queue:
        one = queue.pop(0)
        if getattr(one, "__origin__", None) is list:
            many = True
        for fact in getattr(one, "__metadata__", ()):
            word = type(fact).__name__
            name = word[0].lower() + word[1:]
            if name in PRIMITIVES:
                return name, many
        if one in SPELT_BY_PYTHON:
            return SPELT_BY_PYTHON[one], many
        if isinstance(one, type) and one.__name__.endswith("Type") and one is not type(None):
            return one.__name__.removesuffix("Type"), many
        queue += get_args(one)
    raise UnknownType(str(annotation))


def listed(value: object) -> list[Any]:
    """A list, where it is one: a tree that is not judged yet may hold anything."""
    return value if isinstance(value, list) else []


def is_resource_type(name: object) -> bool:
    return isinstance(name, str) and name in RESOURCE_TYPES
