"""Embeds of a message: untrusted body in, the embed that Discord shows out.

Source: Discord API Reference, "Message", section "Embed Limits".
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from flora.playground.errors import Json
from flora.playground.forms import Form

MAX_EMBEDS: Final = 10
MAX_CHARACTERS: Final = 6000  # of all texts of all embeds of one message


def read_embeds(body: Form) -> list[Json] | None:
    """The embeds of a message body, or None when it names none; faults go to the form."""
    if body.data.get("embeds") is None:
        return None
    embeds = []
    characters = 0
    for form in body.forms("embeds", most=MAX_EMBEDS):
        embed = _read(form)
        characters += _characters(embed)
        if characters > MAX_CHARACTERS:
            message = f"Embed size exceeds maximum size of {MAX_CHARACTERS}"
            form.fault((), "MAX_EMBED_SIZE_EXCEEDED", message)
        embeds.append(embed)
    return embeds


def _read(form: Form) -> Json:
    embed: Json = {"type": "rich"}
    _put(embed, "title", form.text("title", most=256))
    _put(embed, "description", form.text("description", most=4096))
    _put(embed, "url", form.http_url("url"))
    _put(embed, "color", form.integer("color", most=0xFFFFFF))
    _put(embed, "timestamp", _timestamp(form))
    if (footer := form.form("footer")) is not None:
        part: Json = {"text": footer.text("text", most=2048, required=True)}
        _put(part, "icon_url", footer.http_url("icon_url", schemes=("attachment",)))
        embed["footer"] = part
    if (author := form.form("author")) is not None:
        part = {"name": author.text("name", most=256, required=True)}
        _put(part, "url", author.http_url("url"))
        _put(part, "icon_url", author.http_url("icon_url", schemes=("attachment",)))
        embed["author"] = part
    for key in ("image", "thumbnail"):
        if (image := form.form(key)) is not None:
            url = image.http_url("url", required=True, schemes=("attachment",))
            embed[key] = {"url": url, "proxy_url": url, "width": 0, "height": 0}
    fields = [
        {
            "name": field.text("name", least=1, most=256, required=True),
            "value": field.text("value", least=1, most=1024, required=True),
            "inline": field.boolean("inline"),
        }
        for field in form.forms("fields", most=25)
    ]
    if fields:
        embed["fields"] = fields
    if embed.keys() <= {"type", "color"}:
        form.fault("description", "BASE_TYPE_REQUIRED", "This field is required")
    return embed


def _timestamp(form: Form) -> str | None:
    text = form.text("timestamp", most=64)
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        form.fault("timestamp", "DATE_TIME_TYPE_PARSE", f"Could not parse {text}. Should be ISO8601.")
        return None


def _characters(embed: Json) -> int:
    texts = [embed.get("title"), embed.get("description")]
    texts += [embed.get("footer", {}).get("text"), embed.get("author", {}).get("name")]
    for field in embed.get("fields", ()):
        texts += [field["name"], field["value"]]
    return sum(len(text) for text in texts if text)


def _put(target: Json, key: str, value: object) -> None:
    if value is not None:
        target[key] = value
