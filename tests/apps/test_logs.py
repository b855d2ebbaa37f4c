"""What is logged of an error says where, never what: a database puts the patient's row in its words."""

import io
import logging

import pytest
from django.core.handlers.exception import response_for_exception
from django.db import DatabaseError, connection
from django.test import RequestFactory

from gantry.config.logs import PlacesOnly


@pytest.fixture
def written():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlacesOnly("{levelname} {name} {message}", style="{"))
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


@pytest.mark.django_db
def test_a_database_error_is_logged_without_its_words(written):
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'TEST-PATIENT Ada 9990000018'::integer")
    except DatabaseError:
        logging.getLogger("gantry").exception("a verb failed")
    said = written.getvalue()
    assert "a verb failed" in said
    assert "InvalidTextRepresentation" in said
    assert "test_logs.py" in said
    assert "TEST-PATIENT" not in said and "9990000018" not in said


def test_a_page_that_breaks_logs_its_place_alone(written):
    try:
        raise ValueError("TEST-PATIENT Ada 9990000018")
    except ValueError as error:
        response_for_exception(RequestFactory().get("/x/"), error)
    said = written.getvalue()
    assert "ValueError" in said
    assert "TEST-PATIENT" not in said
