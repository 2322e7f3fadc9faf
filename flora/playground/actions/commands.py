"""Application commands: what a bot registers, globally or for one guild.

Source: Discord API Reference, "Application Commands".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from flora.ids import Snowflake
from flora.playground.errors import DiscordError, Json, unknown
from flora.playground.forms import Faults, Form
from flora.playground.model import Dispatch, Model

CHAT_INPUT: Final = 1
USER_COMMAND: Final = 2
MESSAGE_COMMAND: Final = 3
_LIMITS: Final = {CHAT_INPUT: 100, USER_COMMAND: 15, MESSAGE_COMMAND: 15}

SUB_COMMAND: Final = 1
SUB_COMMAND_GROUP: Final = 2
STRING: Final = 3
INTEGER: Final = 4
BOOLEAN: Final = 5
USER: Final = 6
CHANNEL: Final = 7
ROLE: Final = 8
MENTIONABLE: Final = 9
NUMBER: Final = 10
ATTACHMENT: Final = 11
_WITH_CHOICES: Final = frozenset({STRING, INTEGER, NUMBER})

# Discord: ^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$, lower case where the script has one
_NAME: Final = re.compile(r"[-_'\w]{1,32}")


@dataclass(slots=True)
class Command:
    id: Snowflake
    application_id: str
    guild_id: str | None
    version: Snowflake
    kind: int
    name: str
    description: str
    options: list[Json] = field(default_factory=list)
    extra: Json = field(default_factory=dict)  # the rest of the body, as it is answered

    def json(self) -> Json:
        body: Json = {
            "id": self.id,
            "application_id": self.application_id,
            "version": self.version,
            "type": self.kind,
            "name": self.name,
            "description": self.description,
            **self.extra,
        }
        if self.options:
            body["options"] = self.options
        if self.guild_id is not None:
            body["guild_id"] = self.guild_id
        return body


def commands_of(model: Model, guild_id: str | None) -> dict[str, Command]:
    return model.commands.setdefault(guild_id, {})


def usable_in(model: Model, guild_id: str) -> list[Command]:
    """What a member of the guild may use: the guild's own commands, and global ones they do not hide."""
    own = list(commands_of(model, guild_id).values())
    hidden = {(each.kind, each.name) for each in own}
    shared = [each for each in commands_of(model, None).values() if (each.kind, each.name) not in hidden]
    return own + shared


def get(model: Model, guild_id: str | None, command_id: str) -> Command:
    try:
        return commands_of(model, guild_id)[command_id]
    except KeyError:
        raise unknown("application command") from None


def create(model: Model, guild_id: str | None, value: Any) -> tuple[Command, bool]:
    """Create the command, or overwrite the one of the same name and type; True when it is new."""
    form = Form(value)
    read = _read(form)
    form.finish()
    commands = commands_of(model, guild_id)
    old = next(
        (each for each in commands.values() if (each.kind, each.name) == (read["type"], read["name"])), None
    )
    if old is None:
        _check_count(read["type"], sum(each.kind == read["type"] for each in commands.values()) + 1)
    command = _make(model, guild_id, read, old)
    commands[command.id] = command
    _changed(model, guild_id)
    return command, old is None


def update(model: Model, guild_id: str | None, command_id: str, value: Any) -> Command:
    """Change what the body names."""
    old = get(model, guild_id, command_id)
    merged = old.json() | (value if isinstance(value, dict) else {}) | {"type": old.kind}
    form = Form(merged if isinstance(value, dict) else value)
    read = _read(form)
    form.finish()
    command = _make(model, guild_id, read, old)
    commands_of(model, guild_id)[command.id] = command
    _changed(model, guild_id)
    return command


def overwrite(model: Model, guild_id: str | None, value: Any) -> list[Command]:
    """Replace all commands; those that keep name and type keep their id."""
    faults = Faults()
    if not isinstance(value, list):
        Form(value, faults=faults).finish()
        raise DiscordError(400, 50035, "Invalid Form Body")
    read = [_read(Form(each, faults=faults, path=(str(index),))) for index, each in enumerate(value)]
    Form({}, faults=faults).finish()
    seen: set[tuple[int, str]] = set()
    for each in read:
        key = (each["type"], each["name"])
        if key in seen:
            message = "Application command names must be unique"
            faults.add((), "APPLICATION_COMMANDS_DUPLICATE_NAME", message)
        seen.add(key)
    Form({}, faults=faults).finish()
    for kind in _LIMITS:
        _check_count(kind, sum(each["type"] == kind for each in read))
    old = {(each.kind, each.name): each for each in commands_of(model, guild_id).values()}
    commands = [_make(model, guild_id, each, old.get((each["type"], each["name"]))) for each in read]
    model.commands[guild_id] = {each.id: each for each in commands}
    _changed(model, guild_id)
    return commands


def delete(model: Model, guild_id: str | None, command_id: str) -> None:
    get(model, guild_id, command_id)
    del commands_of(model, guild_id)[command_id]
    _changed(model, guild_id)


def _changed(model: Model, guild_id: str | None) -> None:
    """News for the page alone: Discord has no event for it."""
    model.emit(Dispatch("COMMANDS_UPDATE", {"guild_id": guild_id}, guild_id=guild_id, page_only=True))


def _check_count(kind: int, count: int) -> None:
    if count > _LIMITS[kind]:
        raise DiscordError(400, 30032, f"Maximum number of application commands reached ({_LIMITS[kind]})")


def _make(model: Model, guild_id: str | None, read: Json, old: Command | None) -> Command:
    extra = {key: value for key, value in read.items() if key not in _OWN_FIELDS}
    if guild_id is None:
        extra.setdefault("dm_permission", True)
        extra.setdefault("contexts", None)
        extra.setdefault("integration_types", [0])
    return Command(
        id=model.next_id() if old is None else old.id,
        application_id=model.application.id,
        guild_id=guild_id,
        version=model.next_id(),
        kind=read["type"],
        name=read["name"],
        description=read["description"],
        options=read["options"],
        extra=extra,
    )


_OWN_FIELDS: Final = frozenset({"type", "name", "description", "options"})


def _read(form: Form) -> Json:
    kind = form.choice("type", (1, 2, 3)) or CHAT_INPUT
    name = form.text("name", least=1, most=32, required=True) or ""
    if kind == CHAT_INPUT:
        _check_name(form, name)
        description = form.text("description", least=1, most=100, required=True) or ""
    else:
        description = form.text("description", most=0) or ""
    permissions = form.integer("default_member_permissions", most=2**63 - 1)
    command: Json = {
        "type": kind,
        "name": name,
        "description": description,
        "options": [_read_option(each, depth=0) for each in form.forms("options", most=25)],
        "name_localizations": _localizations(form, "name_localizations"),
        "description_localizations": _localizations(form, "description_localizations"),
        "default_member_permissions": None if permissions is None else str(permissions),
        "nsfw": form.boolean("nsfw"),
    }
    if "dm_permission" in form:
        command["dm_permission"] = form.boolean("dm_permission", default=True)
    for key, choices in (("contexts", {0, 1, 2}), ("integration_types", {0, 1})):
        values = form.data.get(key)
        if isinstance(values, list) and values and all(each in choices for each in values):
            command[key] = values
        elif values is not None:
            form.fault(key, "BASE_TYPE_CHOICES", f"Each value must be one of {sorted(choices)}.")
    _check_options(form, command["options"])
    return command


def _read_option(form: Form, depth: int) -> Json:
    kind = form.choice("type", range(1, 12), required=True)
    name = form.text("name", least=1, most=32, required=True) or ""
    _check_name(form, name)
    option: Json = {
        "type": kind or STRING,
        "name": name,
        "description": form.text("description", least=1, most=100, required=True) or "",
    }
    for key in ("name_localizations", "description_localizations"):
        if (names := _localizations(form, key)) is not None:
            option[key] = names
    if kind in (SUB_COMMAND, SUB_COMMAND_GROUP):
        if depth > 1 or (depth == 1 and kind == SUB_COMMAND_GROUP):
            message = "Sub-command option is not allowed here"
            form.fault("type", "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message)
            return option
        option["options"] = [_read_option(each, depth + 1) for each in form.forms("options", most=25)]
        _check_options(form, option["options"])
        return option
    if form.boolean("required"):
        option["required"] = True
    if kind in _WITH_CHOICES:
        _read_values(form, option, kind or STRING)
    if kind == CHANNEL and isinstance(form.data.get("channel_types"), list):
        option["channel_types"] = [each for each in form.data["channel_types"] if isinstance(each, int)]
    return option


def _read_values(form: Form, option: Json, kind: int) -> None:
    if form.data.get("choices") is not None:
        option["choices"] = []
        for choice in form.forms("choices", most=25):
            name = choice.text("name", least=1, most=100, required=True)
            value = choice.data.get("value")
            if not value_fits(kind, value):
                choice.fault(
                    "value", "BASE_TYPE_REQUIRED", "This field is required and must be of the option's type"
                )
            option["choices"].append({"name": name, "value": value})
    if form.boolean("autocomplete"):
        if option.get("choices"):
            message = "Options with autocomplete cannot have choices"
            form.fault("autocomplete", "APPLICATION_COMMAND_OPTIONS_CHOICES_EXCLUSIVE", message)
        option["autocomplete"] = True
    if kind == STRING:
        bounds = (form.integer("min_length", most=6000), form.integer("max_length", least=1, most=6000))
        names = ("min_length", "max_length")
    else:
        bounds = (_number(form, "min_value"), _number(form, "max_value"))
        names = ("min_value", "max_value")
    for key, bound in zip(names, bounds, strict=True):
        if bound is not None:
            option[key] = bound


def value_fits(kind: int, value: object) -> bool:
    """True when a choice or an answer is of the option's type."""
    if kind == STRING:
        return isinstance(value, str) and len(value) <= 6000
    if isinstance(value, bool):
        return False
    if kind == INTEGER:
        return isinstance(value, int) and abs(value) < 2**53
    return isinstance(value, (int, float))


def _number(form: Form, key: str) -> Any:
    value = form.data.get(key)
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    form.fault(key, "NUMBER_TYPE_COERCE", f'Value "{str(value)[:64]}" is not a number.')
    return None


def _check_name(form: Form, name: str) -> None:
    if name and (not _NAME.fullmatch(name) or name != name.lower()):
        message = "Command name is invalid: lower-case letters, digits, - and _ only"
        form.fault("name", "APPLICATION_COMMAND_INVALID_NAME", message)


def _check_options(form: Form, options: list[Json]) -> None:
    names = [each["name"] for each in options]
    if len(set(names)) < len(names):
        form.fault("options", "APPLICATION_COMMAND_OPTIONS_NAME_INVALID", "Option names must be unique")
    optional_seen = False
    for index, option in enumerate(options):
        if option["type"] in (SUB_COMMAND, SUB_COMMAND_GROUP):
            continue
        if option.get("required") and optional_seen:
            message = "Required options must be placed before non-required options"
            form.fault(("options", str(index)), "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message)
        optional_seen = optional_seen or not option.get("required")


def _localizations(form: Form, key: str) -> Json | None:
    value = form.data.get(key)
    if value is None:
        return None
    if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        return value
    form.fault(key, "DICT_TYPE_CONVERT", "Only dictionaries of strings may be used here")
    return None
