"""Interactions: a person uses a command, a button or a modal, the bot answers within three seconds.

Source: Discord API Reference, "Receiving and Responding to Interactions".
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Final

from flora.ids import Snowflake
from flora.playground import permissions as may
from flora.playground.actions import messages
from flora.playground.actions.command_permissions import may_use
from flora.playground.actions.commands import MESSAGE_COMMAND, USER_COMMAND
from flora.playground.components import ENTITY_SELECTS, STRING_SELECT, read_modal_components, walk
from flora.playground.drafts import COMPONENTS_V2, SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS, MessageDraft
from flora.playground.entities import EPHEMERAL, LOADING, Channel, Guild, Message, User
from flora.playground.errors import DiscordError, Json, PlaygroundRefusedError, empty_message, unknown
from flora.playground.forms import Form
from flora.playground.model import Dispatch, Model
from flora.playground.slash import Typed, add_resolved

COMMAND: Final = 2
COMPONENT: Final = 3
AUTOCOMPLETE: Final = 4
MODAL_SUBMIT: Final = 5

PONG: Final = 1
REPLY: Final = 4
DEFERRED_REPLY: Final = 5
DEFERRED_UPDATE: Final = 6
UPDATE: Final = 7
AUTOCOMPLETE_RESULT: Final = 8
MODAL: Final = 9
CALLBACK_TYPES: Final = (PONG, REPLY, DEFERRED_REPLY, DEFERRED_UPDATE, UPDATE, AUTOCOMPLETE_RESULT, MODAL)

ANSWER_WITHIN: Final = 3.0
TOKEN_LIFETIME: Final = 15 * 60.0
INTERACTIONS_KEPT: Final = 10_000

CHAT_INPUT_COMMAND_MESSAGE: Final = 20
CONTEXT_COMMAND_MESSAGE: Final = 23
CALLBACK_FLAGS: Final = EPHEMERAL | SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | COMPONENTS_V2


@dataclass(slots=True)
class Interaction:
    id: Snowflake
    token: str
    kind: int
    guild: Guild
    channel: Channel
    user: User
    data: Json
    created_at: float
    name: str = ""  # of the command, for the older `interaction` field
    opened_by: Interaction | None = None  # what a submitted modal answers
    source: Message | None = None  # the message of a component, or of the component that opened a modal
    answer: int | None = None  # type of the callback
    original: Message | None = None  # @original
    modal: Json | None = None
    choices: list[Json] | None = None
    expired: bool = False
    target_message_id: str | None = None
    target_user_id: str | None = None


def start_command(
    model: Model,
    user: User,
    channel: Channel,
    typed: Typed,
    *,
    kind: int = COMMAND,
    target_id: str | None = None,
) -> Interaction:
    """A person uses a command (or, with AUTOCOMPLETE, is still typing it)."""
    guild = _guild_of(model, channel)
    command = typed.command
    if not may_use(model, guild, channel, user, command):
        raise PlaygroundRefusedError(f"{user.username} may not use {command.name} in #{channel.name}.")
    data: Json = {"id": command.id, "name": command.name, "type": command.kind}
    if command.guild_id is not None:
        data["guild_id"] = command.guild_id
    if typed.options:
        data["options"] = typed.options
    resolved = typed.resolved
    if target_id is not None:
        data["target_id"] = target_id
        if command.kind == USER_COMMAND:
            add_resolved(guild, target_id, resolved)
        elif command.kind == MESSAGE_COMMAND:
            target = model.message(channel, target_id, user)
            resolved["messages"] = {target.id: target.json()}
    if resolved:
        data["resolved"] = resolved
    interaction = _start(model, kind, user, guild, channel, data)
    interaction.name = command.name
    if command.kind == USER_COMMAND:
        interaction.target_user_id = target_id
    elif command.kind == MESSAGE_COMMAND:
        interaction.target_message_id = target_id
    _announce(model, interaction)
    return interaction


def start_component(
    model: Model, user: User, channel: Channel, message: Message, custom_id: str, values: list[str] | None
) -> Interaction:
    """A person clicks a button or chooses from a select. Raises PlaygroundRefusedError if it cannot be."""
    guild = _guild_of(model, channel)
    found = next((each for each in walk(message.components) if each.get("custom_id") == custom_id), None)
    if found is None:
        raise PlaygroundRefusedError(f"That message has no component {custom_id!r}.")
    if found.get("disabled"):
        raise PlaygroundRefusedError(f"The component {custom_id!r} is disabled.")
    data: Json = {"component_type": found["type"], "custom_id": custom_id, "id": found["id"]}
    if found["type"] == STRING_SELECT or found["type"] in ENTITY_SELECTS:
        data["values"] = _chosen(found, values or [])
        if found["type"] in ENTITY_SELECTS:
            data["resolved"] = _resolve_values(guild, data["values"])
    interaction = _start(model, COMPONENT, user, guild, channel, data)
    interaction.source = message
    _announce(model, interaction)
    return interaction


def submit_modal(model: Model, user: User, opened_by: Interaction, values: dict[str, str]) -> Interaction:
    """A person sends a modal that an earlier answer opened."""
    if opened_by.modal is None or opened_by.user.id != user.id:
        raise PlaygroundRefusedError("There is no open modal.")
    modal = opened_by.modal
    data = {
        "custom_id": modal["custom_id"],
        "components": [_filled(each, values) for each in modal["components"]],
    }
    opened_by.modal = None
    interaction = _start(model, MODAL_SUBMIT, user, opened_by.guild, opened_by.channel, data)
    interaction.source, interaction.opened_by = opened_by.source, opened_by
    _announce(model, interaction)
    return interaction


def waiting(model: Model, interaction_id: str, token: str) -> Interaction:
    """The interaction that a callback answers; 10062 when its time is over, 40060 when it is answered."""
    interaction = model.interactions.get(interaction_id)
    if interaction is None or not secrets.compare_digest(interaction.token, token):
        raise unknown("interaction")
    if interaction.answer is not None:
        raise DiscordError(400, 40060, "Interaction has already been acknowledged.")
    if interaction.expired or model.clock.now() - interaction.created_at > ANSWER_WITHIN:
        raise unknown("interaction")
    return interaction


def respond(
    model: Model, interaction: Interaction, kind: int, draft: MessageDraft | None, data: Any
) -> Message | None:
    """The bot's first answer; returns the message that it made or changed."""
    _check_fits(interaction, kind)
    message: Message | None = None
    match kind:
        case 4:
            if draft is None or draft.is_empty:
                raise empty_message()
            message = _reply(model, interaction, draft)
            interaction.original = message
            messages.publish(model, interaction.channel, message)
        case 5:
            flags = (draft.flags if draft else 0) or 0
            message = _reply(model, interaction, MessageDraft(flags=flags & EPHEMERAL | LOADING))
            interaction.original = message
            messages.publish(model, interaction.channel, message)
        case 6:
            interaction.original = interaction.source
        case 7:
            message = interaction.original = interaction.source
            if message is None or draft is None:
                raise unknown("message")
            _edit(model, interaction, message, draft)
        case 8:
            interaction.choices = _read_choices(data)
        case 9:
            interaction.modal = _read_modal(data)
        case _:
            pass
    interaction.answer = kind
    _tell_page(model, interaction, "INTERACTION_ANSWERED")
    return message


def by_token(model: Model, application_id: str, token: str) -> Interaction:
    """The interaction of a follow-up route: 50027 when the token is wrong or older than 15 minutes."""
    if application_id != model.application.id:
        raise unknown("webhook")
    for interaction in reversed(model.interactions.values()):
        if secrets.compare_digest(interaction.token, token):
            if model.clock.now() - interaction.created_at > TOKEN_LIFETIME:
                break
            if interaction.answer is None:
                raise unknown("webhook")
            return interaction
    raise DiscordError(401, 50027, "Invalid Webhook Token")


def original(interaction: Interaction) -> Message:
    message = interaction.original
    if message is None or message.id not in interaction.channel.messages:
        raise unknown("message")
    return message


def follow_up(model: Model, interaction: Interaction, draft: MessageDraft) -> Message:
    """A further message; the first one after a deferred answer takes that answer's place."""
    if draft.is_empty:
        raise empty_message()
    first = interaction.original
    if interaction.answer == DEFERRED_REPLY and first is not None and first.flags & LOADING:
        _edit(model, interaction, first, draft)
        return first
    message = _reply(model, interaction, draft)
    message.reference, message.replied_to = _reference(interaction)
    messages.publish(model, interaction.channel, message)
    return message


def owned(interaction: Interaction, message_id: str) -> Message:
    """A message that this interaction's application made in its channel."""
    message = interaction.channel.messages.get(message_id)
    if message is None or message.application_id is None or message.webhook_id != message.application_id:
        raise unknown("message")
    if message.visible_to not in (None, interaction.user.id):
        raise unknown("message")
    return message


def edit(model: Model, interaction: Interaction, message: Message, draft: MessageDraft) -> Message:
    _edit(model, interaction, message, draft)
    return message


def delete(model: Model, interaction: Interaction, message: Message) -> None:
    messages.delete_message(model, interaction.channel, message)


def expire(model: Model, interaction: Interaction) -> None:
    """Called when three seconds are over: without an answer the person is told so."""
    if interaction.answer is None and not interaction.expired:
        interaction.expired = True
        _tell_page(model, interaction, "INTERACTION_FAILURE")


def callback_json(interaction: Interaction, message: Message | None) -> Json:
    """The answer to a callback with `with_response=true`."""
    about: Json = {"id": interaction.id, "type": interaction.kind}
    about |= {"channel_id": interaction.channel.id, "guild_id": interaction.guild.id}
    body: Json = {"interaction": about}
    if message is not None:
        about["response_message_id"] = message.id
        about["response_message_loading"] = bool(message.flags & LOADING)
        about["response_message_ephemeral"] = message.is_ephemeral
    if message is not None and interaction.answer in (REPLY, UPDATE):
        body["resource"] = {"type": interaction.answer, "message": message.json()}
    return body


def _guild_of(model: Model, channel: Channel) -> Guild:
    if channel.guild_id is None:
        raise PlaygroundRefusedError("The playground has interactions in guilds only.")
    return model.guilds[channel.guild_id]


def _start(model: Model, kind: int, user: User, guild: Guild, channel: Channel, data: Json) -> Interaction:
    if not model.permissions(channel, user.id) & may.USE_APPLICATION_COMMANDS and kind in (
        COMMAND,
        AUTOCOMPLETE,
    ):
        raise PlaygroundRefusedError(f"{user.username} may not use commands in #{channel.name}.")
    interaction_id = model.next_id()
    interaction = Interaction(
        id=interaction_id,
        token=f"interaction-{interaction_id}-{model.tokens.next(32)}",
        kind=kind,
        guild=guild,
        channel=channel,
        user=user,
        data=data,
        created_at=model.clock.now(),
    )
    model.interactions[interaction.id] = interaction
    while len(model.interactions) > INTERACTIONS_KEPT:
        model.interactions.pop(next(iter(model.interactions)))
    return interaction


def _announce(model: Model, interaction: Interaction) -> None:
    guild, channel, user = interaction.guild, interaction.channel, interaction.user
    application = model.application
    permissions = may.channel_permissions(guild, channel, user.id)
    body: Json = {
        "id": interaction.id,
        "application_id": application.id,
        "type": interaction.kind,
        "data": interaction.data,
        "guild": {"id": guild.id, "locale": "en-US", "features": []},
        "guild_id": guild.id,
        "channel": _channel_json(channel, permissions),
        "channel_id": channel.id,
        "member": guild.members[user.id].json() | {"permissions": str(permissions)},
        "token": interaction.token,
        "version": 1,
        "app_permissions": str(may.channel_permissions(guild, channel, application.bot.id)),
        "locale": "en-US",
        "guild_locale": "en-US",
        "entitlements": [],
        "entitlement_sku_ids": [],
        "authorizing_integration_owners": {"0": guild.id},
        "context": 0,
        "attachment_size_limit": 10 * 2**20,
    }
    if interaction.source is not None:
        body["message"] = interaction.source.json()
    only = frozenset({application.bot.id})
    model.emit(Dispatch("INTERACTION_CREATE", body, guild_id=guild.id, channel_id=channel.id, only=only))


def _channel_json(channel: Channel, permissions: int) -> Json:
    body = channel.json()
    body.pop("permission_overwrites", None)
    return body | {"permissions": str(permissions)}


def _tell_page(model: Model, interaction: Interaction, name: str) -> None:
    body: Json = {
        "interaction_id": interaction.id,
        "type": interaction.kind,
        "channel_id": interaction.channel.id,
        "user_id": interaction.user.id,
        "answer": interaction.answer,
        "name": interaction.name,
    }
    if interaction.modal is not None:
        body["modal"] = interaction.modal
    if interaction.choices is not None:
        body["choices"] = interaction.choices
    model.emit(
        Dispatch(
            name,
            body,
            guild_id=interaction.guild.id,
            channel_id=interaction.channel.id,
            only=frozenset({interaction.user.id}),
            page_only=True,
        )
    )


def _check_fits(interaction: Interaction, kind: int) -> None:
    allowed = {
        COMMAND: {REPLY, DEFERRED_REPLY, MODAL},
        COMPONENT: {REPLY, DEFERRED_REPLY, DEFERRED_UPDATE, UPDATE, MODAL},
        AUTOCOMPLETE: {AUTOCOMPLETE_RESULT},
        MODAL_SUBMIT: {REPLY, DEFERRED_REPLY, DEFERRED_UPDATE, UPDATE},
    }[interaction.kind]
    if kind in (DEFERRED_UPDATE, UPDATE) and interaction.source is None:
        allowed = allowed - {DEFERRED_UPDATE, UPDATE}
    if kind not in allowed:
        choices = ", ".join(str(each) for each in sorted(allowed))
        fault = {"code": "BASE_TYPE_CHOICES", "message": f"Value must be one of ({choices})."}
        raise DiscordError(400, 50035, "Invalid Form Body", errors={"type": {"_errors": [fault]}})


def _reply(model: Model, interaction: Interaction, draft: MessageDraft) -> Message:
    """A message of the bot in answer to the interaction, not yet in the channel."""
    application = model.application
    message = messages.build(model, application.bot, interaction.channel, draft)
    message.application_id = message.webhook_id = application.id
    message.interaction_metadata = _metadata(model, interaction)
    if interaction.kind == COMMAND:
        context = interaction.target_user_id is not None or interaction.target_message_id is not None
        message.kind = CONTEXT_COMMAND_MESSAGE if context else CHAT_INPUT_COMMAND_MESSAGE
        message.interaction = {
            "id": interaction.id,
            "type": interaction.kind,
            "name": interaction.name,
            "user": interaction.user.json(),
        }
    elif interaction.kind == COMPONENT:
        message.kind = messages.REPLY
        message.reference, message.replied_to = _reference(interaction)
    if message.is_ephemeral:
        message.visible_to = interaction.user.id
    return message


def _metadata(model: Model, interaction: Interaction) -> Json:
    metadata: Json = {
        "id": interaction.id,
        "type": interaction.kind,
        "user": interaction.user.json(),
        "authorizing_integration_owners": {"0": interaction.guild.id},
    }
    if interaction.target_message_id is not None:
        metadata["target_message_id"] = interaction.target_message_id
    if interaction.target_user_id is not None:
        metadata["target_user"] = model.users[interaction.target_user_id].json()
    if interaction.kind == COMPONENT and interaction.source is not None:
        metadata["interacted_message_id"] = interaction.source.id
    if interaction.opened_by is not None:
        metadata["triggering_interaction_metadata"] = _metadata(model, interaction.opened_by)
    return metadata


def _reference(interaction: Interaction) -> tuple[Json | None, Message | None]:
    target = interaction.source or interaction.original
    if target is None:
        return None, None
    reference = {"type": 0, "channel_id": target.channel_id, "message_id": target.id}
    return reference | {"guild_id": interaction.guild.id}, target


def _edit(model: Model, interaction: Interaction, message: Message, draft: MessageDraft) -> None:
    messages.edit_message(model, message, interaction.channel, draft)


def _chosen(component: Json, values: list[str]) -> list[str]:
    if component["type"] == STRING_SELECT:
        known = {option["value"] for option in component["options"]}
        if wrong := [each for each in values if each not in known]:
            raise PlaygroundRefusedError(f"{wrong[0]!r} is none of the options.")
    least, most = component["min_values"], component["max_values"]
    if not least <= len(values) <= most:
        raise PlaygroundRefusedError(f"Choose between {least} and {most} options.")
    return values


def _resolve_values(guild: Guild, values: list[str]) -> Json:
    resolved: Json = {}
    for each in values:
        if each in guild.members:
            add_resolved(guild, each, resolved)
        elif each in guild.roles:
            resolved.setdefault("roles", {})[each] = guild.roles[each].json()
        elif each in guild.channels:
            resolved.setdefault("channels", {})[each] = guild.channels[each].json()
        else:
            raise PlaygroundRefusedError(f"{each!r} is not in {guild.name}.")
    return resolved


def _filled(component: Json, values: dict[str, str]) -> Json:
    """A modal's component as it is submitted."""
    body: Json = {"type": component["type"], "id": component["id"]}
    if "components" in component:
        body["components"] = [_filled(each, values) for each in component["components"]]
    elif "component" in component:
        body["component"] = _filled(component["component"], values)
    elif "custom_id" in component:
        value = values.get(component["custom_id"], "")
        body["custom_id"] = component["custom_id"]
        if "options" in component or component["type"] in ENTITY_SELECTS:
            body["values"] = [each for each in value.split(",") if each]
        else:
            if component.get("required", True) and not value:
                raise PlaygroundRefusedError(
                    f"{component.get('label') or component['custom_id']} is required."
                )
            body["value"] = value
    return body


def _read_choices(data: Any) -> list[Json]:
    form = Form(data)
    choices = []
    for each in form.forms("choices", most=25, required=True):
        name = each.text("name", least=1, most=100, required=True)
        value = each.data.get("value")
        if value is None or isinstance(value, (bool, dict, list)):
            each.fault("value", "BASE_TYPE_REQUIRED", "This field is required")
        choices.append({"name": name, "value": value})
    form.finish()
    return choices


def _read_modal(data: Any) -> Json:
    form = Form(data)
    modal = {
        "custom_id": form.text("custom_id", least=1, most=100, required=True),
        "title": form.text("title", least=1, most=45, required=True),
        "components": read_modal_components(form),
    }
    form.finish()
    return modal
