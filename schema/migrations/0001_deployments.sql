-- What guilds run, and how it came to be.

-- Content-addressed: a project deployed a hundred times, or in a hundred guilds, is one row.
-- Texts are UTF-8 bytes, since a script may hold U+0000, which the type text cannot.
create table bundles (
    sha256      bytea primary key check (octet_length(sha256) = 32),
    entry_point text not null,
    code        bytea not null,
    source_map  bytea not null,
    files       bytea not null, -- JSON: [{"path": ..., "contents": ...}]
    used_at     timestamptz not null default now()
);

create table revisions (
    id               uuid primary key,
    number           bigint generated always as identity, -- the order of history, whatever the clock does
    guild_id         text not null,
    entry_point      text not null,
    status           text not null check (status in ('success', 'failed')),
    deployed_at      timestamptz not null default now(),
    source           text not null check (source in ('cli', 'webui', 'bootstrap', 'api', 'unknown')),
    actor_kind       text not null check (actor_kind in ('session', 'token', 'system', 'operator')),
    actor_user_id    text,
    actor_username   text,
    error            text,
    build_id         text,
    base_revision_id uuid references revisions (id) on delete set null,
    added_files      integer,
    removed_files    integer,
    modified_files   integer,
    bundle_sha256    bytea not null references bundles (sha256)
);

create index revisions_history on revisions (guild_id, number desc);
create index revisions_bundle on revisions (bundle_sha256);
create index revisions_base on revisions (base_revision_id);

-- The revision that a guild runs now.
create table deployments (
    guild_id    text primary key,
    revision_id uuid not null unique references revisions (id),
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now()
);
