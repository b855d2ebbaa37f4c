"""Addresses of referrals. They carry opaque ids, never an NHS number."""

from django.urls import path

from gantry.apps.referrals.views import deciding, following, referring, uploading

app_name = "referrals"
urlpatterns = [
    path("", following.referrals, name="list"),
    path("new/", referring.new, name="new"),
    path("new/check/", referring.check, name="check"),
    path("drafts/<uuid:key>/drop/", referring.drop, name="drop_draft"),
    path("upload/", uploading.upload, name="upload"),
    path("upload/template.csv", uploading.template, name="template"),
    path("vetting/", deciding.vetting, name="vetting"),
    path("<uuid:key>/", following.detail, name="detail"),
    path("<uuid:key>/answer/", following.answer, name="answer"),
    path("<uuid:key>/withdraw/", following.withdraw, name="withdraw"),
    path("<uuid:key>/hold/", following.hold, name="hold"),
    path("<uuid:key>/resume/", following.resume, name="resume"),
    path("<uuid:key>/return/", following.return_to_vetting, name="return"),
    path("<uuid:key>/close/", following.close, name="close"),
    path("<uuid:key>/reopen/", following.reopen, name="reopen"),
    path("<uuid:key>/vet/", deciding.vet, name="vet"),
]
