"""The rulebook in docs is what the tests print, and the way it is printed can fail."""

import pytest

from tests.spec.book import RULES, Spec, print_book, read_table


def test_the_committed_rulebook_is_what_the_tests_print():
    committed = {path.name: path.read_text() for path in RULES.glob("*.md")}
    assert committed == print_book(), "run make rules"


def test_printing_twice_gives_the_same_bytes():
    assert print_book() == print_book()


def test_a_wrong_answer_fails():
    with pytest.raises(AssertionError, match="not 3"):
        Spec(lambda a, b: a * b)(when=(2, 2), then=3)


def test_a_crooked_table_is_refused():
    assert read_table("a | b\n1 | 2") == [{"a": "1", "b": "2"}]
    assert read_table("") == []
    with pytest.raises(ValueError, match="columns"):
        read_table("a | b\n1")
    with pytest.raises(AssertionError, match="empty table"):
        Spec(len).table(["a"], [])
