"""Permissions as Discord's documentation computes them ("Permissions", topics/permissions)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora.gateway.permissions import (
    ADMINISTRATOR,
    ALL,
    ATTACH_FILES,
    EMBED_LINKS,
    MENTION_EVERYONE,
    READ_MESSAGE_HISTORY,
    SEND_MESSAGES,
    SEND_MESSAGES_IN_THREADS,
    SEND_TTS_MESSAGES,
    VIEW_CHANNEL,
    base_permissions,
    channel_permissions,
)

GUILD, ROLE_A, ROLE_B, MEMBER = 1, 2, 3, 4
KICK = 1 << 1
BOTH = VIEW_CHANNEL | SEND_MESSAGES


@dataclass(frozen=True)
class Rule:
    id: int
    allow: int = 0
    deny: int = 0


def in_channel(base: int, *rules: Rule, thread: bool = False, timed_out: bool = False) -> int:
    return channel_permissions(
        base,
        rules,
        guild_id=GUILD,
        role_ids=(ROLE_A, ROLE_B),
        member_id=MEMBER,
        thread=thread,
        timed_out=timed_out,
    )


def test_in_the_guild_roles_add_up() -> None:
    assert base_permissions(VIEW_CHANNEL, [SEND_MESSAGES, KICK]) == VIEW_CHANNEL | SEND_MESSAGES | KICK
    assert base_permissions(VIEW_CHANNEL, []) == VIEW_CHANNEL


def test_owners_and_administrators_may_do_everything() -> None:
    assert base_permissions(0, [], owner=True) == ALL
    assert base_permissions(0, [ADMINISTRATOR]) == ALL
    assert in_channel(ALL, Rule(GUILD, deny=ALL), Rule(MEMBER, deny=ALL)) == ALL


def test_who_is_timed_out_may_look_and_read_only() -> None:
    everything_else = ALL & ~ADMINISTRATOR
    looking = VIEW_CHANNEL | READ_MESSAGE_HISTORY
    assert base_permissions(everything_else, [], timed_out=True) == looking
    assert in_channel(looking, Rule(ROLE_A, allow=SEND_MESSAGES), timed_out=True) == looking
    assert base_permissions(0, [ADMINISTRATOR], timed_out=True) == ALL


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], BOTH),
        ([Rule(GUILD, deny=SEND_MESSAGES)], VIEW_CHANNEL),
        ([Rule(GUILD, deny=SEND_MESSAGES), Rule(ROLE_A, allow=SEND_MESSAGES)], BOTH),
        # of several roles an allowance wins
        ([Rule(ROLE_A, deny=SEND_MESSAGES), Rule(ROLE_B, allow=SEND_MESSAGES)], BOTH),
        ([Rule(ROLE_A, allow=SEND_MESSAGES), Rule(ROLE_B, deny=SEND_MESSAGES)], BOTH),
        # the member's own comes last
        ([Rule(ROLE_A, allow=SEND_MESSAGES), Rule(MEMBER, deny=SEND_MESSAGES)], VIEW_CHANNEL),
        ([Rule(ROLE_A, deny=SEND_MESSAGES), Rule(MEMBER, allow=SEND_MESSAGES)], BOTH),
        # of one overwrite, allow after deny
        ([Rule(GUILD, allow=KICK, deny=KICK)], BOTH | KICK),
        # others' overwrites do not count
        ([Rule(99, deny=ALL)], BOTH),
    ],
)
def test_overwrites(rules: list[Rule], expected: int) -> None:
    assert in_channel(BOTH, *rules) == expected
    assert in_channel(BOTH, *reversed(rules)) == expected, "whatever their order"


def test_a_hidden_channel_allows_nothing() -> None:
    assert in_channel(BOTH | KICK, Rule(GUILD, deny=VIEW_CHANNEL)) == 0


def test_who_may_not_send_may_not_send_anything() -> None:
    sending = SEND_TTS_MESSAGES | EMBED_LINKS | ATTACH_FILES | MENTION_EVERYONE
    assert in_channel(BOTH | sending | KICK, Rule(GUILD, deny=SEND_MESSAGES)) == VIEW_CHANNEL | KICK


def test_in_a_thread_its_own_permission_to_send_counts() -> None:
    base = VIEW_CHANNEL | SEND_MESSAGES_IN_THREADS | EMBED_LINKS
    assert in_channel(base, thread=True) == base
    assert in_channel(base, thread=False) == base & ~EMBED_LINKS


bits = st.integers(min_value=0, max_value=ALL)
rules = st.lists(
    st.builds(Rule, st.sampled_from([GUILD, ROLE_A, ROLE_B, MEMBER, 99]), bits, bits),
    unique_by=lambda rule: rule.id,
)


@given(bits, rules)
def test_no_overwrite_makes_an_administrator_or_takes_what_the_member_is_allowed(
    base: int, overwrites: list[Rule]
) -> None:
    held = in_channel(base & ~ADMINISTRATOR, *overwrites)
    own = next((rule.allow for rule in overwrites if rule.id == MEMBER), 0)
    assert held == 0 or held & VIEW_CHANNEL
    if held and held & SEND_MESSAGES:
        assert held & own == own
