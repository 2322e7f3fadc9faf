"""Which gateway events a script is given: what none of its handlers would look at stays with the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from flora.gateway.events import GatewayEvent

MESSAGE: Final = "MESSAGE_CREATE"

# What JavaScript's `trim` takes away (ECMA-262: WhiteSpace, LineTerminator), as the SDK does before it looks.
_BLANK: Final = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)


class _Author(msgspec.Struct):
    bot: bool = False


class _Message(msgspec.Struct):
    author: _Author
    content: str


_message = msgspec.json.Decoder(_Message)


@dataclass(frozen=True, slots=True)
class Interest:
    """`events` are Discord's dispatch names (`MESSAGE_CREATE`) with at least one handler.

    With a `prefix` every handler of messages is a prefix command of `createBot`, which answers only people,
    and only text that begins with the prefix: no other message need reach the script, or wake it.
    """

    events: frozenset[str]
    prefix: str | None = None

    def wants(self, event: GatewayEvent) -> bool:
        """False when no handler would do anything with `event`. Never raises: the unreadable is wanted."""
        if event.name not in self.events:
            return False
        if self.prefix is None or event.name != MESSAGE:
            return True
        try:
            message = _message.decode(event.payload)
        except msgspec.DecodeError:
            return True
        return not message.author.bot and message.content.lstrip(_BLANK).startswith(self.prefix)
