-- Tokens for the HTTP API. Of the token itself only its hash is kept.
create table api_tokens (
    id           text primary key,          -- the token's public first half
    sha256       bytea not null unique check (octet_length(sha256) = 32),
    user_id      text not null,
    label        text not null,
    rights       text not null check (rights in ('read', 'deploy', 'admin')),
    guild_ids    text[],                    -- null: every guild that the user may manage
    created_at   timestamptz not null default now(),
    expires_at   timestamptz,
    last_used_at timestamptz
);

create index api_tokens_user on api_tokens (user_id, created_at desc);
create index api_tokens_expiry on api_tokens (expires_at) where expires_at is not null;
