"""The address to which receipts are posted."""

from django.urls import path

from gantry.gateways.messages.receipts import receipts

app_name = "receipts"
urlpatterns = [path("", receipts, name="receipts")]
