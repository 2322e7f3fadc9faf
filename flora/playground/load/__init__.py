"""The load generator: events into many guilds at a given pace, and how long the bots' answers take.

It runs in the playground's own process and writes into the world directly, so an event costs it no HTTP;
an answer counts when it has gone through REST. One run at a time, driven over the control API:

    POST   /playground/api/load       start; answers {"id", "state": "running"}; with "wait": true the result
    GET    /playground/api/load/ID    state and, so far or finally, the result
    DELETE /playground/api/load/ID    stop early; answers the result

The body of POST, all optional:

    patterns     [{"kind": "message", "text": "!ping {tag}"}]; see below
    rate         events per second, open loop: an event is due at its time, whatever became of those before
    in_flight    closed loop: so many events wait for their answers, each answer brings the next event.
                 One of the two; by default in_flight 1. In the closed loop events that expect no answer go
                 as fast as the gateway takes them, which measures the gateway alone.
    duration     seconds that count, by default 10
    warmup       seconds before them that do not, by default 1
    timeout      seconds after which an event counts as not answered, by default 10; also the longest wait
                 for the last answers
    guilds       a number (the first so many that the bot is in; those that lack are made, named "Load N") or
                 a list of names or ids. By default 1.
    channel      name of the channel in each guild, by default general
    users        a list of names or ids, by default ["ann"]; they are put into the guilds where they are not
    seed         for everything that is drawn, by default 0
    keep         messages that a channel keeps meanwhile, by default 100
    rate_limit_scale   of REST for the time of the run, by default 10,000; 0 is no limits and no headers

A pattern, of which each event is one, drawn by `weight` (by default 1):

    name         in the result, by default its kind
    kind         message   `text` by a user; `{tag}` in it becomes a word such as L17
                 slash     `text` is a command line such as "/hello name:you"; it must be registered
                 typing    a user is typing
                 reaction  a user reacts to a message of the channel, or takes it back
                 event     the gateway event `event` with `data`, guild_id and channel_id added
    padding      bytes that are added to a message, by default 0: text up to 2000, embeds beyond it
    answers      whether an answer is expected; by default so for message and slash
    guilds       only these of the run's, as indexes; by default all

Which answer belongs to which event: of a slash command by the interaction; of a message by the message that
it replies to, else by a tag in its content, else it is the longest waiting of its channel (`correlated`
counts each way). A deferred answer counts when it is filled.

The result:

    sent, answered, seconds                  within the time that counts
    sent_per_sec, answered_per_sec
    sustained        at least 99 % were answered in time and what waits did not grow; null in the closed loop
    latency_ms       {count, mean, p50, p90, p99, p999, max} from the time an event was due to its answer
    service_ms       the same from the time it was sent; the difference is the generator's own lateness
    lag_ms           that lateness
    errors           {timeouts, expired, unmatched}: no answer in time; a slash command that Discord gave up
                     on after three seconds; an answer to nothing
    backlog          gateway: frames that no client has taken yet; waiting: events without their answer;
                     each {max, end, per_sec}, `per_sec` how it grew over the second half
    cpu_secs         of the playground's process, REST and gateway included, in `seconds`
    ceiling_per_sec  events per second at which this process would be busy all the time: sent / cpu_secs
    patterns         {name: {sent, answered, latency_ms, timeouts}}
    samples          [[seconds, sent, answered, waiting, gateway frames]] every quarter of a second
    stopped          why it ended early, or null
"""

from __future__ import annotations

from flora.playground.load.plan import Pattern, Plan, read_plan
from flora.playground.load.run import Run

__all__ = ["Pattern", "Plan", "Run", "read_plan"]
