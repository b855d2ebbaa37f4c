"""The verbs of reports: opened, drafted, issued, amended, withdrawn; sent, delivered, read, acted on."""

from gantry.apps.reporting.services.distributing import (
    dispatch_of,
    distribute,
    later_version_for,
    record_action,
    record_reading,
    report_delivered,
    report_failed,
    report_superseded,
    send_again,
)
from gantry.apps.reporting.services.issuing import amend, issue_preliminary, reopen, verify, withdraw
from gantry.apps.reporting.services.printing import paper_of, pdf_of
from gantry.apps.reporting.services.writing import (
    Elsewhere,
    Opened,
    OpenElsewhere,
    Refused,
    Sections,
    latest_check,
    open_report,
    put_down,
    save_draft,
    why_not_issued,
)

__all__ = [
    "Elsewhere",
    "OpenElsewhere",
    "Opened",
    "Refused",
    "Sections",
    "amend",
    "dispatch_of",
    "distribute",
    "issue_preliminary",
    "later_version_for",
    "latest_check",
    "open_report",
    "paper_of",
    "pdf_of",
    "put_down",
    "record_action",
    "record_reading",
    "reopen",
    "report_delivered",
    "report_failed",
    "report_superseded",
    "save_draft",
    "send_again",
    "verify",
    "why_not_issued",
    "withdraw",
]
