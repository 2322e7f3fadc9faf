-- What the script that a guild runs declared while it loaded, so that the guild need not be started to know
-- which events and commands are its own. It counts only with the SDK that it was loaded with.
create table guild_manifests (
    guild_id    text primary key references deployments (guild_id) on delete cascade,
    revision_id uuid not null,
    sdk         bytea not null check (octet_length(sdk) = 32), -- SHA-256
    listens     text[] not null,
    commands    bytea,                                         -- JSON, UTF-8; null: it declares none
    timers      boolean not null                               -- whether its top level leaves any pending
);
