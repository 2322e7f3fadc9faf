"""One call of every op that asks Discord, and the request that it is."""

from __future__ import annotations

from typing import Any

from tests.ops.world import (
    CHANNEL,
    GUILD,
    INTERACTION,
    INVITE,
    MEMBER,
    OTHER_CHANNEL,
    THREAD,
    TOKEN,
    WEBHOOK,
)

Args = dict[str, Any]

REASON = "spring"
WHY: Args = {"reason": REASON}
IN: Args = {"channelId": CHANNEL}
MESSAGE_OF: Args = {**IN, "messageId": "130"}
IN_THREAD: Args = {"threadId": THREAD}
OF: Args = {"userId": MEMBER}
BY_TOKEN: Args = {"token": TOKEN}
TO: Args = {"interactionId": INTERACTION, **BY_TOKEN}
BY_WEBHOOK: Args = {"webhookId": WEBHOOK, "token": "wtoken"}

EXAMPLES: dict[str, tuple[Args, str]] = {
    "send_message": ({**IN, "content": "hi", "embeds": [{"title": "t"}]}, "POST /channels/120/messages"),
    "edit_message": ({**MESSAGE_OF, "content": "hi"}, "PATCH /channels/120/messages/130"),
    "delete_message": ({**MESSAGE_OF, **WHY}, "DELETE /channels/120/messages/130"),
    "bulk_delete_messages": (
        {**IN, "messageIds": ["130", "131"], **WHY},
        "POST /channels/120/messages/bulk-delete",
    ),
    "forward_message": ({**MESSAGE_OF, "toChannelId": OTHER_CHANNEL}, "POST /channels/121/messages"),
    "crosspost_message": (MESSAGE_OF, "POST /channels/120/messages/130/crosspost"),
    "fetch_message": (MESSAGE_OF, "GET /channels/120/messages/130"),
    "fetch_messages": ({**IN, "limit": 50, "before": "130"}, "GET /channels/120/messages"),
    "search_messages": (
        {"content": "fern", "authorId": [MEMBER], "channelId": [CHANNEL], "has": ["image"], "limit": 5},
        "GET /guilds/100/messages/search",
    ),
    "pin_message": ({**MESSAGE_OF, **WHY}, "PUT /channels/120/messages/pins/130"),
    "unpin_message": ({**MESSAGE_OF, **WHY}, "DELETE /channels/120/messages/pins/130"),
    "fetch_pins": (
        {**IN, "limit": 5, "before": "2026-01-01T00:00:00+00:00"},
        "GET /channels/120/messages/pins",
    ),
    "trigger_typing": (IN, "POST /channels/120/typing"),
    "end_poll": (MESSAGE_OF, "POST /channels/120/polls/130/expire"),
    "fetch_poll_voters": ({**MESSAGE_OF, "answerId": 1, "limit": 5}, "GET /channels/120/polls/130/answers/1"),
    "add_reaction": (
        {**MESSAGE_OF, "emoji": "fern:180"},
        "PUT /channels/120/messages/130/reactions/fern:180/@me",
    ),
    "remove_reaction": (
        {**MESSAGE_OF, **OF, "emoji": "🌱"},
        "DELETE /channels/120/messages/130/reactions/🌱/160",
    ),
    "clear_reactions": ({**MESSAGE_OF, "emoji": "🌱"}, "DELETE /channels/120/messages/130/reactions/🌱"),
    "fetch_reactions": (
        {**MESSAGE_OF, "emoji": "🌱", "limit": 5, "type": 0},
        "GET /channels/120/messages/130/reactions/🌱",
    ),
    "send_interaction_response": (
        {**TO, "content": "hi", "ephemeral": True},
        "POST /interactions/150/token-of-garden/callback",
    ),
    "defer_interaction_response": (
        {**TO, "ephemeral": True},
        "POST /interactions/150/token-of-garden/callback",
    ),
    "defer_interaction_update": (TO, "POST /interactions/150/token-of-garden/callback"),
    "update_interaction_response": (
        {**TO, "content": "hi"},
        "POST /interactions/150/token-of-garden/callback",
    ),
    "show_modal": (
        {
            **TO,
            "customId": "m",
            "title": "t",
            "components": [
                {"type": 18, "label": "Name", "component": {"type": 4, "custom_id": "n", "style": 1}}
            ],
        },
        "POST /interactions/150/token-of-garden/callback",
    ),
    "send_autocomplete_response": (
        {**TO, "choices": [{"name": "fern", "value": "f", "nameLocalizations": {"de": "Farn"}}]},
        "POST /interactions/150/token-of-garden/callback",
    ),
    "fetch_original_interaction_response": (BY_TOKEN, "GET /webhooks/10/token-of-garden/messages/@original"),
    "edit_original_interaction_response": (
        {**BY_TOKEN, "content": "hi"},
        "PATCH /webhooks/10/token-of-garden/messages/@original",
    ),
    "delete_original_interaction_response": (
        BY_TOKEN,
        "DELETE /webhooks/10/token-of-garden/messages/@original",
    ),
    "create_followup_message": ({**BY_TOKEN, "content": "hi"}, "POST /webhooks/10/token-of-garden"),
    "fetch_followup_message": (
        {**BY_TOKEN, "messageId": "130"},
        "GET /webhooks/10/token-of-garden/messages/130",
    ),
    "edit_followup_message": (
        {**BY_TOKEN, "messageId": "130", "content": "hi"},
        "PATCH /webhooks/10/token-of-garden/messages/130",
    ),
    "delete_followup_message": (
        {**BY_TOKEN, "messageId": "130"},
        "DELETE /webhooks/10/token-of-garden/messages/130",
    ),
    "upsert_guild_commands": (
        {"commands": [{"name": "water", "description": "Waters"}]},
        "PUT /applications/10/guilds/100/commands",
    ),
    "create_guild_command": (
        {"command": {"name": "water", "description": "Waters"}},
        "POST /applications/10/guilds/100/commands",
    ),
    "edit_guild_command": (
        {"commandId": "190", "command": {"name": "water", "description": "Waters"}},
        "PATCH /applications/10/guilds/100/commands/190",
    ),
    "delete_guild_command": ({"commandId": "190"}, "DELETE /applications/10/guilds/100/commands/190"),
    "get_guild_commands": ({"withLocalizations": True}, "GET /applications/10/guilds/100/commands"),
    "get_guild_command": ({"commandId": "190"}, "GET /applications/10/guilds/100/commands/190"),
    "edit_guild_command_permissions": (
        {"commandId": "190", "permissions": [{"id": "170", "type": 1, "permission": True}]},
        "PUT /applications/10/guilds/100/commands/190/permissions",
    ),
    "get_guild_commands_permissions": ({}, "GET /applications/10/guilds/100/commands/permissions"),
    "get_guild_command_permissions": (
        {"commandId": "190"},
        "GET /applications/10/guilds/100/commands/190/permissions",
    ),
    "fetch_channels": ({}, "GET /guilds/100/channels"),
    "fetch_channel": (IN, "GET /channels/120"),
    "create_channel": (
        {"payload": {"name": "herbs", "type": 0, "parent_id": OTHER_CHANNEL}, **WHY},
        "POST /guilds/100/channels",
    ),
    "edit_channel": ({**IN, "payload": {"name": "herbs"}, **WHY}, "PATCH /channels/120"),
    "delete_channel": ({**IN, **WHY}, "DELETE /channels/120"),
    "move_channels": ({"positions": [{"id": CHANNEL, "position": 1}]}, "PATCH /guilds/100/channels"),
    "edit_channel_permissions": (
        {**IN, "overwriteId": "170", "type": 0, "allow": "1024", **WHY},
        "PUT /channels/120/permissions/170",
    ),
    "delete_channel_permissions": (
        {**IN, "overwriteId": "170", **WHY},
        "DELETE /channels/120/permissions/170",
    ),
    "follow_channel": (
        {"channelId": OTHER_CHANNEL, "webhookChannelId": CHANNEL, **WHY},
        "POST /channels/121/followers",
    ),
    "set_voice_channel_status": ({**IN, "status": "open", **WHY}, "PUT /channels/120/voice-status"),
    "send_soundboard_sound": (
        {**IN, "soundId": "181", "sourceGuildId": GUILD},
        "POST /channels/120/send-soundboard-sound",
    ),
    "create_thread": ({**IN, "payload": {"name": "weeds", "type": 11}, **WHY}, "POST /channels/120/threads"),
    "create_thread_from_message": (
        {**MESSAGE_OF, "payload": {"name": "weeds"}, **WHY},
        "POST /channels/120/messages/130/threads",
    ),
    "create_forum_post": (
        {**IN, "name": "weeds", "content": "hi", "appliedTags": ["182"], **WHY},
        "POST /channels/120/threads",
    ),
    "join_thread": (IN_THREAD, "PUT /channels/122/thread-members/@me"),
    "leave_thread": (IN_THREAD, "DELETE /channels/122/thread-members/@me"),
    "add_thread_member": ({**IN_THREAD, **OF}, "PUT /channels/122/thread-members/160"),
    "remove_thread_member": ({**IN_THREAD, **OF}, "DELETE /channels/122/thread-members/160"),
    "fetch_thread_member": ({**IN_THREAD, **OF, "withMember": True}, "GET /channels/122/thread-members/160"),
    "fetch_thread_members": ({**IN_THREAD, "limit": 5, "after": "1"}, "GET /channels/122/thread-members"),
    "fetch_active_threads": ({}, "GET /guilds/100/threads/active"),
    "fetch_archived_threads": (
        {**IN, "limit": 5, "before": "2026-01-01T00:00:00Z"},
        "GET /channels/120/threads/archived/public",
    ),
    "fetch_private_archived_threads": (IN, "GET /channels/120/threads/archived/private"),
    "fetch_joined_archived_threads": (
        {**IN, "before": "130"},
        "GET /channels/120/users/@me/threads/archived/private",
    ),
    "fetch_member": (OF, "GET /guilds/100/members/160"),
    "fetch_members": ({"limit": 5, "after": "1"}, "GET /guilds/100/members"),
    "search_members": ({"query": "an", "limit": 5}, "GET /guilds/100/members/search"),
    "edit_member": (
        {**OF, "payload": {"nick": "Ann", "channel_id": CHANNEL}, **WHY},
        "PATCH /guilds/100/members/160",
    ),
    "edit_current_member": ({"payload": {"nick": "Flora"}, **WHY}, "PATCH /guilds/100/members/@me"),
    "kick_member": ({**OF, **WHY}, "DELETE /guilds/100/members/160"),
    "add_member_role": ({**OF, "roleId": "170", **WHY}, "PUT /guilds/100/members/160/roles/170"),
    "remove_member_role": ({**OF, "roleId": "170", **WHY}, "DELETE /guilds/100/members/160/roles/170"),
    "ban_member": ({**OF, "deleteMessageSeconds": 60, **WHY}, "PUT /guilds/100/bans/160"),
    "unban_member": ({**OF, **WHY}, "DELETE /guilds/100/bans/160"),
    "bulk_ban_members": (
        {"userIds": [MEMBER, "161"], "deleteMessageSeconds": 60, **WHY},
        "POST /guilds/100/bulk-ban",
    ),
    "fetch_ban": (OF, "GET /guilds/100/bans/160"),
    "fetch_bans": ({"limit": 5, "after": "1"}, "GET /guilds/100/bans"),
    "fetch_prune_count": ({"days": 7, "includeRoles": ["170", "171"]}, "GET /guilds/100/prune"),
    "prune_members": ({"days": 7, "includeRoles": ["170"], **WHY}, "POST /guilds/100/prune"),
    "fetch_voice_state": (OF, "GET /guilds/100/voice-states/160"),
    "fetch_current_voice_state": ({}, "GET /guilds/100/voice-states/@me"),
    "edit_voice_state": (
        {**OF, "payload": {"channel_id": CHANNEL, "suppress": True}},
        "PATCH /guilds/100/voice-states/160",
    ),
    "edit_current_voice_state": ({"payload": {"channel_id": CHANNEL}}, "PATCH /guilds/100/voice-states/@me"),
    "fetch_user": (OF, "GET /users/160"),
    "fetch_roles": ({}, "GET /guilds/100/roles"),
    "fetch_role": ({"roleId": "170"}, "GET /guilds/100/roles/170"),
    "fetch_role_member_counts": ({}, "GET /guilds/100/roles/member-counts"),
    "create_role": ({"payload": {"name": "Gardener"}, **WHY}, "POST /guilds/100/roles"),
    "edit_role": ({"roleId": "170", "payload": {"name": "G"}, **WHY}, "PATCH /guilds/100/roles/170"),
    "delete_role": ({"roleId": "170", **WHY}, "DELETE /guilds/100/roles/170"),
    "move_roles": ({"positions": [{"id": "170", "position": 2}], **WHY}, "PATCH /guilds/100/roles"),
    "fetch_guild": ({"withCounts": True}, "GET /guilds/100"),
    "edit_guild": ({"payload": {"name": "Garden", "afk_channel_id": CHANNEL}, **WHY}, "PATCH /guilds/100"),
    "fetch_guild_preview": ({}, "GET /guilds/100/preview"),
    "fetch_voice_regions": ({}, "GET /guilds/100/regions"),
    "fetch_integrations": ({}, "GET /guilds/100/integrations"),
    "delete_integration": ({"integrationId": "183", **WHY}, "DELETE /guilds/100/integrations/183"),
    "fetch_vanity_url": ({}, "GET /guilds/100/vanity-url"),
    "fetch_welcome_screen": ({}, "GET /guilds/100/welcome-screen"),
    "edit_welcome_screen": (
        {"payload": {"welcome_channels": [{"channel_id": CHANNEL, "description": "d"}]}, **WHY},
        "PATCH /guilds/100/welcome-screen",
    ),
    "fetch_onboarding": ({}, "GET /guilds/100/onboarding"),
    "edit_onboarding": (
        {"payload": {"default_channel_ids": [CHANNEL], "enabled": True}, **WHY},
        "PUT /guilds/100/onboarding",
    ),
    "fetch_widget": ({}, "GET /guilds/100/widget"),
    "edit_widget": ({"payload": {"enabled": True, "channel_id": CHANNEL}, **WHY}, "PATCH /guilds/100/widget"),
    "edit_incident_actions": (
        {"payload": {"invites_disabled_until": None}},
        "PUT /guilds/100/incident-actions",
    ),
    "fetch_audit_log": ({**OF, "actionType": 22, "limit": 5}, "GET /guilds/100/audit-logs"),
    "fetch_templates": ({}, "GET /guilds/100/templates"),
    "create_template": ({"payload": {"name": "t"}}, "POST /guilds/100/templates"),
    "sync_template": ({"code": "tmpl"}, "PUT /guilds/100/templates/tmpl"),
    "edit_template": ({"code": "tmpl", "payload": {"name": "t"}}, "PATCH /guilds/100/templates/tmpl"),
    "delete_template": ({"code": "tmpl"}, "DELETE /guilds/100/templates/tmpl"),
    "fetch_invites": ({}, "GET /guilds/100/invites"),
    "fetch_channel_invites": (IN, "GET /channels/120/invites"),
    "create_invite": ({**IN, "payload": {"max_age": 60}, **WHY}, "POST /channels/120/invites"),
    "fetch_invite": ({"code": INVITE, "withCounts": True}, "GET /invites/garden"),
    "delete_invite": ({"code": INVITE, **WHY}, "DELETE /invites/garden"),
    "fetch_emojis": ({}, "GET /guilds/100/emojis"),
    "fetch_emoji": ({"emojiId": "184"}, "GET /guilds/100/emojis/184"),
    "create_emoji": (
        {"payload": {"name": "fern", "image": "data:image/png;base64,AA=="}, **WHY},
        "POST /guilds/100/emojis",
    ),
    "edit_emoji": ({"emojiId": "184", "payload": {"name": "fern"}, **WHY}, "PATCH /guilds/100/emojis/184"),
    "delete_emoji": ({"emojiId": "184", **WHY}, "DELETE /guilds/100/emojis/184"),
    "fetch_stickers": ({}, "GET /guilds/100/stickers"),
    "fetch_sticker": ({"stickerId": "185"}, "GET /guilds/100/stickers/185"),
    "create_sticker": (
        {"name": "fern", "tags": "🌱", "file": {"filename": "f.png", "data": "AA=="}, **WHY},
        "POST /guilds/100/stickers",
    ),
    "edit_sticker": (
        {"stickerId": "185", "payload": {"name": "fern"}, **WHY},
        "PATCH /guilds/100/stickers/185",
    ),
    "delete_sticker": ({"stickerId": "185", **WHY}, "DELETE /guilds/100/stickers/185"),
    "fetch_soundboard_sounds": ({}, "GET /guilds/100/soundboard-sounds"),
    "fetch_soundboard_sound": ({"soundId": "181"}, "GET /guilds/100/soundboard-sounds/181"),
    "create_soundboard_sound": (
        {"payload": {"name": "rain", "sound": "data:audio/ogg;base64,AA=="}, **WHY},
        "POST /guilds/100/soundboard-sounds",
    ),
    "edit_soundboard_sound": (
        {"soundId": "181", "payload": {"name": "rain"}, **WHY},
        "PATCH /guilds/100/soundboard-sounds/181",
    ),
    "delete_soundboard_sound": ({"soundId": "181", **WHY}, "DELETE /guilds/100/soundboard-sounds/181"),
    "fetch_scheduled_events": ({"withUserCount": True}, "GET /guilds/100/scheduled-events"),
    "fetch_scheduled_event": ({"eventId": "186"}, "GET /guilds/100/scheduled-events/186"),
    "create_scheduled_event": (
        {
            "payload": {
                "name": "n",
                "privacy_level": 2,
                "entity_type": 2,
                "channel_id": CHANNEL,
                "scheduled_start_time": "2026-01-01T00:00:00+00:00",
            },
            **WHY,
        },
        "POST /guilds/100/scheduled-events",
    ),
    "edit_scheduled_event": (
        {"eventId": "186", "payload": {"status": 2}, **WHY},
        "PATCH /guilds/100/scheduled-events/186",
    ),
    "delete_scheduled_event": ({"eventId": "186"}, "DELETE /guilds/100/scheduled-events/186"),
    "fetch_scheduled_event_users": (
        {"eventId": "186", "limit": 5, "withMember": True},
        "GET /guilds/100/scheduled-events/186/users",
    ),
    "create_stage": ({**IN, "topic": "t", **WHY}, "POST /stage-instances"),
    "fetch_stage": (IN, "GET /stage-instances/120"),
    "edit_stage": ({**IN, "payload": {"topic": "t"}, **WHY}, "PATCH /stage-instances/120"),
    "delete_stage": ({**IN, **WHY}, "DELETE /stage-instances/120"),
    "fetch_automod_rules": ({}, "GET /guilds/100/auto-moderation/rules"),
    "fetch_automod_rule": ({"ruleId": "187"}, "GET /guilds/100/auto-moderation/rules/187"),
    "create_automod_rule": (
        {
            "payload": {
                "name": "n",
                "event_type": 1,
                "trigger_type": 1,
                "trigger_metadata": {"keyword_filter": ["weed"]},
                "actions": [{"type": 2, "metadata": {"channel_id": CHANNEL}}],
                "exempt_channels": [OTHER_CHANNEL],
            },
            **WHY,
        },
        "POST /guilds/100/auto-moderation/rules",
    ),
    "edit_automod_rule": (
        {"ruleId": "187", "payload": {"name": "n"}, **WHY},
        "PATCH /guilds/100/auto-moderation/rules/187",
    ),
    "delete_automod_rule": ({"ruleId": "187", **WHY}, "DELETE /guilds/100/auto-moderation/rules/187"),
    "fetch_webhooks": ({}, "GET /guilds/100/webhooks"),
    "fetch_channel_webhooks": (IN, "GET /channels/120/webhooks"),
    "fetch_webhook": ({"webhookId": WEBHOOK}, "GET /webhooks/140"),
    "create_webhook": ({**IN, "payload": {"name": "w"}, **WHY}, "POST /channels/120/webhooks"),
    "execute_webhook": (
        {
            **BY_WEBHOOK,
            "content": "hi",
            "wait": True,
            "threadId": THREAD,
            "username": "Rose",
            "avatarUrl": "https://x.test/a.png",
        },
        "POST /webhooks/140/wtoken",
    ),
    "edit_webhook": (
        {"webhookId": WEBHOOK, "payload": {"name": "w", "channel_id": CHANNEL}, **WHY},
        "PATCH /webhooks/140",
    ),
    "delete_webhook": ({**BY_WEBHOOK, **WHY}, "DELETE /webhooks/140/wtoken"),
    "fetch_webhook_message": (
        {**BY_WEBHOOK, "messageId": "130", "threadId": THREAD},
        "GET /webhooks/140/wtoken/messages/130",
    ),
    "edit_webhook_message": (
        {**BY_WEBHOOK, "messageId": "130", "content": "hi"},
        "PATCH /webhooks/140/wtoken/messages/130",
    ),
    "delete_webhook_message": (
        {**BY_WEBHOOK, "messageId": "130"},
        "DELETE /webhooks/140/wtoken/messages/130",
    ),
}
