"""Addresses of referrals. They carry opaque ids, never an NHS number."""

from django.urls import path

from gantry.apps.referrals.views import acting, answering, deciding, following, referring, showing, uploading

app_name = "referrals"
urlpatterns = [
    path("", following.referrals, name="list"),
    path("new/", referring.new, name="new"),
    path("new/check/", referring.check, name="check"),
    path("drafts/<uuid:key>/drop/", referring.drop, name="drop_draft"),
    path("upload/", uploading.upload, name="upload"),
    path("upload/template.csv", uploading.template, name="template"),
    path("vetting/", deciding.vetting, name="vetting"),
    path("<uuid:key>/", showing.detail, name="detail"),
    path("<uuid:key>/answer/", answering.answer, name="answer"),
    path("<uuid:key>/withdraw/", acting.withdraw, name="withdraw"),
    path("<uuid:key>/hold/", acting.hold, name="hold"),
    path("<uuid:key>/resume/", acting.resume, name="resume"),
    path("<uuid:key>/return/", acting.return_to_vetting, name="return"),
    path("<uuid:key>/close/", acting.close, name="close"),
    path("<uuid:key>/reopen/", acting.reopen, name="reopen"),
    path("<uuid:key>/vet/", deciding.vet, name="vet"),
]
