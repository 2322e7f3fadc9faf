-- The application commands that Discord has of us for a guild, so that they are registered once per change
-- and not at every start.
create table guild_commands (
    guild_id      text primary key,
    sha256        bytea not null check (octet_length(sha256) = 32), -- of the JSON that was registered
    registered_at timestamptz not null default now()
);
