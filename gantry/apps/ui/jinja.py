"""The Jinja environment of every page: NHS.UK macros, our filters, and nothing that reads the database."""

from collections.abc import Mapping
from datetime import date, datetime
from math import floor
from typing import Any

from django.http import QueryDict
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from jinja2 import ChainableUndefined, ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup, escape

from gantry.apps.ui import forms, styles, wording


def environment(**options: Any) -> Environment:
    # NHS.UK's macros read `params.a.b.c` whether or not it was given, and Django's default forbids that.
    options["undefined"] = ChainableUndefined
    options["trim_blocks"] = options["lstrip_blocks"] = True
    options["loader"] = ChoiceLoader([options["loader"], PackageLoader("nhsuk_frontend_jinja")])
    env = Environment(extensions=["jinja2.ext.do"], **options)
    env.globals.update(
        static=static,
        url=url,
        address=address,
        nhsuk_css=styles.address,
        field=lambda bound, **over: forms.render_field(env, bound, over),
        form_fields=lambda form: forms.render_form(env, form),
        error_summary=lambda *given: forms.render_error_summary(env, given),
        show=show,
        minutes_to=minutes_to,
    )
    env.filters.update(
        when=when,
        exact=exact,
        local=local,
        clock=clock,
        day=day,
        minutes=wording.say_minutes,
        mbq=wording.say_mbq,
        nhs_number=wording.say_nhs_number,
        pluralise=wording.pluralise,
        show=show,
        iso=iso,
        thousands=lambda n: f"{n:,}",
    )
    return env


def url(name: str, *args: Any, **kwargs: Any) -> str:
    return reverse(name, args=args or None, kwargs=kwargs or None)


def address(query: Mapping[str, Any], **change: Any) -> str:
    """The same page with some of its query changed; None drops a key."""
    changed = QueryDict(mutable=True)
    for key in query:
        changed.setlist(key, query.getlist(key) if hasattr(query, "getlist") else [query[key]])
    for key, value in change.items():
        if value is None or value == "":
            changed.pop(key, None)
        else:
            changed[key] = str(value)
    return "?" + changed.urlencode()


def when(value: datetime | date | None) -> str:
    """A time as people say it, the exact one on hover and for machines."""
    if value is None or value == "":
        return wording.DASH
    zone = timezone.get_current_timezone()
    said = wording.say_when(value, wording.page_now(), zone)
    return Markup('<time class="when" datetime="{}" title="{}">{}</time>').format(
        iso(value), wording.say_exactly(value, zone), said
    )


def minutes_to(moment: datetime) -> int:
    """Whole minutes from the page's moment; negative once it has passed."""
    return floor((moment - wording.page_now()).total_seconds() / 60)


def exact(value: datetime | date | None) -> str:
    return wording.DASH if value is None else wording.say_exactly(value, timezone.get_current_timezone())


def local(value: datetime, form: str = "%d/%m/%Y %H:%M") -> str:
    return value.astimezone(timezone.get_current_timezone()).strftime(form)


def clock(value: datetime | None) -> str:
    return wording.DASH if value is None else local(value, "%H:%M")


def day(value: datetime | date | None) -> str:
    if value is None:
        return wording.DASH
    if isinstance(value, datetime):
        value = value.astimezone(timezone.get_current_timezone()).date()
    return wording.say_date(value)


def iso(value: datetime | date) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value.isoformat()


def show(value: Any) -> Any:
    """A cell of a table or a row of a summary, drawn by its kind."""
    if value is None or value == "":
        return Markup('<span class="nothing">–</span>')
    if isinstance(value, datetime | date):
        return when(value)
    if hasattr(value, "__html__"):
        return Markup(value.__html__())
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return Markup("<br>").join(escape(show(each)) for each in value)
    return value
