"""All that a script can do with an interaction, from a person's click through real processes and back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from flora.playground.demo import GREENHOUSE
from tests.e2e.projects import Project
from tests.e2e.running import Flora, eventually

SCRIPT = """
const feedback = modal({
    customId: "feedback",
    title: "Feedback",
    components: [label("Your words").setComponent(inputText("words").setStyle(InputTextStyle.Short))],
    run: async (ctx) => {
        await ctx.defer();
        await ctx.reply(`thanks for: ${ctx.fields.words}`);
        const more = await ctx.followUp("a follow-up");
        if (more === undefined) throw new Error("a follow-up is a message");
        const token = ctx.msg.interactionToken;
        await rest.editFollowupMessage({ token, messageId: more.id, content: "an edited follow-up" });
        const gone = await rest.createFollowupMessage({ token, content: "soon gone" });
        await rest.deleteFollowupMessage({ token, messageId: gone.id });
        await ctx.edit(`${(await ctx.fetchReply()).content}!`);
    },
});

const PLANTS = ["fern", "fennel", "rose"];
const water = slash({
    name: "water",
    description: "Waters a plant",
    options: [{
        name: "plant",
        description: "Which one",
        required: true,
        autocomplete: ({ focused }) => PLANTS.filter((name) => name.startsWith(`${focused.value}`)),
    }],
    run: (ctx) => ctx.reply(`watered the ${ctx.options.plant}`),
});

createBot({
    slashCommands: [water],
    modals: [feedback],
    components: [
        component({ customId: "tell", run: (ctx) => ctx.showModal(feedback) }),
        component({
            customId: "count",
            run: async (ctx) => {
                await ctx.deferUpdate();
                await ctx.edit({ content: "counted", components: [] });
            },
        }),
    ],
    commands: [
        {
            name: "panel",
            run: (ctx) => ctx.reply({
                content: "a panel",
                components: [actionRow().addComponents(
                    button().setCustomId("tell").setLabel("Tell").setStyle(ButtonStyle.Primary),
                    button().setCustomId("count").setLabel("Count").setStyle(ButtonStyle.Secondary),
                )],
            }),
        },
        {
            name: "guild",
            run: async (ctx) => {
                const { name } = await guild.info();
                const here = await guild.channel(ctx.msg.channelId);
                const sees = await guild.can("ViewChannel", { channelId: ctx.msg.channelId });
                const { roles } = await guild.me();
                const member = await guild.member(ctx.msg.author.id);
                const known = `${sees} ${Array.isArray(roles)} ${member.user?.username}`;
                await ctx.reply(`${name} #${here?.name} ${known}`);
            },
        },
        {
            name: "tidy",
            run: async (ctx) => {
                const channelId = ctx.msg.channelId;
                const sent: RawMessage[] = [];
                for (const content of ["a", "b", "c"]) {
                    sent.push(await rest.sendMessage({ channelId, content }));
                }
                const [first] = sent;
                await rest.pinMessage({ channelId, messageId: first!.id });
                const pins = await rest.fetchPins({ channelId });
                const message = { channelId, messageId: first!.id };
                await rest.addReaction({ ...message, emoji: "🌱" });
                const users = await rest.fetchReactions({ ...message, emoji: "🌱" });
                await rest.removeReaction({ ...message, emoji: "🌱" });
                await rest.bulkDeleteMessages({ channelId, messageIds: sent.map((each) => each.id) });
                const left = await rest.fetchMessages({ channelId, limit: 3 });
                const gone = left.every((each) => !sent.some((other) => other.id === each.id));
                await ctx.reply(`pinned ${pins.items.length}, reacted ${users.length}, gone ${gone}`);
            },
        },
    ],
});
"""


class Person:
    """ann in the greenhouse's #general, through the page's own API."""

    def __init__(self, flora: Flora) -> None:
        self._url = f"{flora.page}/playground/api"
        guild = next(each for each in self.get("/state")["guilds"] if each["id"] == GREENHOUSE)
        self._channel = next(each["id"] for each in guild["channels"] if each["name"] == "general")

    def get(self, path: str) -> Any:
        return httpx.get(f"{self._url}{path}", timeout=10).raise_for_status().json()

    def do(self, action: str, **body: Any) -> Any:
        place = {"user": "ann", "guild": "Greenhouse", "channel": "general"}
        response = httpx.post(f"{self._url}/{action}", json={**place, **body}, timeout=10)
        assert response.status_code == 200, response.text
        return response.json()

    def contents(self) -> list[str]:
        messages = self.get(f"/channels/{self._channel}/messages?user=ann")
        return [each["content"] for each in messages]

    def panel(self) -> str:
        answers = self.do("say", text="!panel", wait=10)["answers"]
        return str(answers[0]["id"])

    def until(self, *wanted: str) -> None:
        eventually(lambda: all(each in self.contents() for each in wanted), f"{wanted} in {self.contents()}")


@pytest.fixture(scope="module")
def person(flora: Flora, tmp_path_factory: pytest.TempPathFactory) -> Person:
    flora.deploy(GREENHOUSE, Project.write(tmp_path_factory.mktemp("panel"), main=SCRIPT))
    return Person(flora)


def test_a_button_opens_a_modal_whose_answer_is_deferred_edited_and_followed_up(person: Person) -> None:
    click = person.do("component", message_id=person.panel(), custom_id="tell")
    sent = {"interaction_id": click["interaction_id"], "values": {"words": "more ferns"}}

    def submit() -> bool:
        response = httpx.post(f"{person._url}/modal", json={"user": "ann", **sent}, timeout=10)
        return response.status_code == 200  # refused until the modal is open

    eventually(submit, "the modal is open")
    person.until("thanks for: more ferns!", "an edited follow-up")
    assert "soon gone" not in person.contents()


def test_a_button_edits_the_message_it_sits_on(person: Person) -> None:
    person.do("component", message_id=person.panel(), custom_id="count")
    person.until("counted")


def test_an_option_is_completed_while_it_is_typed(person: Person, flora: Flora) -> None:
    def command() -> Any:
        guild = next(each for each in person.get("/state")["guilds"] if each["id"] == GREENHOUSE)
        return next((each for each in guild["commands"] if each["name"] == "water"), None)

    registered = eventually(command, "the command is registered")
    option = {"name": "plant", "type": 3, "value": "fe", "focused": True}
    answer = person.do("autocomplete", command_id=registered["id"], options=[option])
    assert [each["value"] for each in answer["choices"]] == ["fern", "fennel"]
    assert "watered the fern" in flora.say("/water plant:fern", guild="Greenhouse")


def test_a_script_knows_its_guild(flora: Flora, person: Person) -> None:
    assert "Greenhouse #general true true ann" in flora.say("!guild", guild="Greenhouse")


def test_messages_are_pinned_reacted_to_and_deleted_at_once(flora: Flora, person: Person) -> None:
    assert "pinned 1, reacted 1, gone true" in flora.say("!tidy", guild="Greenhouse")
