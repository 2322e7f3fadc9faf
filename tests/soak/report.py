"""The summary of a soak as Markdown."""

from __future__ import annotations

from collections import defaultdict

from bench.report import percentile
from tests.soak.run import Outcome
from tests.soak.vitals import trend

ROWS = (
    ("host_pss", "memory of the host, MiB (PSS)"),
    ("tree_pss", "memory with all its processes, MiB (PSS)"),
    ("descriptors", "descriptors of the host"),
    ("threads", "threads of the host"),
    ("tasks", "Trio tasks"),
    ("processes", "processes beside guilds and PostgreSQL"),
    ("guilds", "guild processes"),
)


def markdown(outcome: Outcome) -> str:
    options = outcome.options
    verdict = "passed" if not outcome.problems else f"**{len(outcome.problems)} problems**"
    lines = [
        f"Soak of {outcome.seconds / 60:.1f} minutes, seed {options.seed}: {verdict}. "
        f"{options.guilds} guilds, {outcome.said} messages, {outcome.lives} lives of the host.",
        "",
    ]
    if outcome.latencies:
        p50, p99 = (percentile(outcome.latencies, share) for share in (0.5, 0.99))
        lines += [
            f"From a message to its answer: p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest "
            f"{max(outcome.latencies) / 1000:.1f} s, with all that happened meanwhile. "
            f"{outcome.tasks} tasks ran, {outcome.repeated_tasks} of them again after a kill; "
            f"{outcome.replays} events were started again.",
            "",
        ]
    actions: defaultdict[str, list[str]] = defaultdict(list)
    for (action, how), count in sorted(outcome.actions.items()):
        actions[action].append(f"{count} x {how}" if how else str(count))
    lines += ["| what happened | how often |", "|---|---|"]
    lines += [f"| {action} | {', '.join(counts)} |" for action, counts in actions.items()]
    if outcome.looks:
        first, last = outcome.looks[0], outcome.looks[-1]
        lines += ["", "| in the last life | at first | at the end | highest |", "|---|---:|---:|---:|"]
        for name, title in ROWS:
            highest = max(getattr(each, name) for each in outcome.looks)
            values = " | ".join(
                f"{value:.0f}" for value in (getattr(first, name), getattr(last, name), highest)
            )
            lines.append(f"| {title} | {values} |")
        secs = last.at - first.at
        lines += [
            "",
            f"Trend of the host's memory over these {secs:.0f} s: {trend(outcome.looks):+.0f} MiB an hour.",
        ]
    counted = ", ".join(f"{count} {name}" for name, count in outcome.history.most_common())
    lines += ["", f"Event log: {counted or 'not read'}.", ""]
    lines += [f"- {problem}" for problem in outcome.problems]
    return "\n".join(lines).rstrip() + "\n"
