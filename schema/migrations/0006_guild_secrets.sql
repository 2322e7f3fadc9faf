-- Secrets of guilds, encrypted; their master keys are known here by name and check value only.

create table secret_keys (
    id          text primary key,           -- derived from the key
    check_value bytea not null check (octet_length(check_value) = 32),
    created_at  timestamptz not null default now()
);

create table guild_secrets (
    id            uuid primary key,         -- part of the placeholder that a script sees
    guild_id      text not null,
    name          text not null,
    tag           text not null,            -- the placeholder's other part, kept when the key is rotated
    key_id        text not null references secret_keys (id),
    nonce         bytea not null check (octet_length(nonce) = 24),
    ciphertext    bytea not null,           -- XChaCha20-Poly1305, bound to guild_id and name
    allowed_hosts text[] not null,          -- empty: none
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    unique (guild_id, name)
);

create index guild_secrets_key on guild_secrets (key_id);
