-- Whether the next attempt at a task is by hand and not by its time: its history says so, also when flora is
-- restarted in between.
alter table tasks add column hurried boolean not null default false;
