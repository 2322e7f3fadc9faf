"""Every example bot in the playground: deployed to a guild of its own, used by people."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import trio

from flora.build.bundle import build_project
from flora.cli.project import deploy_body
from tests.e2e.running import ROOT, Flora, eventually, running

Json = dict[str, Any]
MODERATOR = 1 << 40 | 1 << 28 | 1 << 13 | 1 << 4  # moderate members, manage roles, messages, channels


class Town:
    """A guild with one example in it; ann owns it, ben and cleo are members."""

    def __init__(self, flora: Flora, example: str) -> None:
        self._flora = flora
        made = self.do("guilds", name=f"Example {example}", owner="ann")[0]
        self.id, self.name, self.channels = str(made["id"]), str(made["name"]), made["channels"]
        for person in ("ben", "cleo"):
            self._page("PUT", f"/guilds/{self.id}/members/{person}", json={})
        folder = ROOT / "examples" / example
        bundle = trio.run(lambda: build_project(folder, check=False))
        answer = flora.call("POST", f"/deployments/{self.id}", json=deploy_body(self.id, bundle))
        assert answer.status_code < 300, answer.text

    def _page(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self._flora.page}/playground/api{path}"
        response = httpx.request(method, url, timeout=30, **options)
        assert response.status_code < 300, response.text
        return response.json() if response.content else None

    def do(self, action: str, **body: Any) -> Any:
        return self._page("POST", f"/{action}", json=body)

    def _acting(self, action: str, user: str, channel: str, **body: Any) -> Any:
        return self.do(action, user=user, guild=self.id, channel=channel, **body)

    def registered(self, command: str) -> None:
        def known() -> bool:
            guild = next(each for each in self._page("GET", "/state")["guilds"] if each["id"] == self.id)
            return any(each["name"] == command for each in guild["commands"])

        eventually(known, f"/{command} is registered", 30.0)

    def say(self, text: str, user: str = "ann", channel: str = "general") -> list[Json]:
        """What the bot answers."""
        if text.startswith("/"):
            self.registered(text[1:].split(maxsplit=1)[0])
        answers: list[Json] = self._acting("say", user, channel, text=text, wait=20)["answers"]
        return answers

    def told(self, text: str, user: str = "ann", channel: str = "general") -> str:
        answers = self.say(text, user, channel)
        assert answers, f"no answer to {text}"
        return str(answers[0]["content"])

    def write(self, text: str, user: str = "ann") -> Json:
        """A message that nobody waits for."""
        message: Json = self._acting("say", user, "general", text=text)["message"]
        return message

    def click(self, message: Json, label: str, user: str) -> Json:
        found = [
            each for row in message["components"] for each in row["components"] if each["label"] == label
        ]
        place = next(name for name, key in self.all_channels().items() if key == message["channel_id"])
        custom_id = found[0]["custom_id"]
        click: Json = self._acting("component", user, place, message_id=message["id"], custom_id=custom_id)
        return click

    def submit(self, click: Json, user: str, **values: str) -> None:
        """Fill the form that a click opens."""
        body = {"user": user, "interaction_id": click["interaction_id"], "values": values}
        url = f"{self._flora.page}/playground/api/modal"
        eventually(
            lambda: httpx.post(url, json=body, timeout=30).status_code == 200, "the form is open", 30.0
        )

    def react(self, message: Json, emoji: str, user: str, *, remove: bool = False) -> None:
        self._acting("react", user, "general", message_id=message["id"], emoji=emoji, remove=remove)

    def all_channels(self) -> dict[str, str]:
        guild = next(each for each in self._page("GET", "/state")["guilds"] if each["id"] == self.id)
        return {str(each["name"]): str(each["id"]) for each in guild["channels"]}

    def history(self, channel: str = "general", user: str = "ann") -> list[Json]:
        found: list[Json] = self._page(
            "GET", f"/channels/{self.all_channels()[channel]}/messages", params={"user": user}
        )
        return found

    def until(self, text: str, channel: str = "general", user: str = "ann") -> Json:
        """The message with this text, as soon as somebody sees it."""

        def look() -> Json | None:
            return next((each for each in self.history(channel, user) if text in each["content"]), None)

        return eventually(
            look, f"{text!r} in {[each['content'] for each in self.history(channel, user)]}", 30.0
        )

    def empower(self, user: str) -> None:
        self._page("PUT", f"/guilds/{self.id}/members/{user}", json={"permissions": MODERATOR})

    def role(self, name: str) -> str:
        token = self._flora_token("ann")
        response = httpx.post(
            f"{self._flora.page}/api/v10/guilds/{self.id}/roles",
            headers={"authorization": token},
            json={"name": name},
            timeout=30,
        )
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def roles_of(self, user_id: str) -> list[str]:
        response = httpx.get(
            f"{self._flora.page}/api/v10/guilds/{self.id}/members/{user_id}",
            headers={"authorization": self._flora_token("ann")},
            timeout=30,
        )
        roles: list[str] = response.json()["roles"]
        return roles

    @staticmethod
    def _flora_token(name: str) -> str:
        from flora.playground.demo import HUMAN_TOKENS

        return HUMAN_TOKENS[name]

    def log(self) -> str:
        return self._flora.guild_log(self.id)


@pytest.fixture(scope="module")
def flora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flora]:
    data = tmp_path_factory.mktemp("examples") / "data"
    with running(data, EGRESS_ALLOW_PRIVATE_ADDRESSES="127.0.0.1/32") as host:
        yield host


def test_every_example_is_here() -> None:
    """One that is added wants a test in this file and in its own folder."""
    examples = {file.parent.name for file in (ROOT / "examples").glob("*/package.json")}
    tested = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}
    assert examples - tested == set()
    for example in examples:
        assert (ROOT / "examples" / example / "README.md").is_file()
        assert list((ROOT / "examples" / example).rglob("*.test.ts"))


def test_basic(flora: Flora) -> None:
    town = Town(flora, "basic")
    assert town.told("!ping a b") == "pong (a b)"
    assert town.told("/counter increment") == "Count is now: 1"


def test_empty(flora: Flora) -> None:
    assert Town(flora, "empty").told("hello", "ben") == "Hello, ben!"


def test_slash(flora: Flora) -> None:
    town = Town(flora, "slash")
    [answer] = town.say("/roll sides:20", "ben")
    assert answer["content"].endswith("of 20.")
    town.click(answer, "Again", "cleo")
    assert town.say("/plant kind:tulip where:pot")[0]["embeds"][0]["title"] == "A tulip in the pot"


def test_moderation(flora: Flora) -> None:
    town = Town(flora, "moderation")
    assert "mind your words" in town.told("Oh HECK no", "ben")
    town.empower("cleo")
    assert "(1 so far)" in town.told("/warn user:ben reason:manners", "cleo")
    assert "(2 so far)" in town.told("/warn user:ben", "cleo")
    assert "a break of 5 minutes" in town.told("/timeout user:ben minutes:5", "cleo")


def test_tags(flora: Flora) -> None:
    town = Town(flora, "tags")
    assert town.told('/tag create name:Rules text:"Be kind."', "ben") == "Made the tag `rules`."
    assert town.told("/tag view name:rules", "cleo") == "Be kind."
    assert "somebody else's" in town.told("/tag delete name:rules", "cleo")
    town.empower("cleo")
    assert town.told("/tag delete name:rules", "cleo") == "Deleted the tag `rules`."


def test_polls(flora: Flora) -> None:
    town = Town(flora, "polls")
    [poll] = town.say('/poll question:"What to drink?" answers:"Tea, Coffee"')

    def card() -> Json:
        shown: Json = next(each for each in town.history() if each["id"] == poll["id"])
        embed: Json = shown["embeds"][0]
        return embed

    town.click(poll, "Tea", "ben")
    eventually(lambda: card()["footer"]["text"] == "1 vote", "ben's counts", 30.0)
    town.click(poll, "Coffee", "cleo")
    eventually(lambda: card()["footer"]["text"] == "2 votes", "cleo's too", 30.0)
    assert "50 % Tea" in card()["description"]
    town.click(poll, "End", "ann")
    eventually(lambda: card()["footer"]["text"] == "2 votes, ended", "it is over", 30.0)


def test_tickets(flora: Flora) -> None:
    town = Town(flora, "tickets")
    helpers = town.role("helpers")
    [panel] = town.say(f"/tickets helpers:{helpers}")
    town.submit(town.click(panel, "Open a ticket", "ben"), "ben", subject="My fern", text="It is sad.")
    told = town.until("Your ticket is here", user="ben")
    assert re.search(r"<#\d+>", told["content"])
    ticket = town.until("**My fern**", "ticket-ben", "ben")
    town.click(ticket, "Close", "ben")
    town.until('The ticket "My fern" was closed by ben.')
    eventually(lambda: "ticket-ben" not in town.all_channels(), "the channel is gone", 30.0)


def test_reaction_roles(flora: Flora) -> None:
    town = Town(flora, "reaction-roles")
    role = town.role("gardeners")
    message = town.write("React!")
    ben = str(town.write("hello", "ben")["author"]["id"])
    assert "🌱 gives" in town.told(f"/roles add message:{message['id']} emoji:🌱 role:{role}")
    town.react(message, "🌱", "ben")
    eventually(lambda: role in town.roles_of(ben), "ben has the role", 30.0)
    town.react(message, "🌱", "ben", remove=True)
    eventually(lambda: role not in town.roles_of(ben), "ben has it no more", 30.0)


def test_levels(flora: Flora) -> None:
    town = Town(flora, "levels")
    ben = str(town.write("hello", "ben")["author"]["id"])

    def earned() -> bool:
        return "level 0 with 15 points, number 1 here" in town.told(f"/rank user:{ben}")

    eventually(earned, "ben has points", 30.0)
    assert "1. " in town.say("/leaderboard")[0]["embeds"][0]["description"]


def test_announcements(flora: Flora) -> None:
    town = Town(flora, "announcements")
    assert town.told("/announcements here", channel="bots") == "Announcements go here now."
    jobs = flora.call("GET", f"/cron/{town.id}").json()["items"]
    assert sorted(job["name"] for job in jobs) == ["good-morning", "look-back"]
    answer = town.told('/announce in:1s text:"The greenhouse opens"')
    assert "It will be announced at" in answer
    town.until("The greenhouse opens", "bots")


@pytest.fixture
def github() -> Iterator[str]:
    """A GitHub with one issue; its URL."""
    issue = {
        "title": "The fern is sad",
        "html_url": "https://github.com/a/b/issues/7",
        "state": "open",
        "body": "Water?",
        "user": None,
        "comments": 2,
        "created_at": "2026-01-01T00:00:00Z",
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/repos/a/b/issues/7"
            body = json.dumps(issue if found else {}).encode()
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_github_links(flora: Flora, github: str) -> None:
    town = Town(flora, "github-links")
    flora.cli("kv", "set", town.id, "settings", "api", github)
    [card] = town.say("see a/b#7 and a/b#8", "ben")[0]["embeds"]
    assert card["title"] == "The fern is sad · a/b#7"
    assert card["footer"]["text"] == "open, 2 comments"
