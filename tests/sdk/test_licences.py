"""What the SDK contains of others comes with their licences."""

from __future__ import annotations

from tools.third_party import NOTICES, bundled, notices


async def test_the_notices_are_those_of_the_packages_in_the_sdk() -> None:
    text = NOTICES.read_text("utf-8")
    assert text == await notices(), "run `python -m tools.third_party`"
    for name in ("tr46", "punycode", "web-streams-polyfill", "urlpattern-polyfill"):
        assert f"\n{name} " in text
    assert text.count("Permission is hereby granted") == 4


def test_packages_are_told_from_their_files() -> None:
    files = ["src/late/a.cjs", "../x/node_modules/@a/b/dist/c.js", "../x/node_modules/d/e.js"]
    assert bundled(files) == ["@a/b", "d"]
