"""Addresses of the scan day and its images."""

from django.urls import path

from gantry.apps.scanning.views import board, doses, images, inject, scanners, steps, tellers, withdrawing

app_name = "scanning"
urlpatterns = [
    path("board/", board.choose, name="choose"),
    path("board/<uuid:site>/", board.room, name="board"),
    path("board/<uuid:site>/scanners/<uuid:key>/", scanners.scanner, name="scanner"),
    path("board/visits/<uuid:key>/", board.visit, name="visit"),
    path("board/visits/<uuid:key>/arrive/", steps.arrive, name="arrive"),
    path("board/visits/<uuid:key>/steps/<slug:step>/", steps.step, name="step"),
    path("board/visits/<uuid:key>/inject/<slug:step>/", inject.inject, name="inject"),
    path("board/visits/<uuid:key>/leave/", steps.leave, name="leave"),
    path("board/steps/<uuid:key>/correct/", steps.correct, name="correct"),
    path("doses/", doses.reviews, name="dose_reviews"),
    path("doses/given/<uuid:key>/", tellers.injection, name="injection_doses"),
    path("doses/told/<uuid:key>/", tellers.report, name="injector_report"),
    path("doses/<uuid:key>/", doses.review, name="dose_review"),
    path("images/held/", images.reconcile, name="reconcile"),
    path("images/held/<uuid:key>/", images.reconcile_item, name="reconcile_item"),
    path("images/<uuid:key>/", images.study, name="study"),
    path("images/<uuid:key>/withdraw/", withdrawing.withdraw, name="withdraw"),
    path("images/removals/<uuid:key>/told/", withdrawing.told, name="removal_told"),
    path("images/dispatches/<uuid:key>/again/", images.again, name="images_again"),
]
