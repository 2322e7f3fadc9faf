"""The chat page of a running flora in real Chromium. It also makes the picture in the README."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from flora.playground.demo import GARDEN
from tests.e2e.projects import Project
from tests.e2e.running import ROOT, running
from tests.playground.test_page import CHROMIUM, open_page, say

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not Path(CHROMIUM).exists() and "CI" not in os.environ, reason=f"there is no {CHROMIUM}"
    ),
]

PICTURE = ROOT / "docs" / "playground.png"

CARD = """
createBot({
    commands: [{ name: "garden", run: (ctx) => ctx.reply({ embeds: [
        embed().setTitle("The garden today").setColor(0x57a773)
            .setDescription("Every server runs a **script of its own** on one bot.")
            .addField("Tulips", "12 in bloom", true)
            .addField("Hedgehogs", "1, asleep", true),
    ] }) }],
});
"""


def answered(page: Page, text: str) -> None:
    expect(page.get_by_test_id("message").last.get_by_test_id("content")).to_have_text(text)


def test_typed_in_the_page_the_bot_answers_live(tmp_path: Path) -> None:
    # In a thread of its own: Playwright leaves an asyncio loop behind in the one that it ran in.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(type_and_look, tmp_path).result()


def type_and_look(tmp_path: Path) -> None:
    with running(tmp_path / "data") as flora, open_page(flora.page, 1100, 790) as page:
        expect(page.get_by_test_id("gateway-status")).to_have_text("flora is connected")
        say(page, "!ping a b")
        answered(page, "pong (a b)")
        say(page, "/hello name:Ann")
        answered(page, "Hello, Ann!")
        expect(page.get_by_test_id("ephemeral").last).to_be_visible()
        say(page, "/counter increment")
        answered(page, "Count is now: 1")

        page.get_by_test_id("guild-greenhouse").click()
        expect(page.get_by_test_id("guild-name")).to_have_text("Greenhouse")
        say(page, "/counter get")
        answered(page, "Current count: 0")

        page.get_by_test_id("guild-garden").click()
        flora.deploy(GARDEN, Project.write(tmp_path / "card", main=CARD))
        say(page, "!garden")
        card = page.get_by_test_id("embed").last
        expect(card).to_contain_text("The garden today")
        expect(card).to_contain_text("12 in bloom")
        picture = page.screenshot()
        assert len(picture) > 10_000
        if "FLORA_PICTURES" in os.environ:
            PICTURE.write_bytes(picture)
