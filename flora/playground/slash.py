"""What a person types as a slash command, turned into the options of an interaction.

`/hello name:ann`, `/hello ann`, `/counter increment by:2`, `/note text:"two words"`: values by name or,
as far as they are not named, by position; the last string option takes the rest of the line.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from flora.playground.actions import commands as kinds
from flora.playground.actions.commands import Command
from flora.playground.entities import Channel, Guild
from flora.playground.errors import Json, PlaygroundRefusedError
from flora.playground.model import Model
from flora.playground.permissions import guild_permissions

_WORD: Final = re.compile(
    r"""\s*(?:(?P<name>[-_'\w]{1,32}):)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>\S*))""", re.UNICODE
)
_MENTION: Final = re.compile(r"<(?:@!?|@&|#)(\d{1,20})>")


@dataclass(frozen=True, slots=True)
class Typed:
    """A command line that was understood."""

    command: Command
    options: list[Json]  # as in the interaction's data
    resolved: Json


@dataclass(frozen=True, slots=True)
class _Word:
    name: str | None
    value: str
    start: int


def parse(model: Model, guild: Guild, text: str) -> Typed:
    """Understand `text` (with its leading slash). Raises PlaygroundRefusedError that says what is wrong."""
    name, _, rest = text.strip().removeprefix("/").partition(" ")
    usable = [each for each in kinds.usable_in(model, guild.id) if each.kind == kinds.CHAT_INPUT]
    command = next((each for each in usable if each.name == name.lower()), None)
    if command is None:
        known = ", ".join(f"/{each.name}" for each in usable) or "none"
        raise PlaygroundRefusedError(f"There is no command /{name} in {guild.name}. Registered: {known}.")
    resolved: Json = {}
    options = _options(model, guild, command.options, rest, f"/{command.name}", resolved)
    return Typed(command, options, resolved)


def resolve(model: Model, guild: Guild, command: Command, given: Any) -> Typed:
    """The same from structured options (`[{"name", "value" | "options"}]`), as the page sends them."""
    resolved: Json = {}
    options = _structured(model, guild, command.options, given, f"/{command.name}", resolved)
    return Typed(command, options, resolved)


def _structured(
    model: Model, guild: Guild, known: list[Json], given: Any, where: str, resolved: Json
) -> list[Json]:
    if given is not None and not (isinstance(given, list) and all(isinstance(each, dict) for each in given)):
        raise PlaygroundRefusedError(f"{where}: options is a list of objects with name and value.")
    by_name = {option["name"]: option for option in known}
    result: list[Json] = []
    for each in given or []:
        option = by_name.get(str(each.get("name")))
        if option is None:
            raise PlaygroundRefusedError(f"{where} has no option {each.get('name')!r}.")
        entry: Json = {"name": option["name"], "type": option["type"]}
        if option["type"] in (kinds.SUB_COMMAND, kinds.SUB_COMMAND_GROUP):
            inner = each.get("options")
            place = f"{where} {option['name']}"
            entry["options"] = _structured(model, guild, option.get("options", []), inner, place, resolved)
        else:
            entry["value"] = _value(model, guild, option, str(each.get("value", "")), where, resolved)
            if each.get("focused") is True:
                entry["focused"] = True
        result.append(entry)
    if not any("focused" in each for each in result):
        _require(known, result, where)
    return result


def _options(
    model: Model, guild: Guild, known: list[Json], text: str, where: str, resolved: Json
) -> list[Json]:
    subcommands = [each for each in known if each["type"] in (kinds.SUB_COMMAND, kinds.SUB_COMMAND_GROUP)]
    if subcommands:
        name, _, rest = text.strip().partition(" ")
        chosen = next((each for each in subcommands if each["name"] == name.lower()), None)
        if chosen is None:
            names = ", ".join(each["name"] for each in subcommands)
            raise PlaygroundRefusedError(f"{where} needs one of: {names}.")
        inner = _options(model, guild, chosen.get("options", []), rest, f"{where} {chosen['name']}", resolved)
        return [{"name": chosen["name"], "type": chosen["type"], "options": inner}]
    values: dict[str, str] = {}
    by_name = {each["name"]: each for each in known}
    words = _words(text)
    for index, word in enumerate(words):
        if word.name is not None and word.name in by_name:
            values[word.name] = word.value
            continue
        free = [
            each for each in known if each["name"] not in values and not _named_later(words[index:], each)
        ]
        if not free:
            raise PlaygroundRefusedError(f"{where}: nothing takes {text[word.start :].strip()!r}.")
        if len(free) == 1 and free[0]["type"] == kinds.STRING and not _any_named(words[index:], by_name):
            rest = text[word.start :].strip()
            values[free[0]["name"]] = word.value if index == len(words) - 1 and word.name is None else rest
            break
        raw = word.value if word.name is None else f"{word.name}:{word.value}"
        values[free[0]["name"]] = raw
    result = [
        {
            "name": each["name"],
            "type": each["type"],
            "value": _value(model, guild, each, values[each["name"]], where, resolved),
        }
        for each in known
        if each["name"] in values
    ]
    _require(known, result, where)
    return result


def _words(text: str) -> list[_Word]:
    words = []
    position = 0
    while position < len(text):
        match = _WORD.match(text, position)
        if match is None or match.end() == position:
            break
        position = match.end()
        quoted, bare = match["quoted"], match["bare"]
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare or ""
        if value or quoted is not None or match["name"]:
            start = match.start() + len(match[0]) - len(match[0].lstrip())
            words.append(_Word(match["name"], value, start))
    return words


def _named_later(words: list[_Word], option: Json) -> bool:
    return any(word.name == option["name"] for word in words)


def _any_named(words: list[_Word], known: dict[str, Json]) -> bool:
    return any(word.name in known for word in words)


def _require(known: list[Json], given: list[Json], where: str) -> None:
    names = {each["name"] for each in given}
    missing = [each["name"] for each in known if each.get("required") and each["name"] not in names]
    if missing:
        raise PlaygroundRefusedError(f"{where} needs {', '.join(missing)}.")


def _value(model: Model, guild: Guild, option: Json, text: str, where: str, resolved: Json) -> Any:
    kind = option["type"]
    place = f"{where} {option['name']}"
    if kind in (kinds.STRING, kinds.INTEGER, kinds.NUMBER):
        value = _plain(kind, text, place)
        choices = option.get("choices")
        if choices:
            for choice in choices:
                if choice["value"] == value or str(choice["name"]).lower() == text.lower():
                    return choice["value"]
            names = ", ".join(str(each["name"]) for each in choices)
            raise PlaygroundRefusedError(f"{place}: one of {names}.")
        _check_bounds(option, value, place)
        return value
    if kind == kinds.BOOLEAN:
        if text.lower() not in ("true", "false", "yes", "no"):
            raise PlaygroundRefusedError(f"{place}: true or false.")
        return text.lower() in ("true", "yes")
    if kind == kinds.ATTACHMENT:
        raise PlaygroundRefusedError(f"{place}: the playground cannot attach files to a command.")
    return _entity(model, guild, kind, text, place, resolved)


def _plain(kind: int, text: str, place: str) -> str | int | float:
    if kind == kinds.STRING:
        return text
    try:
        number = int(text) if kind == kinds.INTEGER else float(text)
    except ValueError:
        what = "a whole number" if kind == kinds.INTEGER else "a number"
        raise PlaygroundRefusedError(f"{place}: {text!r} is not {what}.") from None
    if not kinds.value_fits(kind, number) or not math.isfinite(number):
        raise PlaygroundRefusedError(f"{place}: {text!r} is out of range.")
    return number


def _check_bounds(option: Json, value: str | int | float, place: str) -> None:
    size: int | float = len(value) if isinstance(value, str) else value
    unit = "characters" if isinstance(value, str) else "as the value"
    least = option.get("min_length" if isinstance(value, str) else "min_value")
    most = option.get("max_length" if isinstance(value, str) else "max_value")
    if least is not None and size < least:
        raise PlaygroundRefusedError(f"{place}: at least {least} {unit}.")
    if most is not None and size > most:
        raise PlaygroundRefusedError(f"{place}: at most {most} {unit}.")


def _entity(model: Model, guild: Guild, kind: int, text: str, place: str, resolved: Json) -> str:
    mention = _MENTION.fullmatch(text)
    wanted = mention[1] if mention else text.lstrip("@#")
    if kind in (kinds.USER, kinds.MENTIONABLE):
        for member in guild.members.values():
            if wanted in (member.user.id, member.user.username, member.nick):
                add_resolved(guild, member.user.id, resolved)
                return member.user.id
    if kind in (kinds.ROLE, kinds.MENTIONABLE):
        for role in guild.roles.values():
            if wanted in (role.id, role.name, role.name.lstrip("@")):
                resolved.setdefault("roles", {})[role.id] = role.json()
                return role.id
    if kind == kinds.CHANNEL:
        for channel in guild.channels.values():
            if wanted in (channel.id, channel.name):
                resolved.setdefault("channels", {})[channel.id] = _partial_channel(channel)
                return channel.id
    raise PlaygroundRefusedError(f"{place}: {text!r} is not in {guild.name}.")


def add_resolved(guild: Guild, user_id: str, resolved: Json) -> None:
    """Put a member into an interaction's `resolved` data."""
    member = guild.members[user_id]
    resolved.setdefault("users", {})[user_id] = member.user.json()

    partial = member.partial_json() | {"permissions": str(guild_permissions(guild, user_id))}
    resolved.setdefault("members", {})[user_id] = {
        key: value for key, value in partial.items() if key not in ("deaf", "mute")
    }


def _partial_channel(channel: Channel) -> Json:
    body = {"id": channel.id, "name": channel.name, "type": channel.kind, "permissions": "0"}
    return body | {"parent_id": channel.parent_id}
