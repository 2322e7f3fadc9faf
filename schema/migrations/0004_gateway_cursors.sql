-- Where each gateway shard goes on reading after a restart: everything up to seq is done.
create table gateway_cursors (
    bot_id             text not null,
    shard_id           integer not null,
    shard_count        integer not null,
    session_id         text not null,
    resume_gateway_url text not null,
    seq                bigint not null,
    updated_at         timestamptz not null default now(),
    primary key (bot_id, shard_id)
);
