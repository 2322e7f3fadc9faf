"""Guilds are placed as the original places them (flora.md 1.3), on workers that are alive."""

from __future__ import annotations

import pytest

from flora.actors.core import Placement, default_worker, guild_hash
from flora.actors.core.placement import siphash13
from flora.ids import GuildId

# Made by a real `DefaultHasher`: guild -> hash, worker of 1, 2, 4, 8 and 64.
VECTORS = [
    ("123", 0xAEAEB6346D324D62, (0, 0, 2, 2, 34)),
    ("123456789012345678", 0x5EDCF0C115CCE7EA, (0, 0, 2, 2, 42)),
    ("999000000000000000", 0x68317D8366BF4A60, (0, 0, 0, 0, 32)),
    ("81384788765712384", 0x8FACB4E537864D4C, (0, 0, 0, 4, 12)),
    ("guild-redeploy", 0x5485AC604CC70A99, (0, 1, 1, 1, 25)),
]


@pytest.mark.parametrize(("guild", "hashed", "workers"), VECTORS, ids=[vector[0] for vector in VECTORS])
def test_the_default_worker_is_the_originals(guild: str, hashed: int, workers: tuple[int, ...]) -> None:
    assert guild_hash(guild) == hashed
    assert tuple(default_worker(guild, count) for count in (1, 2, 4, 8, 64)) == workers


def test_siphash_with_a_key() -> None:
    """The one published vector of SipHash-1-3's kind is its reference implementation's: key 00..0f."""
    key = int.from_bytes(bytes(range(8)), "little"), int.from_bytes(bytes(range(8, 16)), "little")
    assert siphash13(b"", *key) == 0xABAC0158050FC4DC  # rust-lang/rust, library/coretests, test_siphash_1_3
    assert siphash13(b"\x00", *key) == 0xC9F49BF37D57CA93


GUILD = GuildId("123")  # of 4 workers, on worker 2


def test_an_explicit_route_goes_before_the_hash_until_it_is_forgotten() -> None:
    placement = Placement(4)
    assert placement.place(GUILD) == 2
    placement.route(GUILD, 0)
    assert placement.place(GUILD) == placement.routed(GUILD) == 0
    placement.forget(GUILD)
    assert placement.place(GUILD) == 2


def test_a_route_home_is_no_route() -> None:
    placement = Placement(4)
    placement.route(GUILD, 0)
    placement.route(GUILD, 2)
    assert placement.routed(GUILD) is None


def test_the_next_worker_alive_takes_the_place_of_one_that_is_down() -> None:
    placement = Placement(4)
    placement.down(2)
    assert placement.place(GUILD) == 3
    placement.down(3)
    assert placement.place(GUILD) == 0
    placement.up(2)
    assert placement.place(GUILD) == 2


def test_a_closed_worker_is_taken_only_when_no_other_is_alive() -> None:
    placement = Placement(2)
    home = placement.place(GUILD)
    assert home is not None
    placement.close(home)
    assert placement.place(GUILD) == 1 - home
    placement.down(1 - home)
    assert placement.place(GUILD) == home
    placement.down(home)
    assert placement.place(GUILD) is None


def test_there_is_at_least_one_worker() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Placement(0)
    with pytest.raises(ValueError, match="no worker 4"):
        Placement(4).up(4)
