"""People who sign in, their roles, entitlements and licences, and break-glass."""

import pghistory
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Row
from gantry.domain.access import Role, Scope


class PersonQuerySet(models.QuerySet["Person"]):
    def for_user(self, scope: Scope) -> "PersonQuerySet":
        return self.filter(grants__organisation__in=scope.organisations).distinct()


class People(BaseUserManager.from_queryset(PersonQuerySet)):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> "Person":
        person = self.model(email=self.normalize_email(email), **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person


@pghistory.track(exclude=["password", "last_login"])
class Person(AbstractBaseUser):
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120)
    registration = models.CharField(max_length=30, blank=True)
    """GMC, HCPC or GPhC number, with its body: "GMC C1234567"."""
    is_active = models.BooleanField(default=True)
    is_demonstration = models.BooleanField(default=False)

    objects = People()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_full_name(self) -> str:
        return self.name


class RoleGrant(Row):
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="grants")
    organisation = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=24, choices=[(r.value, r.value.replace("_", " ")) for r in Role])
    valid_from = models.DateField()
    valid_to = models.DateField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "organisation", "role", "valid_from"], name="grant_once"),
        ]

    def __str__(self) -> str:
        return f"{self.person} {self.role}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(organisation__in=scope.organisations)


class PractitionerLicence(Row):
    """IR(ME)R 2017 reg 5: a doctor's licence to justify, by procedure."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="licences")
    number = models.CharField(max_length=40)
    procedures = ArrayField(models.CharField(max_length=40))
    valid_from = models.DateField()
    valid_to = models.DateField()

    def __str__(self) -> str:
        return self.number

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        grants = RoleGrant.objects.filter(organisation__in=scope.organisations)
        return models.Q(person__in=grants.values("person"))


class Entitlement(Row):
    """IR(ME)R 2017 reg 6 and Schedule 2(b): an employer entitles a person to a duty, within a scope, with evidence."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="entitlements")
    employer = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    duty = models.CharField(max_length=20)
    """referrer, practitioner, operator, reporter."""
    procedures = ArrayField(models.CharField(max_length=40), default=list)
    """Empty means every procedure of the duty."""
    evidence = models.CharField(max_length=200, blank=True)
    valid_from = models.DateField()
    valid_to = models.DateField(null=True)

    def __str__(self) -> str:
        return f"{self.person} {self.duty}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(employer__in=scope.organisations)


class BreakGlass(Row):
    """A reasoned, timed look at a patient outside one's scope; always an event, always reviewed."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    patient = models.UUIDField()
    reason = models.TextField()
    from_at = models.DateTimeField()
    to_at = models.DateTimeField()
    event = models.UUIDField()
    reviewed_at = models.DateTimeField(null=True)
    reviewed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["person", "to_at"], name="break_glass_open")]

    def __str__(self) -> str:
        return f"{self.person} until {self.to_at:%H:%M}"


class Office(models.TextChoices):
    """Who an employer must appoint in writing."""

    RPA = "rpa", "Radiation protection adviser"
    RWA = "rwa", "Radioactive waste adviser"
    DGSA = "dgsa", "Dangerous goods safety adviser"
    MPE = "mpe", "Medical physics expert"
    CALDICOTT = "caldicott", "Caldicott guardian"
    IG_LEAD = "ig_lead", "Information governance lead"


class Appointee(Row):
    """Somebody whom an employer appointed by letter, for all of its sites or for one."""

    organisation = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="appointees")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, null=True, related_name="+")
    office = models.CharField(max_length=12, choices=Office)
    name = models.CharField(max_length=120)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    """Where they sign in here; an adviser from outside does not."""
    letter = models.CharField(max_length=120)
    """By which the letter of appointment is found."""
    valid_from = models.DateField()
    valid_to = models.DateField(null=True)

    def __str__(self) -> str:
        return f"{self.name}, {self.get_office_display().lower()}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(organisation__in=scope.organisations)
