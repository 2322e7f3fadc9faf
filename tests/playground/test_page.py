"""The chat page in a real browser, with a bot of its own behind the playground."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from playwright.sync_api import APIResponse, Page, Route, expect, sync_playwright

from flora.playground import PlaygroundInfo

from .bot import run_bot

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
DEADLINE = 30_000  # milliseconds that the page may take for anything

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not Path(CHROMIUM).exists() and "CI" not in os.environ, reason=f"there is no {CHROMIUM}"
    ),
]


@contextmanager
def open_page(url: str, width: int = 1200, height: int = 800) -> Iterator[Page]:
    """A page of headless Chromium; any error on its console fails the test.

    To be called in a thread of its own.
    """
    # Playwright wants a plain asyncio loop; trio-asyncio, once it is imported, has none unless told so.
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda entry: errors.append(entry.text) if entry.type == "error" else None)
            page.set_default_timeout(DEADLINE)
            expect.set_options(timeout=DEADLINE)
            page.goto(url)
            page.wait_for_selector("body[data-ready]")
            yield page
            # what the playground refuses, the page shows; the browser notes it too
            assert [each for each in errors if "status of 400" not in each] == []
        finally:
            browser.close()


async def drive(info: PlaygroundInfo, script: Callable[[Page], None], *, width: int = 1200) -> None:
    def work() -> None:
        with open_page(info.page_url, width=width) as page:
            script(page)

    with trio.fail_after(90):
        await trio.to_thread.run_sync(work)


@pytest.fixture
async def with_bot(info: PlaygroundInfo, nursery: trio.Nursery) -> PlaygroundInfo:
    await nursery.start(run_bot, info)
    return info


def say(page: Page, text: str) -> None:
    box = page.get_by_test_id("composer-input")
    box.fill(text)
    box.press("Escape")
    box.press("Enter")


async def test_a_prefix_command_is_answered_live(with_bot: PlaygroundInfo) -> None:
    def script(page: Page) -> None:
        expect(page.get_by_test_id("gateway-status")).to_have_text("flora is connected")
        expect(page.get_by_test_id("connection")).to_have_text("live")
        say(page, "!ping a b")
        messages = page.get_by_test_id("message")
        expect(messages).to_have_count(2)
        expect(messages.nth(0).get_by_test_id("content")).to_have_text("!ping a b")
        expect(messages.nth(1).get_by_test_id("content")).to_have_text("pong (a b)")
        expect(messages.nth(1).get_by_test_id("author")).to_have_text("flora")

    await drive(with_bot, script)


async def test_guild_channel_and_user_can_be_picked(with_bot: PlaygroundInfo) -> None:
    def script(page: Page) -> None:
        page.get_by_test_id("guild-greenhouse").click()
        page.get_by_test_id("channel-bots").click()
        page.get_by_test_id("user-select").select_option(label="Cleo")
        expect(page.get_by_test_id("guild-name")).to_have_text("Greenhouse")
        expect(page.get_by_test_id("channel-name")).to_have_text("bots")
        say(page, "!ping")
        message = page.get_by_test_id("message")
        expect(message.nth(0).get_by_test_id("author")).to_have_text("Cleo")
        expect(message.nth(1).get_by_test_id("content")).to_have_text("pong")
        page.reload()
        page.wait_for_selector("body[data-ready]")
        expect(page.get_by_test_id("channel-name")).to_have_text("bots")
        expect(page.get_by_test_id("message")).to_have_count(2)

    await drive(with_bot, script)


async def test_what_is_said_while_a_channel_loads_stays_on_the_page(info: PlaygroundInfo) -> None:
    def script(page: Page) -> None:
        answers: list[tuple[Route, APIResponse]] = []
        page.get_by_test_id("channel-bots").click()
        say(page, "first")
        contents = page.get_by_test_id("message").get_by_test_id("content")
        expect(contents).to_have_text(["first"])
        page.get_by_test_id("channel-general").click()
        expect(contents).to_have_count(0)
        page.route("**/messages?*", lambda route: answers.append((route, route.fetch())))
        page.get_by_test_id("channel-bots").click()
        expect(page.get_by_test_id("channel-name")).to_have_text("bots")
        while not answers:
            page.wait_for_timeout(20)
        say(page, "second")
        expect(contents.filter(has_text="second")).to_have_count(1)
        for route, answer in answers:
            route.fulfill(response=answer)
        expect(contents).to_have_text(["first", "second"])

    await drive(info, script)


async def test_a_slash_command_is_suggested_completed_and_answered_for_its_user_only(
    with_bot: PlaygroundInfo,
) -> None:
    def script(page: Page) -> None:
        box = page.get_by_test_id("composer-input")
        box.press_sequentially("/hel")
        expect(page.get_by_test_id("suggestion")).to_have_count(1)
        box.press("Tab")
        expect(box).to_have_value("/hello ")
        expect(page.get_by_test_id("suggestion")).to_contain_text("name:")
        box.press("Tab")
        box.press_sequentially("world")
        box.press("Enter")
        message = page.get_by_test_id("message")
        expect(message.get_by_test_id("content")).to_have_text("hello world")
        expect(message.get_by_test_id("ephemeral")).to_be_visible()
        expect(message.get_by_test_id("context")).to_contain_text("Ann used /hello")
        page.get_by_test_id("user-select").select_option(label="Ben")
        expect(page.get_by_test_id("message")).to_have_count(0)

    await drive(with_bot, script)


async def test_embeds_buttons_and_selects_work(with_bot: PlaygroundInfo, tmp_path: Path) -> None:
    picture = Path(os.environ.get("FLORA_PLAYGROUND_PICTURE", tmp_path / "playground.png"))

    def script(page: Page) -> None:
        say(page, "!ping a b")
        expect(page.get_by_test_id("message")).to_have_count(2)
        say(page, "/hello ann")
        expect(page.get_by_test_id("message")).to_have_count(3)
        say(page, "/panel")
        embed = page.get_by_test_id("embed")
        expect(embed).to_contain_text("Garden report")
        expect(embed.locator("strong")).to_have_text("grows")
        expect(page.get_by_test_id("component-broken")).to_be_disabled()
        page.get_by_test_id("component-plant").select_option("fern")
        expect(page.get_by_test_id("message").last.get_by_test_id("content")).to_have_text("you like fern")
        page.screenshot(path=picture)
        page.get_by_test_id("component-water").click()
        panel = page.get_by_test_id("message").nth(3)
        expect(panel.get_by_test_id("content")).to_contain_text("watered")
        expect(page.get_by_test_id("component-water")).to_have_count(0)

    await drive(with_bot, script)
    assert (await trio.Path(picture).stat()).st_size > 10_000


async def test_a_modal_opens_and_is_answered(with_bot: PlaygroundInfo) -> None:
    def script(page: Page) -> None:
        say(page, "/ask")
        expect(page.get_by_test_id("modal-title")).to_have_text("Tell me")
        page.get_by_test_id("field-why").fill("I can")
        page.get_by_test_id("modal-submit").click()
        expect(page.get_by_test_id("content")).to_have_text("because I can")

    await drive(with_bot, script)


async def test_autocomplete_asks_the_bot(with_bot: PlaygroundInfo) -> None:
    def script(page: Page) -> None:
        box = page.get_by_test_id("composer-input")
        box.press_sequentially("/fruit kind:ap")
        expect(page.get_by_test_id("suggestion")).to_have_count(2)
        box.press("ArrowDown")
        box.press("Tab")
        box.press("Enter")
        expect(page.get_by_test_id("content")).to_have_text("one apricot")

    await drive(with_bot, script)


async def test_a_deferred_answer_thinks_first(with_bot: PlaygroundInfo) -> None:
    def script(page: Page) -> None:
        say(page, "/slow")
        expect(page.get_by_test_id("content")).to_contain_text("better late")

    await drive(with_bot, script)


async def test_silence_is_said(with_bot: PlaygroundInfo) -> None:
    def script(page: Page) -> None:
        say(page, "/silent")
        expect(page.get_by_test_id("failure")).to_contain_text("did not respond")
        say(page, "/nonsense")
        expect(page.get_by_test_id("notice")).to_contain_text("no command /nonsense")

    await drive(with_bot, script)


async def test_what_people_write_is_never_html(info: PlaygroundInfo) -> None:
    def script(page: Page) -> None:
        attack = "<img src=x onerror=\"document.title='owned'\"> **bold** [x](javascript:alert(1))"
        say(page, attack)
        content = page.get_by_test_id("content")
        expect(content).to_contain_text("<img src=x")
        expect(content.locator("strong")).to_have_text("bold")
        expect(content.locator("img, a")).to_have_count(0)
        assert "owned" not in page.title()

    await drive(info, script)


async def test_reactions_and_deletion(info: PlaygroundInfo) -> None:
    def script(page: Page) -> None:
        say(page, "like me")
        message = page.get_by_test_id("message")
        message.hover()
        message.get_by_label("React with 🎉").click()
        expect(message.get_by_test_id("reactions")).to_contain_text("🎉1")
        message.hover()
        message.get_by_label("Delete message").click()
        expect(page.get_by_test_id("message")).to_have_count(0)

    await drive(info, script)


async def test_a_narrow_screen_has_a_menu(info: PlaygroundInfo) -> None:
    def script(page: Page) -> None:
        expect(page.get_by_test_id("channel-list")).to_be_hidden()
        page.get_by_test_id("menu").click()
        page.get_by_test_id("channel-bots").click()
        expect(page.get_by_test_id("channel-name")).to_have_text("bots")
        expect(page.get_by_test_id("channel-list")).to_be_hidden()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390

    await drive(info, script, width=390)


async def test_the_page_loads_nothing_from_elsewhere(info: PlaygroundInfo) -> None:
    seen: list[str] = []

    def script(page: Page) -> None:
        page.on("request", lambda request: seen.append(request.url))
        page.reload()
        page.wait_for_selector("body[data-ready]")
        for control in page.locator("button, select, textarea").all():
            name = control.evaluate("e => e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent")
            assert re.search(r"\w|☰", name), control

    await drive(info, script)
    assert seen
    assert all(url.startswith(info.page_url) for url in seen), seen
