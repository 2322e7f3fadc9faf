-- Browser sessions. Of a session's id only its hash is kept, and what Discord gave us is encrypted.
create table sessions (
    sha256       bytea primary key check (octet_length(sha256) = 32),
    user_id      text not null,
    username     text not null,
    global_name  text,
    avatar       text,
    discord      bytea not null, -- nonce and ciphertext: access token, refresh token, when it expires
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null
);

create index sessions_user on sessions (user_id, created_at desc);
create index sessions_expiry on sessions (expires_at);
