"""The session machine against a model of Discord's gateway, under virtual time.

The model keeps sessions as Discord does: dispatches are numbered and kept, a connection that ends loses what
was under way, a resume replays what came after the number that the client names.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flora.gateway.envelope import EnvelopeError, Op
from flora.gateway.events import GatewayEvent
from flora.gateway.session import (
    CLOSE_CODES,
    HELLO_DEADLINE,
    INVALID_SESSION_PAUSE,
    MAX_SEND,
    Consequence,
    FatalGatewayError,
    GatewayCommandError,
    Phase,
    ResumePoint,
    Session,
    SessionConfig,
)

CONFIG = SessionConfig(token="secret-token", intents=513, shard_id=1, shard_count=4)


def payload(op: int, d: Any = None, s: int | None = None, t: str | None = None) -> bytes:
    return json.dumps({"op": op, "d": d, "s": s, "t": t}).encode()


HELLO = payload(10, {"heartbeat_interval": 40_000})
ACK = payload(11)


def ready(session_id: str = "a", seq: int = 1) -> bytes:
    data = {
        "session_id": session_id,
        "resume_gateway_url": "wss://resume.example",
        "user": {"id": "7"},
        "application": {"id": "8"},
        "guilds": [{"id": "9", "unavailable": True}],
    }
    return payload(0, data, seq, "READY")


def message(seq: int, **data: Any) -> bytes:
    return payload(0, {"guild_id": "9", **data}, seq, "MESSAGE_CREATE")


def drain(session: Session, now: float) -> list[dict[str, Any]]:
    """Everything that the session sends at `now`."""
    sent = []
    while (out := session.outgoing(now)) is not None:
        sent.append(json.loads(out))
    return sent


def opened(session: Session, now: float = 0.0) -> list[dict[str, Any]]:
    session.connected(now)
    session.received(HELLO, now)
    return drain(session, now)


def running(jitter: float = 0.5) -> Session:
    session = Session(CONFIG, jitter=lambda: jitter)
    opened(session)
    session.received(ready(), 0.0)
    assert session.phase is Phase.READY
    return session


def test_nothing_is_sent_before_hello() -> None:
    session = Session(CONFIG)
    session.connected(0.0)
    assert drain(session, 0.0) == []
    assert session.deadline(0.0) == HELLO_DEADLINE


def test_identify_says_who_we_are() -> None:
    presence = {"status": "online", "activities": [], "since": None, "afk": False}
    session = Session(SessionConfig("secret-token", 513, 1, 4, presence))
    (identify,) = opened(session)
    assert identify["op"] == Op.IDENTIFY
    data = identify["d"]
    assert data["token"] == "secret-token"
    assert data["intents"] == 513
    assert data["shard"] == [1, 4]
    assert data["presence"] == presence
    assert set(data["properties"]) == {"os", "browser", "device"}
    assert session.identified
    session.received(ready(), 0.0)
    assert session.identified, "for who asks only once READY is there"
    session.lost(1.0)
    assert not session.identified


def test_the_token_is_not_in_any_representation() -> None:
    assert "secret-token" not in repr(CONFIG)


def test_ready_makes_a_resume_point_and_events_move_it() -> None:
    session = running()
    assert session.resume == ResumePoint("a", "wss://resume.example", 1)
    assert session.ready is not None
    assert (session.ready.user_id, session.ready.application_id, session.ready.guild_ids) == ("7", "8", ["9"])
    event = session.received(message(2, content="hi"), 3.0)
    assert event is not None
    assert (event.name, event.guild_id, str(event.id), event.received_at) == (
        "MESSAGE_CREATE",
        "9",
        "1:a:2",
        3.0,
    )
    assert json.loads(event.payload) == {"guild_id": "9", "content": "hi"}
    assert session.resume == ResumePoint("a", "wss://resume.example", 2)


def test_the_payload_is_passed_on_byte_for_byte() -> None:
    session = running()
    raw = b'{ "guild_id" : "9", "n": 1.0e3, "u": "\\u00e4\xc3\xa4" }'
    event = session.received(b'{"t":"X","s":2,"op":0,"d":' + raw + b"}", 0.0)
    assert event is not None
    assert event.payload == raw


@pytest.mark.parametrize("name", ["GUILD_CREATE", "GUILD_UPDATE", "GUILD_DELETE"])
def test_a_guilds_own_events_have_its_id_elsewhere(name: str) -> None:
    event = running().received(payload(0, {"id": "9", "guild_id": "1"}, 2, name), 0.0)
    assert event is not None
    assert event.guild_id == "9"


@pytest.mark.parametrize("data", [{}, {"guild_id": None}, [], None, "text", {"guild_id": 5}])
def test_an_event_without_a_readable_guild_does_not_hurt(data: Any) -> None:
    event = running().received(payload(0, data, 2, "SOMETHING_NEW"), 0.0)
    assert event is not None
    assert event.guild_id is None


def test_a_lost_connection_is_resumed_where_it_ended() -> None:
    session = running()
    session.received(message(2), 1.0)
    session.lost(2.0, 1006)
    (resume,) = opened(session, 3.0)
    assert resume == {"op": Op.RESUME, "d": {"token": "secret-token", "session_id": "a", "seq": 2}}
    replayed = session.received(message(3), 3.0)
    assert replayed is not None
    assert session.phase is Phase.RESUMING
    session.received(payload(0, {}, 4, "RESUMED"), 3.0)
    assert session.phase is Phase.READY


def test_a_session_of_an_earlier_process_is_resumed() -> None:
    session = Session(CONFIG, ResumePoint("old", "wss://resume.example", 41))
    (resume,) = opened(session)
    assert (resume["op"], resume["d"]["session_id"], resume["d"]["seq"]) == (Op.RESUME, "old", 41)


def test_an_event_that_comes_twice_is_given_once() -> None:
    session = running()
    assert session.received(message(2), 0.0) is not None
    assert session.received(message(2), 0.0) is None
    assert session.received(message(1), 0.0) is None
    assert session.duplicates == 2


def test_the_first_heartbeat_comes_after_a_part_of_the_interval_and_then_each_interval() -> None:
    session = running(jitter=0.25)
    assert session.deadline(0.0) == 10.0
    assert drain(session, 9.9) == []
    assert drain(session, 10.0) == [{"op": 1, "d": 1}]
    session.received(ACK, 10.2)
    assert session.latency == pytest.approx(0.2)
    assert session.deadline(10.2) == 50.0
    session.received(message(2), 30.0)
    assert drain(session, 50.0) == [{"op": 1, "d": 2}]


def test_a_demanded_heartbeat_is_sent_at_once_and_the_rhythm_stays() -> None:
    session = running(jitter=0.25)
    session.received(payload(1), 5.0)
    assert session.deadline(5.0) == 5.0
    assert drain(session, 5.0) == [{"op": 1, "d": 1}]
    session.received(ACK, 5.1)
    assert drain(session, 10.0) == [{"op": 1, "d": 1}]


def test_a_heartbeat_demanded_just_before_a_regular_one_is_no_zombie() -> None:
    session = running(jitter=0.25)
    session.received(payload(1), 9.99)
    drain(session, 9.99)
    assert drain(session, 10.0) == [{"op": 1, "d": 1}]
    assert session.closing is None
    session.received(ACK, 10.05)
    session.received(ACK, 10.06)
    assert drain(session, 50.0) != []


def test_an_unanswered_heartbeat_makes_a_zombie_that_is_closed_for_a_resume() -> None:
    session = running(jitter=0.25)
    drain(session, 10.0)
    assert session.deadline(10.0) == 50.0
    assert drain(session, 49.9) == []
    assert session.closing is None
    assert drain(session, 50.0) == []
    assert session.closing is not None
    assert session.closing.code not in (1000, 1001)
    assert session.resume is not None


def test_reconnect_closes_for_a_resume_at_once() -> None:
    session = running()
    session.received(payload(7), 1.0)
    assert session.closing is not None
    assert session.closing.code == 4000
    session.lost(1.0)
    assert session.not_before == 0.0
    assert opened(session, 1.0)[0]["op"] == Op.RESUME


def test_an_invalid_session_that_may_be_resumed_is_resumed() -> None:
    session = running()
    session.received(payload(9, True), 1.0)
    assert session.closing is not None
    assert session.closing.code == 4000
    session.lost(1.0)
    assert opened(session, 1.0)[0]["op"] == Op.RESUME


@pytest.mark.parametrize("data", [False, None, "x", {}])
def test_any_other_invalid_session_starts_anew_after_a_pause(data: Any) -> None:
    session = running(jitter=0.5)
    session.received(payload(9, data), 1.0)
    assert session.closing is not None
    session.lost(1.0)
    shortest, longest = INVALID_SESSION_PAUSE
    assert session.not_before == 1.0 + (shortest + longest) / 2
    assert opened(session, 4.0)[0]["op"] == Op.IDENTIFY


@pytest.mark.parametrize("code", sorted(CLOSE_CODES))
def test_every_close_code_has_its_documented_consequence(code: int) -> None:
    # Discord, "Gateway Close Event Codes": the column "Reconnect", and what the explanations add to it.
    fatal = {4004, 4010, 4011, 4012, 4013, 4014}
    anew = {4003, 4007, 4009}
    session = running()
    if code in fatal:
        with pytest.raises(FatalGatewayError) as caught:
            session.lost(1.0, code)
        assert caught.value.close_code == code
        assert caught.value.hint
        return
    session.lost(1.0, code)
    assert opened(session, 10.0)[0]["op"] == (Op.IDENTIFY if code in anew else Op.RESUME)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1011, 4099])
def test_any_other_end_tries_to_resume(code: int | None) -> None:
    session = running()
    session.lost(1.0, code)
    assert opened(session, 1.0)[0]["op"] == Op.RESUME


def test_a_gateway_that_answers_nothing_is_left() -> None:
    session = Session(CONFIG)
    session.connected(0.0)
    assert drain(session, HELLO_DEADLINE) == []
    assert session.closing is not None

    session = Session(CONFIG)
    opened(session)
    while session.closing is None:
        now = session.deadline(0.0)
        assert now <= 61.0
        drain(session, now)
        session.received(ACK, now)


def test_a_long_replay_is_not_taken_for_silence() -> None:
    session = Session(CONFIG, ResumePoint("a", "wss://x", 1), jitter=lambda: 0.5)
    opened(session)
    for minute in range(1, 10):
        assert session.received(message(minute + 1), minute * 50.0) is not None
        drain(session, minute * 50.0)
        session.received(ACK, minute * 50.0)
        assert session.closing is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'{"d":1}',
        b'{"op":"x"}',
        b"\xff",
        b'{"op":10,"d":{}}',
        payload(10, {"heartbeat_interval": 0}),
    ],
)
def test_what_is_no_gateway_payload_is_an_error(raw: bytes) -> None:
    session = Session(CONFIG)
    session.connected(0.0)
    with pytest.raises(EnvelopeError):
        session.received(raw, 0.0)


@pytest.mark.parametrize("raw", [payload(99, {"new": 1}), b'{"op":11,"new":[]}'])
def test_what_discord_may_add_one_day_does_not_hurt(raw: bytes) -> None:
    session = running()
    assert session.received(raw, 0.0) is None
    assert session.closing is None


def test_commands_wait_for_the_session_to_be_ready() -> None:
    session = Session(CONFIG)
    session.command(Op.PRESENCE_UPDATE, {"status": "idle"})
    assert [sent["op"] for sent in opened(session)] == [Op.IDENTIFY]
    session.received(ready(), 0.0)
    assert drain(session, 0.0) == [{"op": 3, "d": {"status": "idle"}}]


def test_a_command_that_discord_would_not_take_is_refused() -> None:
    session = running()
    with pytest.raises(GatewayCommandError):
        session.command(Op.PRESENCE_UPDATE, {"text": "x" * MAX_SEND})
    for _ in range(1000):
        session.command(Op.PRESENCE_UPDATE, {})
    with pytest.raises(GatewayCommandError):
        session.command(Op.PRESENCE_UPDATE, {})


def test_a_flood_of_commands_leaves_room_for_heartbeats() -> None:
    session = running(jitter=0.5)
    for _ in range(300):
        session.command(Op.PRESENCE_UPDATE, {})
    assert len(drain(session, 1.0)) < 120
    assert drain(session, 20.0) == [{"op": 1, "d": 1}]  # the heartbeat passes by the waiting commands


class Gateway(RuleBasedStateMachine):
    """Discord and the network do what they like; the session never breaks a rule and never loses an event."""

    @initialize(jitter=st.floats(0, 1, exclude_max=True))
    def start(self, jitter: float) -> None:
        self.now = 0.0
        self.session = Session(CONFIG, jitter=lambda: jitter)
        self.stored: dict[str, list[bytes]] = {}
        self.delivered: dict[str, list[int]] = {}
        self.bound: str | None = None  # the session of the open connection
        self.connected = False
        self.acknowledging = True
        self.sent_at: list[float] = []
        self.connect()

    # The driver, as shard.py is one.

    def connect(self) -> None:
        self.now = max(self.now, self.session.not_before)
        self.connected, self.bound, self.sent_at = True, None, []
        self.acknowledging = True
        self.session.connected(self.now)
        self.give(HELLO)
        self.pump()

    def give(self, raw: bytes) -> None:
        event = self.session.received(raw, self.now)
        if event is not None:
            self.record(event)

    def record(self, event: GatewayEvent) -> None:
        numbers = self.delivered.setdefault(event.id.session, [])
        numbers.append(event.id.seq)
        assert event.payload in self.stored[event.id.session][event.id.seq - 1]

    def pump(self) -> None:
        while self.connected:
            if self.session.closing is not None:
                self.end(self.session.closing.code, ours=True)
                return
            out = self.session.outgoing(self.now)
            if out is None:
                if self.session.closing is None:
                    return
                continue
            self.sent_at.append(self.now)
            self.take(json.loads(out))

    def end(self, code: int | None, *, ours: bool = False) -> None:
        self.connected = False
        if ours and code in (1000, 1001) and self.bound:
            self.stored.pop(self.bound, None)
        self.bound = None
        self.session.lost(self.now, None if ours else code)

    # Discord.

    def take(self, sent: dict[str, Any]) -> None:
        op, data = sent["op"], sent["d"]
        if op == Op.HEARTBEAT:
            if self.bound:
                assert data == len(self.stored[self.bound])
            if self.acknowledging:
                self.give(ACK)
        elif op == Op.IDENTIFY:
            assert self.bound is None
            self.bound = f"session-{len(self.delivered)}"
            self.delivered[self.bound] = []
            self.stored[self.bound] = [ready(self.bound)]
            self.give(self.stored[self.bound][0])
        elif op == Op.RESUME:
            assert self.bound is None
            known = self.stored.get(data["session_id"])
            if known is None:
                self.give(payload(9, False))
                return
            self.bound = data["session_id"]
            assert data["seq"] == self.delivered[self.bound][-1]
            for raw in known[data["seq"] :]:
                self.give(raw)
            known.append(payload(0, {}, len(known) + 1, "RESUMED"))
            self.give(known[-1])

    @rule(seconds=st.floats(0.01, 100))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        if not self.connected:
            self.connect()
        while self.connected and (at := max(self.now, self.session.deadline(self.now))) <= until:
            self.now = at
            self.pump()
        self.now = max(self.now, until)  # a connection may have waited for longer: time never goes back
        if not self.connected:
            self.connect()

    @precondition(lambda self: self.bound)
    @rule(count=st.integers(1, 5), arrives=st.booleans())
    def events_happen(self, count: int, arrives: bool) -> None:
        kept = self.stored[self.bound]
        fresh = [message(len(kept) + 1 + number) for number in range(count)]
        kept.extend(fresh)
        if arrives:
            for raw in fresh:
                self.give(raw)
        else:
            self.end(1006)  # the connection breaks with them under way

    @precondition(lambda self: self.bound)
    @rule(data=st.data())
    def discord_repeats_itself(self, data: st.DataObject) -> None:
        self.give(data.draw(st.sampled_from(self.stored[self.bound])))

    @precondition(lambda self: self.connected)
    @rule(raw=st.sampled_from([payload(7), payload(9, True), payload(1), HELLO, payload(99)]))
    def discord_says(self, raw: bytes) -> None:
        self.give(raw)
        self.pump()

    @precondition(lambda self: self.bound)
    @rule()
    def discord_ends_the_session(self) -> None:
        self.stored.pop(self.bound, None)
        self.give(payload(9, False))
        self.pump()

    @precondition(lambda self: self.connected)
    @rule(
        code=st.sampled_from(
            [1000, 1001, 1006, *(c for c, m in CLOSE_CODES.items() if m.consequence is not Consequence.FATAL)]
        )
    )
    def discord_closes(self, code: int) -> None:
        if CLOSE_CODES.get(code) and CLOSE_CODES[code].consequence is Consequence.RESTART and self.bound:
            self.stored.pop(self.bound, None)
        self.end(code)

    @precondition(lambda self: self.connected)
    @rule()
    def the_line_goes_dead(self) -> None:
        self.acknowledging = False

    @precondition(lambda self: self.connected)
    @rule(count=st.integers(1, 150))
    def commands_come(self, count: int) -> None:
        for _ in range(count):
            try:
                self.session.command(Op.PRESENCE_UPDATE, {})
            except GatewayCommandError:
                break
        self.pump()

    @invariant()
    def the_send_limit_holds(self) -> None:
        sent = getattr(self, "sent_at", [])
        for index in range(120, len(sent)):
            assert sent[index] - sent[index - 120] >= 60 - 1e-6

    @invariant()
    def every_event_was_delivered_once_and_in_order(self) -> None:
        for numbers in getattr(self, "delivered", {}).values():
            assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def a_dead_line_is_noticed(self) -> None:
        if getattr(self, "connected", False):
            # the next thing that the machine wants to do is never further away than a heartbeat
            assert self.session.deadline(self.now) <= self.now + 60.0

    def teardown(self) -> None:
        if not hasattr(self, "session"):
            return
        self.time_passes(200.0)
        self.acknowledging = True
        self.time_passes(1.0)
        if self.bound:  # whatever happened, in the end it is connected and has every event of its session
            assert self.session.phase is Phase.READY
            assert self.delivered[self.bound] == list(range(1, len(self.stored[self.bound]) + 1))


Gateway.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestGateway = Gateway.TestCase
