"""Polls: a question with answers on a message, votes, and the end.

Source: Discord API Reference, "Poll".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from flora.playground.errors import Json
from flora.playground.forms import Form
from flora.playground.snowflake import isoformat

if TYPE_CHECKING:
    from flora.playground.entities import User

MAX_ANSWERS: Final = 10
MAX_HOURS: Final = 32 * 24
DEFAULT_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class PollAnswer:
    number: int  # from 1
    text: str
    emoji: Json | None

    def media(self) -> Json:
        body: Json = {"text": self.text}
        if self.emoji is not None:
            body["emoji"] = self.emoji
        return body


@dataclass(slots=True)
class Poll:
    """`expires` in seconds since 1970; over when it is reached, or `ended` before."""

    question: str
    answers: tuple[PollAnswer, ...]
    multiselect: bool
    hours: int
    expires: float = 0.0
    ended: bool = False
    votes: dict[int, list[User]] = field(default_factory=dict)

    def json(self, viewer_id: str) -> Json:
        counts = [
            {
                "id": number,
                "count": len(voters),
                "me_voted": any(each.id == viewer_id for each in voters),
            }
            for number, voters in sorted(self.votes.items())
            if voters
        ]
        return {
            "question": {"text": self.question},
            "answers": [{"answer_id": each.number, "poll_media": each.media()} for each in self.answers],
            "expiry": isoformat(self.expires),
            "allow_multiselect": self.multiselect,
            "layout_type": 1,
            "results": {"answer_counts": counts, "is_finalized": self.ended},
        }


def read_poll(form: Form) -> Poll | None:
    """The `poll` of a message body, not yet begun; faults go to the form."""
    inner = form.form("poll")
    if inner is None:
        return None
    question = inner.form("question", required=True)
    text = None if question is None else question.text("text", least=1, most=300, required=True)
    answers = []
    for number, each in enumerate(inner.forms("answers", least=1, most=MAX_ANSWERS, required=True), 1):
        media = each.form("poll_media", required=True)
        if media is None:
            continue
        words = media.text("text", least=1, most=55, required=True)
        emoji = media.form("emoji")
        shown: Json | None = None
        if emoji is not None:
            shown = {"id": emoji.snowflake("id"), "name": emoji.text("name", most=64)}
        answers.append(PollAnswer(number, words or "", shown))
    inner.choice("layout_type", (1,))
    hours = inner.integer("duration", least=1, most=MAX_HOURS) or DEFAULT_HOURS
    return Poll(text or "", tuple(answers), inner.boolean("allow_multiselect"), hours)
