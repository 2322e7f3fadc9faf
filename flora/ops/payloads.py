"""Message payloads: the script's camelCase shape in, Discord's JSON out.

Rules as in the original (flora.md 3.4): an embed's footer needs text, its author a name, its image and
thumbnail a url, else they are left out. What Discord can judge better (lengths, components) is left to it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from flora.gateway.multipart import Attachment
from flora.ops.arguments import Id
from flora.ops.errors import invalid_input
from flora.ops.fetcher import FetchSession

EPHEMERAL: Final = 1 << 6
MAX_ATTACHMENTS: Final = 10  # Discord API Reference, "Create Message"
MAX_UPLOAD: Final = 25 * 2**20
"""Bytes by URL in one message: what Discord takes of a bot without boosts (10 MiB a file) and some more."""
_ANY_TYPE: Final = "application/octet-stream"

_EMBED_NAMES: Final[Mapping[str, str]] = {
    "iconUrl": "icon_url",
    "proxyIconUrl": "proxy_icon_url",
    "proxyUrl": "proxy_url",
}


class AttachmentArgs(msgspec.Struct, rename="camel"):
    """A new file, as base64 `data`, `text` or a `url`; or the `id` of one that an edited message keeps."""

    filename: str | None = None
    data: str | None = None
    text: str | None = None
    url: str | None = None
    description: str | None = None
    content_type: str | None = None
    id: Id | None = None


class AllowedMentionsArgs(msgspec.Struct, rename="camel"):
    parse: list[str] | None = None
    users: list[str] | None = None
    roles: list[str] | None = None
    replied_user: bool | None = None


class PollText(msgspec.Struct, rename="camel"):
    text: str
    emoji: str | dict[str, Any] | None = None


class PollArgs(msgspec.Struct, rename="camel"):
    """`duration` in hours."""

    question: str | PollText
    answers: list[str | PollText]
    duration: int | msgspec.UnsetType = msgspec.UNSET
    allow_multiselect: bool | msgspec.UnsetType = msgspec.UNSET
    layout_type: int | msgspec.UnsetType = msgspec.UNSET


class MessageArgs(msgspec.Struct, rename="camel"):
    """What every op that writes a message takes. Absent is "not given"; an edit may also give null."""

    content: str | msgspec.UnsetType | None = msgspec.UNSET
    embeds: list[dict[str, Any]] | msgspec.UnsetType | None = msgspec.UNSET
    components: list[dict[str, Any]] | msgspec.UnsetType | None = msgspec.UNSET
    attachments: list[AttachmentArgs] | msgspec.UnsetType | None = msgspec.UNSET
    allowed_mentions: AllowedMentionsArgs | msgspec.UnsetType | None = msgspec.UNSET
    flags: int | msgspec.UnsetType | None = msgspec.UNSET


class NewMessageArgs(MessageArgs, rename="camel"):
    tts: bool | None = None
    poll: PollArgs | None = None


def message_json(args: MessageArgs, *, ephemeral: bool = False) -> dict[str, Any]:
    """Discord's message object of what was given. Raises OpError."""
    out: dict[str, Any] = {}
    for name in ("content", "components", "flags"):
        value = getattr(args, name)
        if value is not msgspec.UNSET:
            out[name] = value
    if isinstance(args.embeds, list):
        out["embeds"] = [embed_json(embed) for embed in args.embeds]
    elif args.embeds is None:
        out["embeds"] = None
    if isinstance(args.allowed_mentions, AllowedMentionsArgs):
        out["allowed_mentions"] = allowed_mentions_json(args.allowed_mentions)
    if isinstance(args.attachments, list):
        out["attachments"] = _attachments_json(args.attachments)
    elif args.attachments is None:
        out["attachments"] = []  # "none of them": null would mean "as they are"
    if isinstance(args, NewMessageArgs):
        if args.tts is not None:
            out["tts"] = args.tts
        if args.poll is not None:
            out["poll"] = poll_json(args.poll)
    if ephemeral:
        out["flags"] = (out.get("flags") or 0) | EPHEMERAL
    return out


def _attachments_json(attachments: Sequence[AttachmentArgs]) -> list[dict[str, Any]]:
    """A new file has the number of its place among the new ones, as `files_of` gives them."""
    out: list[dict[str, Any]] = []
    number = 0
    for item in attachments:
        entry: dict[str, Any] = {"id": item.id} if item.id is not None else {"id": number}
        number += item.id is None
        for name in ("filename", "description"):
            if (value := getattr(item, name)) is not None:
                entry[name] = value
        out.append(entry)
    return out


async def files_of(args: MessageArgs, fetch: FetchSession | None) -> list[Attachment]:
    """The files to upload; those given by URL are fetched as the script would, one after another.

    Raises OpError for data that is not base64 and for more than `MAX_UPLOAD` bytes by URL,
    InvalidAttachmentError for a name or content type that cannot be sent, FloraErrors of the request.
    """
    if not isinstance(args.attachments, list):
        return []
    if len(args.attachments) > MAX_ATTACHMENTS:
        raise invalid_input("attachments", f"a message takes at most {MAX_ATTACHMENTS} files")
    files: list[Attachment] = []
    left = MAX_UPLOAD
    for item in args.attachments:
        if item.id is not None:
            continue
        if item.url is not None:
            files.append(await _fetched(item, item.url, fetch, left))
            left -= len(files[-1].content)
        else:
            files.append(_file(item))
    return files


async def _fetched(item: AttachmentArgs, url: str, fetch: FetchSession | None, limit: int) -> Attachment:
    if fetch is None:
        raise invalid_input("attachments[].url", "this host makes no requests for scripts")
    filename, found_type, data = await fetch.download(url, limit=limit)
    content_type = item.content_type or found_type or _ANY_TYPE
    return Attachment(item.filename or filename, data, content_type)


def _file(item: AttachmentArgs) -> Attachment:
    if item.filename is None:
        raise invalid_input("attachments[].filename", "a new file needs one")
    if item.text is not None:
        data = item.text.encode()
    elif item.data is not None:
        data = from_base64(item.data, "attachments[].data")
    else:
        raise invalid_input("attachments[]", "needs `data` (base64), `text` or `url`")
    return Attachment(item.filename, data, item.content_type or _ANY_TYPE)


def from_base64(text: str, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid_input(field, "not base64") from None


def require_body(args: NewMessageArgs, what: str) -> None:
    """A new message has to say something."""
    says = isinstance(args.content, str) or args.embeds or args.attachments or args.components or args.poll
    if not says:
        raise invalid_input("payload", f"{what} must include content, embeds, attachments, or components")


def embed_json(embed: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(embed)
    for part, required in (("footer", "text"), ("author", "name"), ("image", "url"), ("thumbnail", "url")):
        if part in out:
            out[part] = _embed_part(out[part], part)
            if not (out[part] and out[part].get(required)):
                del out[part]
    if out.get("timestamp") is not None:
        try:
            datetime.fromisoformat(str(out["timestamp"]))
        except ValueError:
            raise invalid_input("embeds[].timestamp", "not an ISO 8601 time") from None
    return out


def _embed_part(value: Any, part: str) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid_input(f"embeds[].{part}", "not an object")
    return {_EMBED_NAMES.get(str(name), str(name)): inner for name, inner in value.items()}


def allowed_mentions_json(args: AllowedMentionsArgs) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if args.parse is not None:
        kinds = [kind for kind in args.parse if kind in ("everyone", "users", "roles")]
        out["parse"] = list(dict.fromkeys(kinds))
    for name, ids in (("users", args.users), ("roles", args.roles)):
        if ids is not None:
            out[name] = list(dict.fromkeys(id_ for id_ in ids if id_.isascii() and id_.isdigit()))
    if args.replied_user is not None:
        out["replied_user"] = args.replied_user
    return out


def poll_json(poll: PollArgs) -> dict[str, Any]:
    out: dict[str, Any] = {
        "question": _poll_text(poll.question),
        "answers": [{"poll_media": _poll_text(answer)} for answer in poll.answers],
    }
    for name in ("duration", "allow_multiselect", "layout_type"):
        value = getattr(poll, name)
        if value is not msgspec.UNSET:
            out[name] = value
    return out


def _poll_text(item: str | PollText) -> dict[str, Any]:
    if isinstance(item, str):
        return {"text": item}
    out: dict[str, Any] = {"text": item.text}
    match item.emoji:
        case {"id": str(id_)}:
            out["emoji"] = {"id": id_}
        case {"name": str(name)} | str(name):
            *_, id_ = name.rpartition(":")
            out["emoji"] = {"id": id_} if ":" in name else {"name": name}
    return out
