"""Secrets: what is stored cannot be read without the key, and goes nowhere but where it may."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora.ids import GuildId
from flora.storage.postgres import Database
from flora.storage.secrets import GuildSecrets, KeyRing, MasterKey, MasterKeyError, SecretVault
from flora.storage.secrets.hosts import allowed
from flora.storage.secrets.keys import UndecryptableError
from flora.storage.secrets.vault import (
    SecretHostError,
    SecretInvalidError,
    SecretLimitError,
    SecretUnreadableError,
    placeholder,
)

GUILD, OTHER = GuildId("10"), GuildId("20")
VALUE = "s3cret-välue"
ZERO = MasterKey(bytes(32))
ASCII = MasterKey.parse("0123456789abcdef0123456789abcdef")
VECTOR_ID = UUID("00000000-0000-4000-8000-000000000001")


# ------------------------------------------------------------------------------------------ cryptography


def test_placeholders_are_those_of_the_first_flora() -> None:
    assert placeholder(VECTOR_ID, ZERO.tag(VECTOR_ID)) == f"__FLORA_SECRET__:{VECTOR_ID}:65cd7e77ae4f"
    assert placeholder(VECTOR_ID, ASCII.tag(VECTOR_ID)) == f"__FLORA_SECRET__:{VECTOR_ID}:a929f7836377"


def test_a_key_is_64_hex_digits_or_32_bytes() -> None:
    assert MasterKey.parse("00" * 32).id == ZERO.id
    assert MasterKey.parse("AB" * 32).id == MasterKey.parse("ab" * 32).id != ZERO.id
    for bad in ("", "short", "x" * 33, "00" * 31, "ä" * 32):
        with pytest.raises(MasterKeyError, match=rf"must be 32 bytes \(got {len(bad.encode())}\)"):
            MasterKey.parse(bad)
    assert "0123" not in repr(ASCII)


def test_the_cipher_is_xchacha20_poly1305() -> None:
    """The test vector of draft-irtf-cfrg-xchacha-03, appendix A.3.1, by the function that flora calls."""
    from flora.storage.secrets.keys import (
        crypto_aead_xchacha20poly1305_ietf_decrypt,
        crypto_aead_xchacha20poly1305_ietf_encrypt,
    )

    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    aad = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    key, nonce = bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58))
    sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(text, aad, nonce, key)
    assert sealed.hex().startswith("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb")
    assert sealed.hex().endswith("c0875924c1c7987947deafd8780acf49")
    assert crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, aad, nonce, key) == text


TEXT = st.text(st.characters(codec="utf-8"))


@given(TEXT, TEXT)
def test_what_goes_in_comes_out(value: str, name: str) -> None:
    nonce, sealed = ASCII.encrypt(GUILD, name, value)
    assert ASCII.decrypt(GUILD, name, nonce, sealed) == value


def test_a_value_opens_for_its_guild_name_and_key_alone() -> None:
    nonce, sealed = ASCII.encrypt(GUILD, "token", VALUE)
    assert VALUE.encode() not in sealed
    assert ASCII.encrypt(GUILD, "token", VALUE) != (nonce, sealed), "a fresh nonce each time"
    damaged = bytes([sealed[0] ^ 1, *sealed[1:]])
    for key, guild, name, data in (
        (ASCII, OTHER, "token", sealed),
        (ASCII, GUILD, "token2", sealed),
        (ZERO, GUILD, "token", sealed),
        (ASCII, GUILD, "token", damaged),
        (ASCII, GUILD, "token", b""),
    ):
        with pytest.raises(UndecryptableError):
            key.decrypt(guild, name, nonce, data)


# ------------------------------------------------------------------------------------------ hosts


@pytest.mark.parametrize(
    ("host", "patterns", "fits"),
    [
        ("api.example.com", ["api.example.com"], True),
        ("api.example.com", ["other.example.com"], False),
        ("api.example.com", ["*.example.com"], True),
        ("example.com", ["*.example.com"], True),
        ("evil-example.com", ["*.example.com"], False),
        ("notexample.com", ["*.example.com"], False),
        ("api.example.com", ["https://api.example.com/path"], True),
        ("other.com", ["https://api.example.com/path"], False),
        ("api.example.com", [], False),
        ("api.example.com", ["  API.Example.COM "], True),
        ("API.EXAMPLE.COM", ["api.example.com:8443"], True),
        ("bücher.example", ["xn--bcher-kva.example"], True),
        ("xn--bcher-kva.example", ["*.BÜCHER.example"], True),
        ("a.b.example.com", ["https://*.example.com:1/x"], True),
        ("example.com.evil.net", ["example.com", "*.example.com"], False),
        ("api.example.com", ["*", "*.", "", "..", "http://", "a b", "*.*.com"], False),
        ("", ["example.com"], False),
        (None, ["example.com"], False),
        ("example.com@evil.net", ["example.com"], False),
        ("example.com/evil", ["example.com"], False),
        ("127.0.0.1", ["127.0.0.1"], True),
        ("127.1", ["127.0.0.1", "127.1"], False),
        ("::1", ["[::1]:80"], True),
        ("[0:0::1]", ["::1"], True),
    ],
)
def test_hosts(host: str | None, patterns: list[str], fits: bool) -> None:
    assert allowed(host, patterns) is fits


@given(st.text(), st.text())
def test_no_text_is_a_fault(host: str, pattern: str) -> None:
    allowed(host, [pattern])


# ------------------------------------------------------------------------------------------ the vault


async def test_a_secret_is_seen_as_its_placeholder(db: Database) -> None:
    vault = await SecretVault.open(db, KeyRing(ASCII))
    info = await vault.put(GUILD, "github", VALUE, ["api.github.com", "*.example.com"])
    assert (info.name, info.allowed_hosts) == ("github", ("api.github.com", "*.example.com"))
    mark = vault.of(GUILD).placeholder("github")
    assert mark is not None
    assert mark.startswith("__FLORA_SECRET__:")
    assert vault.of(GUILD).placeholder("none") is None
    assert vault.of(OTHER).placeholder("github") is None

    await vault.put(GUILD, "github", "new", ["api.github.com"])
    again = await SecretVault.open(db, KeyRing(ASCII))
    assert again.of(GUILD).placeholders() == {"github": mark}, "it stays, and is there after a restart"
    assert again.of(GUILD).substitute(f"Bearer {mark}", "api.github.com") == "Bearer new"

    assert await vault.delete(GUILD, "github")
    assert not await vault.delete(GUILD, "github")
    await vault.put(GUILD, "github", VALUE)
    assert vault.of(GUILD).placeholder("github") != mark, "deleted and made anew, it is another one"


async def test_substitution(db: Database) -> None:
    vault = await SecretVault.open(db, KeyRing(ASCII))
    await vault.put(GUILD, "a", "A&=/", ["one.example"])
    await vault.put(GUILD, "b", "B", ["one.example", "two.example"])
    await vault.put(GUILD, "nowhere", "N")
    await vault.put(OTHER, "theirs", "T", ["one.example"])
    mine = vault.of(GUILD)
    a, b, nowhere = (mine.placeholder(name) for name in ("a", "b", "nowhere"))
    theirs = vault.of(OTHER).placeholder("theirs")
    assert a
    assert b
    assert nowhere
    assert theirs

    assert mine.substitute(f"{a}-{b}-{a}", "one.example") == "A&=/-B-A&=/"
    assert mine.substitute(f"{b}", "two.example") == "B"
    assert mine.substitute("nothing here", None) == "nothing here"
    encoded = a.replace(":", "%3A")
    assert mine.substitute(f"?q={encoded}", "one.example") == "?q=A%26%3D%2F"
    forged = a[:-1] + ("0" if a[-1] != "0" else "1")
    for untouched in (theirs, forged, "__FLORA_SECRET__:x", a.upper()):
        assert mine.substitute(untouched, "one.example") == untouched

    for text, host in ((a, "two.example"), (f"{b}{a}", "two.example"), (nowhere, "one.example"), (a, None)):
        with pytest.raises(SecretHostError, match="secret not allowed for request host") as refused:
            mine.substitute(text, host)
        assert "A&=/" not in str(refused.value)


async def test_a_wrong_master_key_is_refused_and_changes_nothing(db: Database) -> None:
    vault = await SecretVault.open(db, KeyRing(ASCII))
    await vault.put(GUILD, "token", VALUE, ["example.com"])

    async def stored() -> list[Any]:
        return [
            *await db.run(lambda con: con.fetch("select * from guild_secrets")),
            *await db.run(lambda con: con.fetch("select * from secret_keys")),
        ]

    before = await stored()
    with pytest.raises(MasterKeyError) as refused:
        await SecretVault.open(db, KeyRing(ZERO))
    assert ASCII.id in str(refused.value)
    assert "SECRETS_MASTER_KEY" in str(refused.value)
    assert await stored() == before
    right = await SecretVault.open(db, KeyRing(ASCII))
    mark = right.of(GUILD).placeholder("token")
    assert right.of(GUILD).substitute(mark or "", "example.com") == VALUE


async def test_a_new_key_is_taken_where_nothing_is_stored(db: Database) -> None:
    vault = await SecretVault.open(db, KeyRing(ASCII))
    await vault.put(GUILD, "token", VALUE)
    await vault.forget(GUILD)
    await SecretVault.open(db, KeyRing(ZERO))


async def test_rotation(db: Database) -> None:
    vault = await SecretVault.open(db, KeyRing(ASCII))
    for number in range(250):
        await vault.put(GuildId(str(number % 3 + 1)), f"s{number}", f"value {number}", ["example.com"])
    marks = {guild: vault.of(GuildId(guild)).placeholders() for guild in "123"}

    both = await SecretVault.open(db, KeyRing(ZERO, [ASCII]))
    await both.put(GuildId("1"), "new", "written with the new key", ["example.com"])
    assert await both.rotate() == 250
    assert await both.rotate() == 0
    rotated = await SecretVault.open(db, KeyRing(ZERO))
    for guild, names in marks.items():
        mine = rotated.of(GuildId(guild))
        assert names.items() <= mine.placeholders().items(), "placeholders stay"
        for name, mark in names.items():
            assert mine.substitute(mark, "example.com") == f"value {name[1:]}"
    with pytest.raises(MasterKeyError):
        await SecretVault.open(db, KeyRing(ASCII))
    keys = await db.run(lambda con: con.fetch("select id from secret_keys"))
    assert [row["id"] for row in keys] == [ZERO.id]


async def test_a_row_moved_to_another_guild_does_not_open(db: Database) -> None:
    vault = await SecretVault.open(db, KeyRing(ASCII))
    await vault.put(GUILD, "token", VALUE, ["example.com"])
    await db.run(lambda con: con.execute("update guild_secrets set guild_id = $1", OTHER))
    moved = (await SecretVault.open(db, KeyRing(ASCII))).of(OTHER)
    with pytest.raises(SecretUnreadableError) as refused:
        moved.substitute(moved.placeholder("token") or "", "example.com")
    assert VALUE not in str(refused.value)


async def test_limits(db: Database) -> None:
    vault = await SecretVault.open(db, KeyRing(ASCII))
    for name, value, hosts in (
        ("", "v", []),
        ("x" * 129, "v", []),
        ("a\nb", "v", []),
        ("\ud800", "v", []),
        ("n", "", []),
        ("n", "x" * 40_000, []),
        ("n", "\ud800", []),
        ("n", "v", ["no host"]),
        ("n", "v", ["*"]),
        ("n", "v", ["a.b"] * 51),
    ):
        with pytest.raises(SecretInvalidError):
            await vault.put(GUILD, name, value, hosts)
    for number in range(100):
        await vault.put(GUILD, f"n{number}", "v")
    with pytest.raises(SecretLimitError):
        await vault.put(GUILD, "one more", "v")
    await vault.put(GUILD, "n1", "changed")


async def test_nothing_shows_a_value(
    db: Database, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        vault = await SecretVault.open(db, KeyRing(ASCII))
        info = await vault.put(GUILD, "token", VALUE, ["example.com"])
        await vault.rotate(ZERO)
    out = capsys.readouterr()
    shown = (
        out.out + out.err + caplog.text + repr(info) + repr(vault.of(GUILD)) + repr(vault.of(GUILD).infos())
    )
    assert VALUE not in shown
    assert isinstance(GuildSecrets().placeholder("token"), type(None))
