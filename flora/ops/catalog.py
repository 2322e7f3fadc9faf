"""The ops that are one request each. The names are those of the SDK's `rest` methods.

A `payload` is Discord's own JSON (`rate_limit_per_user`), passed on for Discord to judge.
Source: Discord API Reference; the names and arguments of the original's ops: flora.md 3.4.
"""

from __future__ import annotations

from typing import Any

from flora.ops.arguments import Id
from flora.ops.calls import call, maybe

Payload = dict[str, Any]
Payloads = list[dict[str, Any]]

# ------------------------------------------------------------------------------------------- messages

M = "/channels/{channel_id}/messages"
PAGE = {"before": Id, "after": Id, "limit": int}

call("fetch_message", f"GET {M}/{{message_id}}")
call("fetch_messages", f"GET {M}", query={**PAGE, "around": Id})
call("delete_message", f"DELETE {M}/{{message_id}}", reason=True)
call("crosspost_message", f"POST {M}/{{message_id}}/crosspost")
call("pin_message", f"PUT {M}/pins/{{message_id}}", reason=True)
call("unpin_message", f"DELETE {M}/pins/{{message_id}}", reason=True)
call("fetch_pins", f"GET {M}/pins", query={"before": str, "limit": int})
call(
    "search_messages",
    "GET /guilds/{guild_id}/messages/search",
    query={
        "content": str,
        "slop": int,
        "channel_id": list[Id],
        "author_id": list[Id],
        "author_type": list[str],
        "mentions": list[Id],
        "mention_everyone": bool,
        "has": list[str],
        "pinned": bool,
        "min_id": Id,
        "max_id": Id,
        "limit": int,
        "offset": int,
        "sort_by": str,
        "sort_order": str,
    },
)
call("trigger_typing", "POST /channels/{channel_id}/typing")
call("end_poll", "POST /channels/{channel_id}/polls/{message_id}/expire")
call(
    "fetch_poll_voters",
    "GET /channels/{channel_id}/polls/{message_id}/answers/{answer_id}",
    query={"after": Id, "limit": int},
)

# ------------------------------------------------------------------------------------------ reactions

R = f"{M}/{{message_id}}/reactions"

call("add_reaction", f"PUT {R}/{{emoji}}/@me")
call("fetch_reactions", f"GET {R}/{{emoji}}", query={"after": Id, "limit": int, "type": int})

# ------------------------------------------------------------------------------- interaction responses

W = "/webhooks/{application_id}/{interaction_token}/messages"

call("fetch_original_interaction_response", f"GET {W}/@original")
call("delete_original_interaction_response", f"DELETE {W}/@original")
call("fetch_followup_message", f"GET {W}/{{message_id}}")
call("delete_followup_message", f"DELETE {W}/{{message_id}}")

# ------------------------------------------------------------------------------- application commands

A = "/applications/{application_id}/guilds/{guild_id}/commands"

call("upsert_guild_commands", f"PUT {A}", body="commands", payload=Payloads)
call("create_guild_command", f"POST {A}", body="command", payload=Payload)
call("edit_guild_command", f"PATCH {A}/{{command_id}}", body="command", payload=Payload)
call("delete_guild_command", f"DELETE {A}/{{command_id}}")
call("get_guild_commands", f"GET {A}", query={"with_localizations": bool})
call("get_guild_command", f"GET {A}/{{command_id}}")
call("get_guild_commands_permissions", f"GET {A}/permissions")
call("get_guild_command_permissions", f"GET {A}/{{command_id}}/permissions")

# ------------------------------------------------------------------------------------------- channels

C = "/channels/{channel_id}"

call("fetch_channels", "GET /guilds/{guild_id}/channels")
call("fetch_channel", f"GET {C}")
call("create_channel", "POST /guilds/{guild_id}/channels", body="payload", payload=Payload, reason=True)
call("edit_channel", f"PATCH {C}", body="payload", payload=Payload, reason=True)
call("delete_channel", f"DELETE {C}", reason=True)
call(
    "move_channels",
    "PATCH /guilds/{guild_id}/channels",
    body="positions",
    payload=Payloads,
)
call(
    "edit_channel_permissions",
    f"PUT {C}/permissions/{{overwrite_id}}",
    fields={"type": int, "allow": maybe(str), "deny": maybe(str)},
    reason=True,
)
call("delete_channel_permissions", f"DELETE {C}/permissions/{{overwrite_id}}", reason=True)
call("follow_channel", f"POST {C}/followers", fields={"webhook_channel_id": Id}, reason=True)
call("set_voice_channel_status", f"PUT {C}/voice-status", fields={"status": maybe(str)}, reason=True)
call(
    "send_soundboard_sound",
    f"POST {C}/send-soundboard-sound",
    fields={"sound_id": Id, "source_guild_id": maybe(Id)},
)

# -------------------------------------------------------------------------------------------- threads

THREAD = {"channel_id": "thread_id"}
TM = f"{C}/thread-members"

call("create_thread", f"POST {C}/threads", body="payload", payload=Payload, reason=True)
call(
    "create_thread_from_message",
    f"POST {M}/{{message_id}}/threads",
    body="payload",
    payload=Payload,
    reason=True,
)
call("join_thread", f"PUT {TM}/@me", path=THREAD)
call("leave_thread", f"DELETE {TM}/@me", path=THREAD)
call("add_thread_member", f"PUT {TM}/{{user_id}}", path=THREAD)
call("remove_thread_member", f"DELETE {TM}/{{user_id}}", path=THREAD)
call("fetch_thread_member", f"GET {TM}/{{user_id}}", path=THREAD, query={"with_member": bool})
call(
    "fetch_thread_members",
    f"GET {TM}",
    path=THREAD,
    query={"with_member": bool, "after": Id, "limit": int},
)
call("fetch_active_threads", "GET /guilds/{guild_id}/threads/active")
call("fetch_archived_threads", f"GET {C}/threads/archived/public", query={"before": str, "limit": int})
call(
    "fetch_private_archived_threads",
    f"GET {C}/threads/archived/private",
    query={"before": str, "limit": int},
)
call(
    "fetch_joined_archived_threads",
    f"GET {C}/users/@me/threads/archived/private",
    query={"before": Id, "limit": int},
)

# ----------------------------------------------------------------------------------- members and bans

G = "/guilds/{guild_id}"
U = f"{G}/members/{{user_id}}"

call("fetch_member", f"GET {U}")
call("fetch_members", f"GET {G}/members", query={"after": Id, "limit": int})
call("search_members", f"GET {G}/members/search", query={"query": str, "limit": int})
call("edit_member", f"PATCH {U}", body="payload", payload=Payload, reason=True)
call("edit_current_member", f"PATCH {G}/members/@me", body="payload", payload=Payload, reason=True)
call("kick_member", f"DELETE {U}", reason=True)
call("add_member_role", f"PUT {U}/roles/{{role_id}}", reason=True)
call("remove_member_role", f"DELETE {U}/roles/{{role_id}}", reason=True)
call(
    "ban_member",
    f"PUT {G}/bans/{{user_id}}",
    fields={"delete_message_seconds": maybe(int)},
    reason=True,
)
call("unban_member", f"DELETE {G}/bans/{{user_id}}", reason=True)
call(
    "bulk_ban_members",
    f"POST {G}/bulk-ban",
    fields={"user_ids": list[Id], "delete_message_seconds": maybe(int)},
    reason=True,
)
call("fetch_ban", f"GET {G}/bans/{{user_id}}")
call("fetch_bans", f"GET {G}/bans", query=PAGE)
call("fetch_prune_count", f"GET {G}/prune", query={"days": int, "include_roles": list[Id]})
call(
    "prune_members",
    f"POST {G}/prune",
    fields={
        "days": maybe(int),
        "compute_prune_count": maybe(bool),
        "include_roles": maybe(list[Id]),
    },
    reason=True,
)
call("fetch_voice_state", f"GET {G}/voice-states/{{user_id}}")
call("fetch_current_voice_state", f"GET {G}/voice-states/@me")
call("edit_voice_state", f"PATCH {G}/voice-states/{{user_id}}", body="payload", payload=Payload)
call("edit_current_voice_state", f"PATCH {G}/voice-states/@me", body="payload", payload=Payload)
call("fetch_user", "GET /users/{user_id}", public=True)

# ---------------------------------------------------------------------------------------------- roles

call("fetch_roles", f"GET {G}/roles")
call("fetch_role", f"GET {G}/roles/{{role_id}}")
call("fetch_role_member_counts", f"GET {G}/roles/member-counts")
call("create_role", f"POST {G}/roles", body="payload", payload=maybe(Payload), reason=True)
call("edit_role", f"PATCH {G}/roles/{{role_id}}", body="payload", payload=Payload, reason=True)
call("delete_role", f"DELETE {G}/roles/{{role_id}}", reason=True)
call("move_roles", f"PATCH {G}/roles", body="positions", payload=Payloads, reason=True)

# ------------------------------------------------------------------------------------------ the guild

call("fetch_guild", f"GET {G}", query={"with_counts": bool})
call("edit_guild", f"PATCH {G}", body="payload", payload=Payload, reason=True)
call("fetch_guild_preview", f"GET {G}/preview")
call("fetch_voice_regions", f"GET {G}/regions")
call("fetch_integrations", f"GET {G}/integrations")
call("delete_integration", f"DELETE {G}/integrations/{{integration_id}}", reason=True)
call("fetch_vanity_url", f"GET {G}/vanity-url")
call("fetch_welcome_screen", f"GET {G}/welcome-screen")
call("edit_welcome_screen", f"PATCH {G}/welcome-screen", body="payload", payload=Payload, reason=True)
call("fetch_onboarding", f"GET {G}/onboarding")
call("edit_onboarding", f"PUT {G}/onboarding", body="payload", payload=Payload, reason=True)
call("fetch_widget", f"GET {G}/widget")
call("edit_widget", f"PATCH {G}/widget", body="payload", payload=Payload, reason=True)
call("edit_incident_actions", f"PUT {G}/incident-actions", body="payload", payload=Payload)
call(
    "fetch_audit_log",
    f"GET {G}/audit-logs",
    query={**PAGE, "user_id": Id, "target_id": Id, "action_type": int},
)
call("fetch_templates", f"GET {G}/templates")
call("create_template", f"POST {G}/templates", body="payload", payload=Payload)
call("sync_template", f"PUT {G}/templates/{{code}}")
call("edit_template", f"PATCH {G}/templates/{{code}}", body="payload", payload=Payload)
call("delete_template", f"DELETE {G}/templates/{{code}}")

# -------------------------------------------------------------------------------------------- invites

call("fetch_invites", f"GET {G}/invites")
call("fetch_channel_invites", f"GET {C}/invites")
call("create_invite", f"POST {C}/invites", body="payload", payload=maybe(Payload), reason=True)
call("fetch_invite", "GET /invites/{code}", query={"with_counts": bool, "guild_scheduled_event_id": Id})
call("delete_invite", "DELETE /invites/{code}", reason=True)

# ------------------------------------------------------------------------ emojis, stickers, soundboard

call("fetch_emojis", f"GET {G}/emojis")
call("fetch_emoji", f"GET {G}/emojis/{{emoji_id}}")
call("create_emoji", f"POST {G}/emojis", body="payload", payload=Payload, reason=True)
call("edit_emoji", f"PATCH {G}/emojis/{{emoji_id}}", body="payload", payload=Payload, reason=True)
call("delete_emoji", f"DELETE {G}/emojis/{{emoji_id}}", reason=True)
call("fetch_stickers", f"GET {G}/stickers")
call("fetch_sticker", f"GET {G}/stickers/{{sticker_id}}")
call("edit_sticker", f"PATCH {G}/stickers/{{sticker_id}}", body="payload", payload=Payload, reason=True)
call("delete_sticker", f"DELETE {G}/stickers/{{sticker_id}}", reason=True)
call("fetch_soundboard_sounds", f"GET {G}/soundboard-sounds")
call("fetch_soundboard_sound", f"GET {G}/soundboard-sounds/{{sound_id}}")
call("create_soundboard_sound", f"POST {G}/soundboard-sounds", body="payload", payload=Payload, reason=True)
call(
    "edit_soundboard_sound",
    f"PATCH {G}/soundboard-sounds/{{sound_id}}",
    body="payload",
    payload=Payload,
    reason=True,
)
call("delete_soundboard_sound", f"DELETE {G}/soundboard-sounds/{{sound_id}}", reason=True)

# ------------------------------------------------------------------- scheduled events, stages, automod

E = f"{G}/scheduled-events"

call("fetch_scheduled_events", f"GET {E}", query={"with_user_count": bool})
call("fetch_scheduled_event", f"GET {E}/{{event_id}}", query={"with_user_count": bool})
call("create_scheduled_event", f"POST {E}", body="payload", payload=Payload, reason=True)
call("edit_scheduled_event", f"PATCH {E}/{{event_id}}", body="payload", payload=Payload, reason=True)
call("delete_scheduled_event", f"DELETE {E}/{{event_id}}")
call("fetch_scheduled_event_users", f"GET {E}/{{event_id}}/users", query={**PAGE, "with_member": bool})

call(
    "create_stage",
    "POST /stage-instances",
    fields={
        "channel_id": Id,
        "topic": str,
        "privacy_level": maybe(int),
        "send_start_notification": maybe(bool),
        "guild_scheduled_event_id": maybe(Id),
    },
    reason=True,
)
call("fetch_stage", "GET /stage-instances/{channel_id}")
call("edit_stage", "PATCH /stage-instances/{channel_id}", body="payload", payload=Payload, reason=True)
call("delete_stage", "DELETE /stage-instances/{channel_id}", reason=True)

RULES = f"{G}/auto-moderation/rules"

call("fetch_automod_rules", f"GET {RULES}")
call("fetch_automod_rule", f"GET {RULES}/{{rule_id}}")
call("create_automod_rule", f"POST {RULES}", body="payload", payload=Payload, reason=True)
call("edit_automod_rule", f"PATCH {RULES}/{{rule_id}}", body="payload", payload=Payload, reason=True)
call("delete_automod_rule", f"DELETE {RULES}/{{rule_id}}", reason=True)

# ------------------------------------------------------------------------------------------- webhooks

call("fetch_webhooks", f"GET {G}/webhooks")
call("fetch_channel_webhooks", f"GET {C}/webhooks")
call("fetch_webhook", "GET /webhooks/{webhook_id}")
call("create_webhook", f"POST {C}/webhooks", body="payload", payload=Payload, reason=True)
