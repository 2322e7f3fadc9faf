"""The body of a message that somebody wants to post or change, read once at the border."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from flora.playground.components import read_components
from flora.playground.embeds import read_embeds
from flora.playground.entities import EPHEMERAL
from flora.playground.errors import DiscordError, Json
from flora.playground.forms import Form
from flora.playground.polls import Poll, read_poll

MAX_CONTENT: Final = 2000
SUPPRESS_EMBEDS: Final = 1 << 2
SUPPRESS_NOTIFICATIONS: Final = 1 << 12
COMPONENTS_V2: Final = 1 << 15
MAX_ATTACHMENTS: Final = 10
MAX_FILE_BYTES: Final = 10 * 2**20


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart body; `slot` is the n of `files[n]`."""

    slot: str
    filename: str
    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class MentionRules:
    """`allowed_mentions`: which mentions in the content really ping."""

    everyone: bool = True
    users: frozenset[str] | None = None  # None: all that are in the content
    roles: frozenset[str] | None = None
    replied_user: bool = True


@dataclass(slots=True)
class MessageDraft:
    """What the body says; None is "not named", which an edit leaves as it is."""

    content: str | None = None
    embeds: list[Json] | None = None
    components: list[Json] | None = None
    flags: int | None = None
    tts: bool = False
    nonce: str | int | None = None
    enforce_nonce: bool = False
    reply_to: str | None = None
    reply_may_fail: bool = False
    mentions: MentionRules = field(default_factory=MentionRules)
    uploads: list[Upload] = field(default_factory=list)
    descriptions: dict[str, str] = field(default_factory=dict)  # slot -> description
    names: dict[str, str] = field(default_factory=dict)  # slot -> filename
    kept_attachments: list[str] | None = None
    poll: Poll | None = None
    sticker_ids: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (
            self.content or self.embeds or self.components or self.uploads or self.poll or self.sticker_ids
        )


def read_draft(value: Any, uploads: list[Upload], *, allowed_flags: int, old_flags: int = 0) -> MessageDraft:
    """Read a message body. Raises DiscordError 50035 with every fault, 40005 for a file that is too large."""
    if any(len(upload.content) > MAX_FILE_BYTES for upload in uploads):
        raise DiscordError(413, 40005, "Request entity too large")
    form = Form(value)
    if len(uploads) > MAX_ATTACHMENTS:
        form.fault("files", "BASE_TYPE_BAD_LENGTH", f"Must be {MAX_ATTACHMENTS} or fewer in length.")
    flags = form.integer("flags", most=2**31 - 1)
    layout = bool(((flags or 0) | old_flags) & COMPONENTS_V2)
    draft = MessageDraft(
        content=_text_or_cleared(form, "content"),
        embeds=read_embeds(form) if form.data.get("embeds", 0) is not None else [],
        components=read_components(form, layout=layout) if form.data.get("components", 0) is not None else [],
        flags=None if flags is None else flags & allowed_flags,
        tts=form.boolean("tts"),
        nonce=_nonce(form),
        enforce_nonce=form.boolean("enforce_nonce"),
        mentions=_mention_rules(form),
        uploads=uploads,
        poll=read_poll(form),
        sticker_ids=form.snowflakes("sticker_ids", most=3) or [],
    )
    if layout and (draft.content or draft.embeds):
        message = "The 'content' and 'embeds' fields cannot be used when using MessageFlags.IS_COMPONENTS_V2"
        form.fault("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", message)
    if (reference := form.form("message_reference")) is not None:
        draft.reply_to = reference.snowflake("message_id", required=True)
        draft.reply_may_fail = not reference.boolean("fail_if_not_exists", default=True)
        reference.choice("type", (0, 1))
    _attachments(form, draft)
    form.finish()
    return draft


def is_ephemeral(flags: int | None) -> bool:
    return bool((flags or 0) & EPHEMERAL)


def _text_or_cleared(form: Form, key: str) -> str | None:
    if key in form and form.data[key] is None:
        return ""
    return form.text(key, most=MAX_CONTENT)


def _nonce(form: Form) -> str | int | None:
    value = form.data.get("nonce")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return form.text("nonce", most=25)


def _mention_rules(form: Form) -> MentionRules:
    inner = form.form("allowed_mentions")
    if inner is None:
        return MentionRules()
    parse = inner.data.get("parse")
    parsed = set(parse) if isinstance(parse, list) and all(isinstance(each, str) for each in parse) else set()
    users = inner.snowflakes("users", most=100)
    roles = inner.snowflakes("roles", most=100)
    for key, named in (("users", users), ("roles", roles)):
        if named and key in parsed:
            message = f"parse:{key!r} and {key}: [ids...] are mutually exclusive."
            inner.fault(key, "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)
    return MentionRules(
        everyone="everyone" in parsed,
        users=None if "users" in parsed else frozenset(users or ()),
        roles=None if "roles" in parsed else frozenset(roles or ()),
        replied_user=inner.boolean("replied_user"),
    )


def _attachments(form: Form, draft: MessageDraft) -> None:
    if form.data.get("attachments") is None:
        return
    slots = {upload.slot for upload in draft.uploads}
    draft.kept_attachments = []
    for each in form.forms("attachments", most=MAX_ATTACHMENTS):
        slot = each.snowflake("id", required=True)
        if slot is None:
            continue
        if slot not in slots:
            draft.kept_attachments.append(slot)
        if (description := each.text("description", most=1024)) is not None:
            draft.descriptions[slot] = description
        if (name := each.text("filename", least=1, most=260)) is not None:
            draft.names[slot] = name
