"""The part of the control API that changes who and what is there: people, guilds, members, OAuth2 client."""

from __future__ import annotations

from flora.playground import builder, records, voice
from flora.playground.actions import guilds as actions
from flora.playground.control import find_guild, find_user
from flora.playground.errors import Json, PlaygroundRefusedError
from flora.playground.forms import Form
from flora.playground.permissions import guild_permissions
from flora.playground.rest.context import model, no_content, read_json, reply
from flora.playground.web import Answer, Routes

routes = Routes()


@routes.post("/users")
async def add_user() -> Answer:
    """A new person: `username`, `global_name`. Answers the user with the token that acts as them in REST."""
    form = Form(await read_json())
    username = form.text("username", least=2, most=32, required=True)
    global_name = form.text("global_name", most=32)
    form.finish()
    user = builder.add_person(model(), username or "", global_name)
    return reply(user.json() | {"token": user.token}, 201)


@routes.post("/guilds")
async def add_guilds() -> Answer:
    """`count` new guilds called `name` (with a number when there are several) of `owner`, with the bot unless
    `bot` is false. Answers each with its channels.
    """
    form = Form(await read_json())
    name = form.text("name", least=2, most=90) or "Guild"
    count = form.integer("count", least=1, most=builder.MAX_GUILDS) or 1
    with_bot = form.boolean("bot", default=True)
    form.finish()
    owner = find_user(form.data.get("owner"))
    names = [name] if count == 1 else [f"{name} {number}" for number in range(1, count + 1)]
    made = [builder.add_guild(model(), each, owner, with_bot=with_bot) for each in names]
    return reply(
        [
            {
                "id": each.id,
                "name": each.name,
                "channels": {one.name: key for key, one in each.channels.items()},
            }
            for each in made
        ],
        201,
    )


@routes.put("/guilds/<guild_id>/members/<user_id>")
async def set_member(guild_id: str, user_id: str) -> Answer:
    """Put a person into a guild with `permissions` (a bit set, as a number or decimal string) and `roles`
    (ids or names); both may be names in the path. Answers the member with the permissions they have now.
    """
    form = Form(await read_json())
    permissions = form.integer("permissions", most=2**53 - 1)
    given = form.data.get("roles")
    form.finish()
    roles = [str(each) for each in given] if isinstance(given, list) else None
    guild, user = find_guild(guild_id), find_user(user_id)
    member = builder.set_member(model(), guild, user, permissions=permissions, roles=roles)
    body: Json = member.json() | {"permissions": str(guild_permissions(guild, user.id))}
    return reply(body)


@routes.delete("/guilds/<guild_id>/members/<user_id>")
async def remove_member(guild_id: str, user_id: str) -> Answer:
    """The person leaves the guild."""
    guild, user = find_guild(guild_id), find_user(user_id)
    model().member(guild, user.id)
    actions.leave_guild(model(), guild, user)
    return no_content()


@routes.put("/guilds/<guild_id>/voice/<user_id>")
async def set_voice(guild_id: str, user_id: str) -> Answer:
    """The person goes into the voice `channel` (an id or a name), or with null out of it."""
    form = Form(await read_json())
    wanted = form.text("channel", most=100)
    form.finish()
    guild, user = find_guild(guild_id), find_user(user_id)
    model().member(guild, user.id)
    found = next((each for each in guild.channels.values() if wanted in (each.id, each.name)), None)
    if wanted is not None and found is None:
        raise PlaygroundRefusedError(f"There is no channel {wanted!r} in {guild.name}.")
    voice.connect(model(), guild, user, None if found is None else found.id)
    return no_content()


@routes.put("/guilds/<guild_id>/scheduled-events/<event_id>/users/<user_id>")
async def set_interested(guild_id: str, event_id: str, user_id: str) -> Answer:
    """The person is `interested` (by default) in a scheduled event, or no more."""
    form = Form(await read_json())
    interested = form.boolean("interested", default=True)
    form.finish()
    guild, user = find_guild(guild_id), find_user(user_id)
    model().member(guild, user.id)
    records.set_interested(model(), guild, event_id, user, interested)
    return no_content()


@routes.get("/oauth2")
async def oauth_client() -> Answer:
    """The application's OAuth2 client, as its page in Discord's developer portal shows it."""
    return _client()


@routes.post("/oauth2")
async def set_redirects() -> Answer:
    """Register `redirect_uris` in place of those before."""
    form = Form(await read_json())
    given = form.data.get("redirect_uris")
    if not isinstance(given, list) or not all(isinstance(each, str) and "://" in each for each in given):
        form.fault("redirect_uris", "LIST_TYPE_CONVERT", "A list of absolute URIs.")
    form.finish()
    model().application.redirect_uris = list(form.data["redirect_uris"])
    return _client()


def _client() -> Answer:
    application = model().application
    return reply(
        {
            "client_id": application.id,
            "client_secret": application.client_secret,
            "redirect_uris": application.redirect_uris,
        }
    )
