-- Every write that came in through the HTTP API: who, what, to which guild, and how it ended.
create table audit_log (
    id         bigint generated always as identity primary key,
    at         timestamptz not null default now(),
    kind       text not null check (kind in ('operator', 'token', 'session')),
    user_id    text,
    username   text,
    token_id   text,
    address    text not null,
    request_id text not null,
    guild_id   text,
    action     text not null, -- the route's name, such as deployments.rollback
    method     text not null,
    path       text not null,
    status     smallint not null
);

create index audit_log_guild on audit_log (guild_id, id desc) where guild_id is not null;
create index audit_log_user on audit_log (user_id, id desc) where user_id is not null;
create index audit_log_age on audit_log (at);
