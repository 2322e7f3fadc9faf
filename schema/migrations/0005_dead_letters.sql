-- Events that a guild's script could not handle, kept for a look and for another try.
create table dead_letters (
    id       bigint generated always as identity primary key,
    guild_id text not null,
    event_id text not null,
    name     text not null,
    payload  bytea not null, -- what Discord sent: JSON, UTF-8
    attempts integer not null,
    reason   text not null,
    at       timestamptz not null default now(),
    unique (guild_id, event_id)
);

create index dead_letters_guild on dead_letters (guild_id, id desc);
create index dead_letters_age on dead_letters (at);
