"""Voting in a poll and ending it.

Source: Discord API Reference, "Poll" and "Gateway Events", "Message Poll Vote Add".
"""

from __future__ import annotations

from typing import Final

from flora.playground.actions import messages
from flora.playground.entities import Channel, Message, User
from flora.playground.errors import DiscordError, Json, PlaygroundRefusedError, unknown
from flora.playground.model import Dispatch, Model
from flora.playground.polls import Poll

POLL_RESULT: Final = 46  # message type


def poll_of(model: Model, message: Message) -> Poll:
    """The message's poll, ended if its time is over. Raises 520001 for a message without one."""
    poll = message.poll
    if poll is None:
        raise DiscordError(400, 520001, "Expired or unknown poll")
    if model.clock.now() >= poll.expires:
        poll.ended = True
    return poll


def vote(model: Model, user: User, channel: Channel, message: Message, chosen: list[int]) -> None:
    """Take `chosen` (numbers of answers; none takes the vote back) as this person's whole vote."""
    poll = poll_of(model, message)
    if poll.ended:
        raise PlaygroundRefusedError("The poll is over.")
    known = {each.number for each in poll.answers}
    if not set(chosen) <= known:
        raise PlaygroundRefusedError(f"The poll has the answers {sorted(known)}.")
    if len(set(chosen)) > 1 and not poll.multiselect:
        raise PlaygroundRefusedError("The poll takes one answer.")
    for number in sorted(known):
        voters = poll.votes.setdefault(number, [])
        if number in chosen and user not in voters:
            voters.append(user)
            _emit(model, "MESSAGE_POLL_VOTE_ADD", user, channel, message, number)
        elif number not in chosen and user in voters:
            voters.remove(user)
            _emit(model, "MESSAGE_POLL_VOTE_REMOVE", user, channel, message, number)


def voters(model: Model, message: Message, number: str) -> list[User]:
    poll = poll_of(model, message)
    for each in poll.answers:
        if str(each.number) == number:
            return list(poll.votes.get(each.number, ()))
    raise unknown("poll answer")


def end(model: Model, user: User, channel: Channel, message: Message) -> Message:
    """End it now, which only its author may; the result is a message of its own."""
    if message.author.id != user.id:
        raise DiscordError(403, 520006, "Cannot expire a poll you did not author")
    poll = poll_of(model, message)
    if not poll.ended:
        poll.ended, poll.expires = True, model.clock.now()
        messages.tell_changed(model, channel, message)
        messages.publish(model, channel, _result(model, channel, message, poll))
    return message


def _result(model: Model, channel: Channel, message: Message, poll: Poll) -> Message:
    total = sum(len(each) for each in poll.votes.values())
    fields = [("poll_question_text", poll.question), ("total_votes", str(total))]
    best = max(poll.answers, key=lambda each: len(poll.votes.get(each.number, ())))
    count = len(poll.votes.get(best.number, ()))
    tied = sum(len(each) == count for each in poll.votes.values()) > 1
    if count and not tied:
        fields += [("victor_answer_id", str(best.number)), ("victor_answer_text", best.text)]
    fields.insert(1, ("victor_answer_votes", str(count)))
    result = Message(
        id=model.next_id(),
        channel_id=channel.id,
        guild_id=channel.guild_id,
        author=message.author,
        content="",
        created_at=model.clock.now(),
        kind=POLL_RESULT,
        embeds=[
            {
                "type": "poll_result",
                "fields": [{"name": name, "value": value, "inline": False} for name, value in fields],
            }
        ],
        reference={"type": 0, "channel_id": channel.id, "message_id": message.id},
        replied_to=message,
    )
    if channel.guild_id is not None and result.reference is not None:
        result.reference["guild_id"] = channel.guild_id
    return result


def _emit(model: Model, name: str, user: User, channel: Channel, message: Message, number: int) -> None:
    body: Json = {
        "user_id": user.id,
        "channel_id": channel.id,
        "message_id": message.id,
        "answer_id": number,
    }
    if channel.guild_id is not None:
        body["guild_id"] = channel.guild_id
    model.emit(Dispatch(name, body, guild_id=channel.guild_id, channel_id=channel.id, author_id=user.id))
