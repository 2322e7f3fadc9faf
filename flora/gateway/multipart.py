"""multipart/form-data as Discord's uploads want it: `payload_json` and `files[n]`.

Source: Discord, Reference, "Uploading Files"; RFC 7578.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from flora.errors import FloraError

_CONTENT_TYPE: Final = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}(; ?[\w-]+=[\w.-]+)*", re.ASCII)
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f"\\]')


class InvalidAttachmentError(FloraError):
    code = "INVALID_ATTACHMENT"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to send. The JSON body refers to the n-th one as `{"id": n}` in its `attachments`."""

    filename: str
    content: bytes = field(repr=False)
    content_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        if not self.filename or len(self.filename) > 260:
            raise InvalidAttachmentError("an attachment needs a file name of at most 260 characters.")
        try:
            self.filename.encode()
        except UnicodeEncodeError as error:
            raise InvalidAttachmentError("the file name of an attachment is not valid Unicode.") from error
        if not _CONTENT_TYPE.fullmatch(self.content_type):
            raise InvalidAttachmentError(f"not a content type: {self.content_type[:80]!r}.")


def encode_form(fields: Mapping[str, str], file: Attachment) -> tuple[str, list[bytes]]:
    """A form with plain fields and one file called `file`: what Discord's sticker upload takes."""
    boundary = _boundary()
    parts: list[bytes] = []
    for name, value in fields.items():
        parts += [_head(boundary, f'name="{name}"'), value.encode(), b"\r\n"]
    parts += _file(boundary, "file", file)
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", parts


def encode_multipart(payload_json: bytes | None, files: Sequence[Attachment]) -> tuple[str, list[bytes]]:
    """The Content-Type and the body in pieces, which share memory with the files."""
    boundary = _boundary()
    parts: list[bytes] = []
    if payload_json is not None:
        parts += [_head(boundary, 'name="payload_json"', "application/json"), payload_json, b"\r\n"]
    for index, file in enumerate(files):
        parts += _file(boundary, f"files[{index}]", file)
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", parts


def _boundary() -> str:
    return f"flora-{secrets.token_hex(16)}"  # not to be guessed, so that no file can contain it


def _file(boundary: str, name: str, file: Attachment) -> list[bytes]:
    filename = _UNSAFE.sub("_", file.filename)
    head = _head(boundary, f'name="{name}"; filename="{filename}"', file.content_type)
    return [head, file.content, b"\r\n"]


def _head(boundary: str, disposition: str, content_type: str | None = None) -> bytes:
    typed = "" if content_type is None else f"Content-Type: {content_type}\r\n"
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{typed}\r\n".encode()
