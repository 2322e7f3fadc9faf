"""Reading an untrusted JSON body the way Discord does: every fault is collected and named by its path.

A `Form` wraps one object of the body. Its readers return a usable value or None and note what is wrong;
`finish()` on the outermost form raises the collected faults as one 50035 error.
Source: Discord API Reference, "Error Messages".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from flora.playground.errors import Json, invalid_form

INT53 = 2**53 - 1


class Faults:
    """The faults found so far, as the nested `errors` object that Discord answers."""

    def __init__(self) -> None:
        self.tree: Json = {}

    def add(self, path: tuple[str, ...], code: str, message: str) -> None:
        node = self.tree
        for part in path:
            node = node.setdefault(part, {})
        node.setdefault("_errors", []).append({"code": code, "message": message})


class Form:
    """One JSON object of a request body, with its place in it."""

    def __init__(self, value: Any, *, faults: Faults | None = None, path: tuple[str, ...] = ()) -> None:
        self.faults = faults if faults is not None else Faults()
        self.path = path
        self.data: Json = value if isinstance(value, dict) else {}
        if not isinstance(value, dict):
            self.fault((), "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def fault(self, where: tuple[str, ...] | str, code: str, message: str) -> None:
        where = (where,) if isinstance(where, str) else where
        self.faults.add(self.path + where, code, message)

    def finish(self) -> None:
        """Raise DiscordError 50035 when anything was wrong."""
        if self.faults.tree:
            raise invalid_form(self.faults.tree)

    def _get(self, key: str, required: bool) -> Any:
        value = self.data.get(key)
        if value is None and required:
            self.fault(key, "BASE_TYPE_REQUIRED", "This field is required")
        return value

    def text(self, key: str, *, least: int = 0, most: int, required: bool = False) -> str | None:
        """A string of `least` to `most` characters."""
        value = self._get(key, required)
        if value is None:
            return None
        if isinstance(value, (dict, list)):
            self.fault(key, "STRING_TYPE_CONVERT", "Could not interpret value as string.")
            return None
        value = value if isinstance(value, str) else str(value)
        if not least <= len(value) <= most:
            if least:
                message = f"Must be between {least} and {most} in length."
                self.fault(key, "BASE_TYPE_BAD_LENGTH", message)
            else:
                self.fault(key, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
            return None
        return value

    def integer(self, key: str, *, least: int = 0, most: int = INT53, required: bool = False) -> int | None:
        """A whole number, also in a decimal string, as Discord accepts them."""
        value = self._get(key, required)
        if value is None:
            return None
        if isinstance(value, str) and value.lstrip("-").isascii() and value.lstrip("-").isdigit():
            value = int(value) if len(value) <= 20 else None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self.fault(key, "NUMBER_TYPE_COERCE", f'Value "{str(self.data[key])[:64]}" is not int.')
            return None
        if value < least:
            self.fault(key, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {least}.")
            return None
        if value > most:
            self.fault(key, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {most}.")
            return None
        return value

    def boolean(self, key: str, default: bool = False) -> bool:
        value = self.data.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fault(key, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")
            return default
        return value

    def choice(self, key: str, choices: Collection[int], *, required: bool = False) -> int | None:
        """A whole number out of a closed set."""
        value = self._get(key, required)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value not in choices:
            allowed = ", ".join(str(each) for each in sorted(choices))
            self.fault(key, "BASE_TYPE_CHOICES", f"Value must be one of ({allowed}).")
            return None
        return value

    def snowflake(self, key: str, *, required: bool = False) -> str | None:
        value = self._get(key, required)
        if value is None:
            return None
        text = str(value)
        if isinstance(value, bool) or not is_snowflake(text):
            self.fault(key, "NUMBER_TYPE_COERCE", f'Value "{text[:64]}" is not snowflake.')
            return None
        return text

    def snowflakes(self, key: str, *, most: int) -> list[str] | None:
        values = self._list(key, least=0, most=most, required=False)
        if values is None:
            return None
        found = []
        for index, value in enumerate(values):
            if isinstance(value, bool) or not is_snowflake(str(value)):
                message = f'Value "{str(value)[:64]}" is not snowflake.'
                self.fault((key, str(index)), "NUMBER_TYPE_COERCE", message)
            else:
                found.append(str(value))
        return found

    def texts(self, key: str, *, each_most: int, most: int) -> list[str]:
        """A list of strings; faults in it leave it empty."""
        values = self._list(key, least=0, most=most, required=False) or []
        for index, value in enumerate(values):
            if not isinstance(value, str) or len(value) > each_most:
                message = f"Must be {each_most} or fewer in length."
                self.fault((key, str(index)), "BASE_TYPE_MAX_LENGTH", message)
        return values

    def http_url(self, key: str, *, required: bool = False, schemes: tuple[str, ...] = ()) -> str | None:
        """An absolute URL with a scheme of the web (or one of `schemes` besides)."""
        value = self.text(key, most=2048, required=required)
        if value is None:
            return None
        allowed = ("http", "https", *schemes)
        scheme, separator, rest = value.partition("://")
        if not separator or not rest:
            self.fault(key, "URL_TYPE_INVALID_URL", "Not a well formed URL.")
            return None
        if scheme not in allowed:
            names = ", ".join(repr(each) for each in allowed)
            message = f'Scheme "{scheme[:32]}" is not supported. Scheme must be one of ({names}).'
            self.fault(key, "URL_TYPE_INVALID_SCHEME", message)
            return None
        return value

    def form(self, key: str, *, required: bool = False) -> Form | None:
        value = self._get(key, required)
        if value is None:
            return None
        return Form(value, faults=self.faults, path=(*self.path, key))

    def forms(self, key: str, *, least: int = 0, most: int, required: bool = False) -> Iterator[Form]:
        """The objects of a list; faults in the list itself end it."""
        values = self._list(key, least=least, most=most, required=required)
        for index, value in enumerate(values or ()):
            yield Form(value, faults=self.faults, path=(*self.path, key, str(index)))

    def _list(self, key: str, *, least: int, most: int, required: bool) -> list[Any] | None:
        value = self._get(key, required)
        if value is None:
            return None
        if not isinstance(value, list):
            self.fault(key, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return None
        if not least <= len(value) <= most:
            message = (
                f"Must be between {least} and {most} in length."
                if least
                else f"Must be {most} or fewer in length."
            )
            self.fault(key, "BASE_TYPE_BAD_LENGTH", message)
            return None
        return value


def is_snowflake(text: str) -> bool:
    """True for an unsigned 64-bit integer in canonical decimal form."""
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        return False
    return int(text) < 2**64 and (text == "0" or text[0] != "0")
