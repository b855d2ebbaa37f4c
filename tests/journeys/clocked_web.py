"""The WSGI entry of a journey: Gantry's own, under the journey's clock."""

from tests.journeys.clocked import turn_clock

turn_clock()

from gantry.config.wsgi import application  # noqa: E402

__all__ = ["application"]
