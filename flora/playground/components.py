"""Message components: untrusted body in, components with their ids out.

Source: Discord API Reference, "Component Reference". Layout components (sections, containers, ...) need the
message flag IS_COMPONENTS_V2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flora.playground.errors import Json
from flora.playground.forms import Form

ACTION_ROW: Final = 1
BUTTON: Final = 2
STRING_SELECT: Final = 3
TEXT_INPUT: Final = 4
ENTITY_SELECTS: Final = frozenset({5, 6, 7, 8})  # users, roles, both, channels
SECTION: Final = 9
TEXT_DISPLAY: Final = 10
THUMBNAIL: Final = 11
MEDIA_GALLERY: Final = 12
FILE: Final = 13
SEPARATOR: Final = 14
CONTAINER: Final = 17
LABEL: Final = 18

_LINK: Final = 5
_PREMIUM: Final = 6
_CLASSIC_TOP: Final = (ACTION_ROW,)
_LAYOUT_IN_CONTAINER: Final = (ACTION_ROW, SECTION, TEXT_DISPLAY, MEDIA_GALLERY, FILE, SEPARATOR)
_LAYOUT_TOP: Final = (*_LAYOUT_IN_CONTAINER, CONTAINER)
_MODAL_TOP: Final = (ACTION_ROW, TEXT_DISPLAY, LABEL)
_IN_ROW: Final = (BUTTON, STRING_SELECT, *sorted(ENTITY_SELECTS))
_IN_LABEL: Final = (STRING_SELECT, TEXT_INPUT, *sorted(ENTITY_SELECTS))
_MAX_CLASSIC_ROWS: Final = 5
_MAX_LAYOUT: Final = 40


class _Numbering:
    """Gives each component its id and finds custom ids that are used twice."""

    def __init__(self) -> None:
        self.next = 1
        self.custom_ids: set[str] = set()

    def id(self, form: Form) -> int:
        given = form.integer("id", most=2**31 - 1)
        if given:
            self.next = max(self.next, given + 1)
            return given
        self.next += 1
        return self.next - 1

    def custom_id(self, form: Form) -> str | None:
        value = form.text("custom_id", least=1, most=100, required=True)
        if value is not None and value in self.custom_ids:
            message = "Component custom id cannot be duplicated"
            form.fault("custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", message)
        if value is not None:
            self.custom_ids.add(value)
        return value


def read_components(body: Form, *, layout: bool) -> list[Json] | None:
    """The components of a message body, or None when it names none; faults go to the form."""
    if body.data.get("components") is None:
        return None
    top, most = (_LAYOUT_TOP, _MAX_LAYOUT) if layout else (_CLASSIC_TOP, _MAX_CLASSIC_ROWS)
    numbering = _Numbering()
    return [_read(form, top, numbering) for form in body.forms("components", most=most)]


def read_modal_components(body: Form) -> list[Json]:
    numbering = _Numbering()
    return [
        _read(form, _MODAL_TOP, numbering, in_row=(TEXT_INPUT,))
        for form in body.forms("components", least=1, most=_MAX_LAYOUT, required=True)
    ]


def walk(components: list[Json]) -> Iterator[Json]:
    """Every component of the tree, outer ones first."""
    for component in components:
        yield component
        yield from walk(component.get("components", []))
        for key in ("accessory", "component"):
            if key in component:
                yield from walk([component[key]])


def _read(
    form: Form, allowed: tuple[int, ...], numbering: _Numbering, in_row: tuple[int, ...] = _IN_ROW
) -> Json:
    kind = form.choice("type", allowed, required=True)
    component: Json = {"type": kind, "id": numbering.id(form)}
    match kind:
        case 1:
            inner = list(form.forms("components", least=1, most=5, required=True))
            component["components"] = [_read(each, in_row, numbering) for each in inner]
            if len(inner) > 1 and any(each.data.get("type") != BUTTON for each in inner):
                form.fault(
                    "components",
                    "COMPONENT_LAYOUT_WIDTH_EXCEEDED",
                    "The specified component exceeds the maximum width",
                )
        case 2:
            _button(form, component, numbering)
        case 3 | 5 | 6 | 7 | 8:
            _select(form, component, kind, numbering)
        case 4:
            component["custom_id"] = numbering.custom_id(form)
            component["style"] = form.choice("style", (1, 2), required=True)
            component["label"] = form.text("label", least=1, most=45)
            component["min_length"] = form.integer("min_length", most=4000)
            component["max_length"] = form.integer("max_length", least=1, most=4000)
            component["required"] = form.boolean("required", default=True)
            for key, most in (("value", 4000), ("placeholder", 100)):
                _put(component, key, form.text(key, most=most))
        case 9:
            component["components"] = [
                _read(each, (TEXT_DISPLAY,), numbering)
                for each in form.forms("components", least=1, most=3, required=True)
            ]
            if (accessory := form.form("accessory", required=True)) is not None:
                component["accessory"] = _read(accessory, (BUTTON, THUMBNAIL), numbering)
        case 10:
            component["content"] = form.text("content", least=1, most=4000, required=True)
        case 11 | 13:
            _media(form, component, "media" if kind == THUMBNAIL else "file")
        case 12:
            component["items"] = []
            for item in form.forms("items", least=1, most=10, required=True):
                entry: Json = {}
                _media(item, entry, "media")
                component["items"].append(entry)
        case 14:
            component["divider"] = form.boolean("divider", default=True)
            component["spacing"] = form.choice("spacing", (1, 2)) or 1
        case 17:
            component["components"] = [
                _read(each, _LAYOUT_IN_CONTAINER, numbering)
                for each in form.forms("components", least=1, most=_MAX_LAYOUT, required=True)
            ]
            component["accent_color"] = form.integer("accent_color", most=0xFFFFFF)
            component["spoiler"] = form.boolean("spoiler")
        case 18:
            component["label"] = form.text("label", least=1, most=45, required=True)
            _put(component, "description", form.text("description", most=100))
            if (wrapped := form.form("component", required=True)) is not None:
                component["component"] = _read(wrapped, _IN_LABEL, numbering)
        case _:
            pass  # the fault is noted
    return component


def _button(form: Form, component: Json, numbering: _Numbering) -> None:
    style = form.choice("style", range(1, 7), required=True)
    component["style"] = style
    _put(component, "label", form.text("label", most=80))
    _put(component, "emoji", _emoji(form))
    component["disabled"] = form.boolean("disabled")
    if style == _LINK:
        component["url"] = form.http_url("url", required=True, schemes=("discord",))
    elif style == _PREMIUM:
        component["sku_id"] = form.snowflake("sku_id", required=True)
    else:
        component["custom_id"] = numbering.custom_id(form)
    if style != _PREMIUM and not component.get("label") and "emoji" not in component:
        form.fault((), "BUTTON_COMPONENT_INVALID_LABEL_OR_EMOJI", "A button must have a label or an emoji")


def _select(form: Form, component: Json, kind: int, numbering: _Numbering) -> None:
    component["custom_id"] = numbering.custom_id(form)
    _put(component, "placeholder", form.text("placeholder", most=150))
    for key, least in (("min_values", 0), ("max_values", 1)):
        value = form.integer(key, least=least, most=25)
        component[key] = 1 if value is None else value
    component["disabled"] = form.boolean("disabled")
    if kind == STRING_SELECT:
        component["options"] = [
            _option(each) for each in form.forms("options", least=1, most=25, required=True)
        ]
        return
    if kind == 8 and isinstance(form.data.get("channel_types"), list):
        component["channel_types"] = [each for each in form.data["channel_types"] if isinstance(each, int)]
    defaults = [
        {"id": each.snowflake("id", required=True), "type": each.text("type", most=10, required=True)}
        for each in form.forms("default_values", most=25)
    ]
    if defaults:
        component["default_values"] = defaults


def _option(form: Form) -> Json:
    option: Json = {
        "label": form.text("label", least=1, most=100, required=True),
        "value": form.text("value", least=1, most=100, required=True),
        "default": form.boolean("default"),
    }
    _put(option, "description", form.text("description", most=100))
    _put(option, "emoji", _emoji(form))
    return option


def _emoji(form: Form) -> Json | None:
    inner = form.form("emoji")
    if inner is None:
        return None
    emoji: Json = {"name": inner.text("name", most=32) or "_"}
    if (emoji_id := inner.snowflake("id")) is not None:
        emoji |= {"id": emoji_id, "animated": inner.boolean("animated")}
    return emoji


def _media(form: Form, component: Json, key: str) -> None:
    media = form.form(key, required=True)
    if media is not None:
        url = media.http_url("url", required=True, schemes=("attachment",))
        component[key] = {"id": "0", "url": url, "proxy_url": url, "width": 0, "height": 0}
    component["description"] = form.text("description", most=1024)
    component["spoiler"] = form.boolean("spoiler")


def _put(target: Json, key: str, value: object) -> None:
    if value is not None:
        target[key] = value
