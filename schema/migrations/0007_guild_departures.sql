-- What a gateway session was identified with, so that a host that resumes it knows what it will be sent.
-- 0: not known.
alter table gateway_cursors add column intents bigint not null default 0;

-- Guilds that the bot has left. Their data is kept until data_retention_days after left_at.
create table guild_departures (
    bot_id   text not null,
    guild_id text not null,
    left_at  timestamptz not null default now(),
    primary key (bot_id, guild_id)
);
