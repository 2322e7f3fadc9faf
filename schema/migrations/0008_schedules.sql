-- Cron jobs as the guilds' scripts declare them, one-shot tasks, and how the runs of both ended.

create table cron_jobs (
    guild_id        text not null,
    name            text not null,
    expression      text not null,
    time_zone       text not null,              -- IANA name
    skip_if_running boolean not null,
    catch_up        text not null check (catch_up in ('none', 'latest', 'all')),
    jitter_secs     double precision not null,
    declared_at     timestamptz not null default now(),
    done_until      timestamptz not null,       -- occurrences up to then have ended, or do not count
    removed_at      timestamptz,                -- the script does not declare it any more
    primary key (guild_id, name)
);

create table tasks (
    id         uuid primary key,
    guild_id   text not null,
    key        text not null,
    channel_id text,
    data       bytea not null,                  -- JSON, UTF-8
    due_at     timestamptz not null,
    next_at    timestamptz not null,            -- of the next attempt
    failures   integer not null default 0,      -- attempts that failed
    error      text,                            -- of the last one
    dead_at    timestamptz,                     -- given up then
    created_at timestamptz not null default now(),
    unique (guild_id, key)
);

create index tasks_next on tasks (next_at) where dead_at is null;

create table schedule_runs (
    id           bigint generated always as identity primary key,
    guild_id     text not null,
    kind         text not null check (kind in ('cron', 'task')),
    name         text not null,                 -- the job's name or the task's key
    event_id     text not null,
    trigger      text not null check (trigger in ('schedule', 'catch_up', 'retry', 'manual')),
    attempt      integer not null,
    scheduled_at timestamptz not null,          -- nominal
    started_at   timestamptz not null,          -- when it took its place in the guild's order
    ended_at     timestamptz not null,
    outcome      text not null check (outcome in ('done', 'failed', 'timeout', 'crashed', 'skipped', 'shed')),
    error        text
);

create index schedule_runs_of_one on schedule_runs (guild_id, kind, name, id desc);
create index schedule_runs_of_guild on schedule_runs (guild_id, kind, id desc);
