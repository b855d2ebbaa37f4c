"""Decides how much a browser may send at once: a larger body is refused before any of it is read or laid on disk."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler


class Bounded(FileUploadHandler):
    """The first of the upload handlers. It keeps nothing: it only looks at how much is announced, and at what comes."""

    def handle_raw_input(self, input_data: Any, *given: Any, **named: Any) -> None:
        content_length = int(named["content_length"] if "content_length" in named else given[1])
        if content_length > settings.MAX_UPLOAD_BYTES:
            raise RequestDataTooBig("More than MAX_UPLOAD_BYTES")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        if start + len(raw_data) > settings.MAX_UPLOAD_BYTES:
            raise RequestDataTooBig("More than MAX_UPLOAD_BYTES")
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None
