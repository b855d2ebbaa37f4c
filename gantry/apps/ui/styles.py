"""Serves the NHS.UK stylesheet without its one outside address: the font licensed to NHS.UK alone."""

import gzip
import re
from functools import cache
from hashlib import sha256
from pathlib import Path

import brotli
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import reverse
from django.utils.cache import patch_vary_headers

SOURCE = "nhsuk/nhsuk-frontend.min.css"
_FONT_FACE = re.compile(r"@font-face\s*\{[^}]*\}")
_ASSET = re.compile(r"url\((['\"]?)/assets/([^)'\"]+)\1\)")
_SOURCE_MAP = re.compile(r"/\*#\s*sourceMappingURL=[^*]*\*/")


def rewrite(css: str) -> str:
    """Drop the outside font and the source map; point the icons at our own static files."""
    css = _SOURCE_MAP.sub("", _FONT_FACE.sub("", css))
    return _ASSET.sub(lambda found: f"url({static('nhsuk/assets/' + found[2])})", css)


@cache
def stylesheet() -> tuple[str, dict[str, bytes]]:
    """The version and the body in each encoding, made once a process."""
    found = finders.find(SOURCE)
    if not found:
        raise FileNotFoundError(f"{SOURCE} is missing: run npm ci")
    plain = rewrite(Path(found).read_text(encoding="utf-8")).encode()
    bodies = {"br": brotli.compress(plain, quality=9), "gzip": gzip.compress(plain, 9, mtime=0), "": plain}
    return sha256(plain).hexdigest()[:12], bodies


def address() -> str:
    return f"{reverse('ui:nhsuk_css')}?v={stylesheet()[0]}"


def nhsuk_css(request: HttpRequest) -> HttpResponse:
    _, bodies = stylesheet()
    accepted = {part.split(";")[0].strip() for part in request.headers.get("Accept-Encoding", "").split(",")}
    encoding = next((e for e in ("br", "gzip") if e in accepted), "")
    response = HttpResponse(bodies[encoding], content_type="text/css; charset=utf-8")
    if encoding:
        response["Content-Encoding"] = encoding
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


nhsuk_css.verbs = frozenset()  # anybody may open it
