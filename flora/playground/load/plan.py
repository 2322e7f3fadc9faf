"""What a run of the load generator shall do, read once at the border."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from flora.playground import builder
from flora.playground.entities import Channel, Guild, User
from flora.playground.errors import Json, PlaygroundRefusedError
from flora.playground.faults import read_seconds
from flora.playground.forms import Form
from flora.playground.model import Model
from flora.playground.slash import Typed, parse

KINDS: Final = ("message", "slash", "typing", "reaction", "event")
MAX_RATE: Final = 100_000.0
MAX_DURATION: Final = 24 * 3600.0
UNHINDERED: Final = 1e4
"""Times Discord's limits. Not 0, without headers: a client goes on with the limits that it has learned."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of event; `places` are indexes into the plan's, None for all of them."""

    name: str
    kind: str
    weight: float = 1.0
    text: str = ""
    padding: int = 0
    answers: bool = True
    event: str = ""
    data: Json = field(default_factory=dict)
    places: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where events go: a guild's channel, and the commands of this guild by pattern."""

    guild: Guild
    channel: Channel
    commands: dict[str, Typed]


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked request. `rate` None is the closed loop with `in_flight`. Times in seconds."""

    patterns: tuple[Pattern, ...]
    places: tuple[Place, ...]
    users: tuple[User, ...]
    rate: float | None = None
    in_flight: int = 1
    duration: float = 10.0
    warmup: float = 1.0
    timeout: float = 10.0
    seed: int = 0
    keep: int = 100
    rate_limit_scale: float = UNHINDERED

    def json(self) -> Json:
        pace = {"in_flight": self.in_flight} if self.rate is None else {"rate": self.rate}
        return pace | {
            "patterns": [each.name for each in self.patterns],
            "guilds": len(self.places),
            "users": [each.username for each in self.users],
            "duration": self.duration,
            "warmup": self.warmup,
            "seed": self.seed,
        }


def read_plan(model: Model, value: Any) -> Plan:
    """Check a request, and make the guilds and members that it needs.

    Raises DiscordError 50035 for a malformed body, PlaygroundRefusedError for what is not there.
    """
    form = Form(value)
    patterns = _patterns(form)
    rate = read_seconds(form, "rate", default=0.0, most=MAX_RATE)
    in_flight = form.integer("in_flight", least=1, most=100_000)
    if rate and in_flight:
        form.fault("rate", "BASE_TYPE_CHOICES", "Either rate or in_flight.")
    duration = read_seconds(form, "duration", default=10.0, most=MAX_DURATION)
    warmup = read_seconds(form, "warmup", default=1.0, most=MAX_DURATION)
    timeout = read_seconds(form, "timeout", default=10.0)
    scale = read_seconds(form, "rate_limit_scale", default=UNHINDERED, most=1e6)
    seed = form.integer("seed") or 0
    keep = form.integer("keep", least=1, most=5000) or 100
    channel = form.text("channel", least=1, most=100) or "general"
    form.finish()
    users = tuple(_user(model, each) for each in form.data.get("users") or ["ann"])
    guilds = _guilds(model, form.data.get("guilds", 1), users)
    plan = Plan(
        patterns=patterns,
        places=tuple(_place(model, each, channel, patterns) for each in guilds),
        users=users,
        rate=rate or None,
        in_flight=in_flight or 1,
        duration=duration,
        warmup=warmup,
        timeout=timeout,
        seed=seed,
        keep=keep,
        rate_limit_scale=scale,
    )
    for pattern in patterns:
        if pattern.places is not None and not all(each < len(guilds) for each in pattern.places):
            raise PlaygroundRefusedError(f"{pattern.name}: there are only {len(guilds)} guilds in this run.")
    return plan


def _patterns(form: Form) -> tuple[Pattern, ...]:
    if form.data.get("patterns") is None:
        return (Pattern("message", "message", text="!ping {tag}"),)
    found = []
    for each in form.forms("patterns", least=1, most=100):
        kind = each.text("kind", most=20) or "message"
        if kind not in KINDS:
            each.fault("kind", "BASE_TYPE_CHOICES", f"Value must be one of {KINDS}.")
        talks = kind in ("message", "slash")
        text = each.text("text", least=1, most=2000, required=talks)
        event = each.text("event", least=1, most=64, required=kind == "event")
        places = each.data.get("guilds")
        if places is not None and not (
            isinstance(places, list) and places and all(isinstance(one, int) and one >= 0 for one in places)
        ):
            each.fault("guilds", "LIST_TYPE_CONVERT", "A list of indexes.")
            places = None
        data = each.form("data")
        pattern = Pattern(
            name=each.text("name", least=1, most=64) or kind,
            kind=kind,
            weight=read_seconds(each, "weight", default=1.0, most=1e6),
            text=text or "",
            padding=each.integer("padding", most=40_000) or 0,
            answers=each.boolean("answers", default=talks) and talks,
            event=event or "",
            data={} if data is None else data.data,
            places=None if places is None else tuple(places),
        )
        found.append(pattern)
    if found and not any(each.weight for each in found):
        form.fault("patterns", "NUMBER_TYPE_MIN", "One weight at least is above 0.")
    return tuple(found)


def _user(model: Model, wanted: Any) -> User:
    for user in model.users.values():
        if not user.bot and wanted in (user.id, user.username):
            return user
    raise PlaygroundRefusedError(f"There is no user {str(wanted)!r}.")


def _guilds(model: Model, wanted: Any, users: tuple[User, ...]) -> list[Guild]:
    bot = model.application.bot
    if isinstance(wanted, list):
        guilds = [_guild(model, each) for each in wanted]
    elif isinstance(wanted, int) and not isinstance(wanted, bool) and 0 < wanted <= builder.MAX_GUILDS:
        guilds = [each for each in model.guilds_of(bot.id) if each.available][:wanted]
        while len(guilds) < wanted:
            guilds.append(builder.add_guild(model, f"Load {len(model.guilds) + 1}", users[0]))
    else:
        raise PlaygroundRefusedError(f"guilds is a list or a number up to {builder.MAX_GUILDS}.")
    if not guilds:
        raise PlaygroundRefusedError("There is no guild to load.")
    for guild in guilds:
        for user in users:
            builder.set_member(model, guild, user)
    return guilds


def _guild(model: Model, wanted: Any) -> Guild:
    for guild in model.guilds.values():
        if wanted in (guild.id, guild.name):
            return guild
    raise PlaygroundRefusedError(f"There is no guild {str(wanted)!r}.")


def _place(model: Model, guild: Guild, name: str, patterns: tuple[Pattern, ...]) -> Place:
    for channel in guild.channels.values():
        if channel.name == name and channel.has_messages:
            commands = {
                each.name: parse(model, guild, each.text) for each in patterns if each.kind == "slash"
            }
            return Place(guild, channel, commands)
    raise PlaygroundRefusedError(f"There is no channel {name!r} in {guild.name}.")
