"""A CT above a level, or with its scanner's own alert, asks for a look; a child's and an unknown region's do not guess."""

from datetime import date

from gantry.domain.ct_dose import CtDose, CtEvent, Level, effective_dose_msv, middle_of, of_study, why_review
from gantry.reference.levels import HALF_BODY, HEAD, ct_level, region_of

LEVEL = Level(HALF_BODY, 4.3, 400.0)


def report(*dlps: float | None, ctdi: float = 4.0, total: float | None = None) -> CtDose:
    events = tuple(CtEvent(f"1.{n}", "Body", ctdi if dlp else None, dlp, ()) for n, dlp in enumerate(dlps))
    return CtDose("1", "2", "", None, None, sum(d or 0 for d in dlps) if total is None else total, len(dlps), events)


def test_at_the_level_nobody_is_asked_and_above_it_somebody_is():
    assert not list(why_review(of_study([report(None, 400.0, ctdi=4.3)]), LEVEL))
    assert list(why_review(of_study([report(None, 400.1, ctdi=4.4)]), LEVEL)) == [
        "DLP 400.1 mGy·cm is 0 % above the half body level of 400 mGy·cm",
        "CTDIvol 4.4 mGy is 2 % above the half body level of 4.3 mGy",
    ]


def test_one_person_is_asked_about_only_when_theirs_is_far_above():
    assert not list(why_review(of_study([report(599.0, ctdi=6.4)]), LEVEL, far_percent=50))
    assert list(why_review(of_study([report(601.0, ctdi=6.4)]), LEVEL, far_percent=50)) == [
        "DLP 601 mGy·cm is 50 % above the half body level of 400 mGy·cm"
    ]


def test_a_middle_needs_enough_people():
    assert middle_of([1.0] * 9, 3.0, least=10) is None
    found = middle_of([*range(1, 11)], 3.0, least=10)
    assert found is not None and (found.count, found.middle, found.above) == (10, 5.5, True)


def test_the_ctdi_of_a_study_is_that_of_its_main_irradiation():
    study = of_study([report(None, 5.0, 300.0)])
    assert study.main is not None and study.main.uid == "1.2"
    assert of_study([report(None)]).main is None


def test_a_total_that_does_not_come_from_its_irradiations_is_looked_at():
    assert "come to 100.00" in next(why_review(of_study([report(100.0, total=200.0)]), LEVEL))


def test_no_level_is_guessed_for_a_child_an_unknown_age_or_another_region():
    on = date(2026, 11, 23)
    assert ct_level(HALF_BODY, on, age=60) is not None
    assert ct_level(HALF_BODY, on, age=15) is None and ct_level(HALF_BODY, on, age=None) is None
    assert ct_level(HEAD, on, age=60) is None and ct_level(HALF_BODY, date(2016, 1, 1), age=60) is None
    assert (region_of("FDG"), region_of("FDG-BRAIN")) == (HALF_BODY, HEAD)


def test_an_estimate_of_effective_dose():
    assert effective_dose_msv(400, 0.015) == 6.0
