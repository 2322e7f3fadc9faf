"""The bot's first answer to an interaction. The token in the path is all the authorization there is."""

from __future__ import annotations

from flora.playground.actions import interactions as actions
from flora.playground.drafts import MessageDraft, read_draft
from flora.playground.forms import Form
from flora.playground.rest.context import model, no_content, query_flag, read_message, reply
from flora.playground.web import Answer, Routes

routes = Routes()
_WITH_MESSAGE = (actions.REPLY, actions.DEFERRED_REPLY, actions.UPDATE)


@routes.post("/interactions/<interaction_id>/<token>/callback")
async def callback(interaction_id: str, token: str) -> Answer:
    value, uploads = await read_message()
    interaction = actions.waiting(model(), interaction_id, token)
    form = Form(value)
    kind = form.choice("type", actions.CALLBACK_TYPES, required=True)
    form.finish()
    data = form.data.get("data")
    draft: MessageDraft | None = None
    if kind in _WITH_MESSAGE:
        old_flags = interaction.source.flags if interaction.source and kind == actions.UPDATE else 0
        draft = read_draft(data or {}, uploads, allowed_flags=actions.CALLBACK_FLAGS, old_flags=old_flags)
    message = actions.respond(model(), interaction, kind or 0, draft, data)
    if query_flag("with_response"):
        return reply(actions.callback_json(interaction, message))
    return no_content()
