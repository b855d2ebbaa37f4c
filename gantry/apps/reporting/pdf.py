"""Decides how a version looks on paper: real text, the NHS number and accession number on every page, its status unmissable."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import reportlab
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph, Spacer, Table, TableStyle

INK, SOFT, BLUE, RED = HexColor("#212b32"), HexColor("#4c6272"), HexColor("#003087"), HexColor("#b3190f")
WATERMARK = {
    "preliminary": "PRELIMINARY",
    "amended": "AMENDED",
    "withdrawn": "WITHDRAWN",
    "superseded": "SUPERSEDED",
}
STATUS = {
    "preliminary": "Preliminary: not yet verified",
    "final": "Final",
    "amended": "Amended: replaces every earlier version",
    "withdrawn": "Withdrawn: do not use any version of this report",
}
FONT_FOLDERS = (Path("/usr/share/fonts/truetype/dejavu"), Path(reportlab.__file__).parent / "fonts")
"""DejaVu writes more alphabets; Vera comes with the library and is always there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """Everything a printed version says."""

    state: str
    number: int
    superseded_by: int | None = None
    name: str
    nhs_number: str
    date_of_birth: date | None
    hospital_numbers: tuple[str, ...]
    accession_number: str
    study_uid: str
    examination: str
    scanned_at: datetime | None
    site: str
    referrer: str
    referring_organisation: str
    recipients: tuple[str, ...]
    question: str
    technique: str
    findings: str
    conclusion: str
    reason: str
    author: str
    registration: str
    issued_at: datetime
    provider: str
    synthetic: bool = False


@cache
def fonts() -> tuple[str, str]:
    for folder, plain, bold in (
        (FONT_FOLDERS[0], "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
        (FONT_FOLDERS[1], "Vera.ttf", "VeraBd.ttf"),
    ):
        if (folder / plain).exists() and (folder / bold).exists():
            pdfmetrics.registerFont(TTFont("Report", folder / plain))
            pdfmetrics.registerFont(TTFont("Report-Bold", folder / bold))
            pdfmetrics.registerFontFamily("Report", normal="Report", bold="Report-Bold")
            return "Report", "Report-Bold"
    return "Helvetica", "Helvetica-Bold"


def to_pdf(paper: Paper) -> bytes:
    """The same version gives the same bytes."""
    plain, bold = fonts()
    body = ParagraphStyle("body", fontName=plain, fontSize=10, leading=14.5, textColor=INK, spaceAfter=4)
    small = ParagraphStyle("small", parent=body, fontSize=8.5, leading=11.5, textColor=SOFT)
    heading = ParagraphStyle(
        "heading",
        parent=body,
        fontName=bold,
        fontSize=11.5,
        textColor=BLUE,
        spaceBefore=9,
        spaceAfter=3,
        keepWithNext=1,
    )
    title = ParagraphStyle("title", parent=body, fontName=bold, fontSize=17, leading=21, textColor=BLUE)
    warning = ParagraphStyle("warning", parent=body, fontName=bold, textColor=RED, spaceBefore=6)

    def words(text: str, style: ParagraphStyle = body) -> list[Paragraph]:
        return [Paragraph(escape(line) or "&nbsp;", style) for line in text.splitlines()] or [Paragraph("", style)]

    story = [Paragraph(escape(paper.examination), title), Spacer(1, 4), facts(paper, body, bold)]
    if paper.superseded_by:
        story += words(f"A later version, number {paper.superseded_by}, replaces this one.", warning)
    if paper.state != "final":
        story += words(STATUS[paper.state], warning)
    if paper.reason:
        story += words(f"Why: {paper.reason}")
    for name, text in (
        ("Clinical question", paper.question),
        ("Technique", paper.technique),
        ("Findings", paper.findings),
        ("Conclusion", paper.conclusion),
    ):
        if text.strip():
            story += [Paragraph(name, heading), *words(text)]
    signed = f"{paper.author}, {paper.registration}" if paper.registration else paper.author
    story += [
        Paragraph("Withdrawn by" if paper.state == "withdrawn" else "Reported by", heading),
        *words(f"{signed}, {moment(paper.issued_at)}, for {paper.provider}"),
        *words(f"To: {', '.join(paper.recipients) or paper.referring_organisation}", small),
        *words(f"Study {paper.study_uid}", small),
    ]
    out = BytesIO()
    document = BaseDocTemplate(
        out,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=24 * mm,
        bottomMargin=20 * mm,
        title=f"{paper.examination}: report, version {paper.number}, {paper.state}",
        author=paper.provider,
        subject=f"Accession number {paper.accession_number}",
        lang="en-GB",
        invariant=1,
    )
    frame = Frame(
        document.leftMargin,
        document.bottomMargin,
        document.width,
        document.height,
        id="text",
        showBoundary=0,
        leftPadding=0,
        rightPadding=0,
    )
    document.addPageTemplates(
        PageTemplate(id="page", frames=[frame], onPage=lambda canvas, _: margins(canvas, paper, plain, bold))
    )
    document.build(story)
    return out.getvalue()


def facts(paper: Paper, body: ParagraphStyle, bold: str) -> Table:
    born = f"{paper.date_of_birth:%-d %B %Y}" if paper.date_of_birth else "not given"
    rows = [
        ("Patient", paper.name, "NHS number", spaced(paper.nhs_number) or "none: see reason"),
        ("Born", born, "Accession number", paper.accession_number),
        (
            "Hospital number",
            ", ".join(paper.hospital_numbers) or "none given",
            "Version",
            f"{paper.number}, {paper.state}",
        ),
        (
            "Scanned",
            moment(paper.scanned_at) if paper.scanned_at else "not recorded",
            "Where",
            paper.site or paper.provider,
        ),
        ("Referred by", paper.referrer or "not given", "For", paper.referring_organisation),
    ]
    label = ParagraphStyle("label", parent=body, fontName=bold, fontSize=9, leading=12)
    value = ParagraphStyle("value", parent=body, fontSize=9.5, leading=12.5)
    cells = [
        [Paragraph(escape(each), label if column % 2 == 0 else value) for column, each in enumerate(row)]
        for row in rows
    ]
    table = Table(cells, colWidths=[29 * mm, 58 * mm, 33 * mm, 50 * mm])
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor("#d8dde0")),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return table


def margins(canvas: Canvas, paper: Paper, plain: str, bold: str) -> None:
    """On every page: whose it is, which version, and its status across the page where it is not simply final."""
    width, height = A4
    canvas.saveState()
    mark = "superseded" if paper.superseded_by and paper.state != "withdrawn" else paper.state
    if mark in WATERMARK:
        canvas.saveState()
        canvas.setFont(bold, 64)
        canvas.setFillColor(RED if mark in {"withdrawn", "superseded"} else SOFT, alpha=0.13)
        canvas.translate(width / 2, height / 2)
        canvas.rotate(52)
        canvas.drawCentredString(0, 0, WATERMARK[mark])
        canvas.restoreState()
    canvas.setFillColor(SOFT)
    canvas.setFont(bold, 8.5)
    canvas.drawString(20 * mm, height - 14 * mm, f"{paper.name}   NHS {spaced(paper.nhs_number) or 'none'}")
    canvas.setFont(plain, 8.5)
    canvas.drawRightString(
        width - 20 * mm, height - 14 * mm, f"{paper.accession_number}, version {paper.number}, {paper.state}"
    )
    invented = "DEMONSTRATION: an invented person. Not for care.   " if paper.synthetic else ""
    canvas.drawString(20 * mm, 12 * mm, f"{invented}{paper.provider}")
    canvas.drawRightString(width - 20 * mm, 12 * mm, f"Page {canvas.getPageNumber()}")
    canvas.restoreState()


def spaced(number: str) -> str:
    return f"{number[:3]} {number[3:6]} {number[6:]}" if len(number) == 10 else number


def moment(at: datetime, zone: str = "Europe/London") -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%-d %B %Y at %H:%M}"
