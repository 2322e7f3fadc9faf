"""What every REST handler needs: the playground, the caller, the body, the answer."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

import msgspec

from flora.playground.drafts import Upload
from flora.playground.entities import User
from flora.playground.errors import DiscordError, Json, unauthorized
from flora.playground.forms import is_snowflake
from flora.playground.model import Model
from flora.playground.oauth import Access
from flora.playground.state import Playground
from flora.playground.web import JSON, Answer, current

MAX_REASON: Final = 512
_encode: Final = msgspec.json.encode


def playground() -> Playground:
    return current().playground


def model() -> Model:
    return current().playground.model


def caller() -> User:
    """The user whose token came with the request. Raises 401 when there is none."""
    user = current().user
    if user is None:
        raise unauthorized()
    return user


def access() -> Access | None:
    """The OAuth2 access token that came with the request, when it was one."""
    return current().access


def reply(value: Any, status: int = 200) -> Answer:
    return Answer(_encode(value), status, [("Content-Type", JSON)])


def no_content() -> Answer:
    return Answer(status=204)


async def read_json() -> Any:
    """The JSON body; `{}` where there is none. Raises 50109 for what is not JSON."""
    return decode(current().body)


async def read_message() -> tuple[Any, list[Upload]]:
    """A message body with its files: JSON, or multipart with `payload_json` and `files[n]`."""
    call = current()
    if call.media_type != "multipart/form-data":
        return decode(call.body), []
    form, files = call.form()
    payload = form.get("payload_json")
    value: Any = form.to_dict() if payload is None else decode(payload)
    uploads = []
    for name, file in files.items(multi=True):
        slot = name.removeprefix("files[").removesuffix("]") if name.startswith("files[") else name
        content_type = file.content_type or "application/octet-stream"
        uploads.append(Upload(slot, file.filename or "file", file.read(), content_type))
    return value, uploads


def decode(body: str | bytes) -> Any:
    if not body.strip():
        return {}
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DiscordError(400, 50109, "The request body contains invalid JSON.") from None


def reason() -> str | None:
    """X-Audit-Log-Reason, percent-decoded, at most 512 characters."""
    header = current().header(b"x-audit-log-reason")
    return None if header is None else unquote(header)[:MAX_REASON]


def query_flag(name: str) -> bool:
    return (current().arg(name) or "").lower() in ("true", "1")


def query_text(name: str, default: str = "") -> str:
    """The first value of a query parameter, or `default`."""
    text = current().arg(name)
    return default if text is None else text


def query_texts(name: str) -> list[str]:
    return current().args(name)


def query_int(name: str, *, default: int, least: int, most: int) -> int:
    """A whole number of the query. Raises 50035 when it is none or out of bounds."""
    text = current().arg(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise query_fault(name, "NUMBER_TYPE_COERCE", f'Value "{text[:64]}" is not int.')
    if not least <= int(text) <= most:
        bound = f"greater than or equal to {least}" if int(text) < least else f"less than or equal to {most}"
        raise query_fault(name, "NUMBER_TYPE_MIN", f"int value should be {bound}.")
    return int(text)


def query_snowflake(name: str) -> str | None:
    text = current().arg(name)
    if text is not None and not is_snowflake(text):
        raise query_fault(name, "NUMBER_TYPE_COERCE", f'Value "{text[:64]}" is not snowflake.')
    return text


def query_fault(name: str, code: str, message: str) -> DiscordError:
    errors: Json = {name: {"_errors": [{"code": code, "message": message}]}}
    return DiscordError(400, 50035, "Invalid Form Body", errors=errors)
