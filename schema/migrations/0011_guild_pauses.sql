-- Guilds whose script was stopped by hand and stays stopped, also over restarts, until somebody resumes it.
create table guild_pauses (
    guild_id  text primary key,
    paused_at timestamptz not null default now(),
    kind      text not null check (kind in ('operator', 'token', 'session')),
    user_id   text,
    username  text
);
