"""What was said and what was answered: nothing lost, nothing twice, nothing out of order."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field

from tests.soak.bot import ANSWER, TASK

SHOWN = 20


@dataclass
class GuildLedger:
    """One guild. Numbers are those of the messages; `waiting` is what it has still to say."""

    said: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    tasks_due: set[int] = field(default_factory=set)
    tasks_done: list[int] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)
    version: int = 0
    strange: list[str] = field(default_factory=list)

    def hear(self, content: str) -> int | None:
        """One answer; returns the number of the message it belongs to, if it is one to a message."""
        if (match := ANSWER.fullmatch(content)) is not None:
            number, self.version = int(match[1]), int(match[2])
            self.answered.append(number)
            self.waiting.discard(f"re {number}")
            return number
        if (match := TASK.fullmatch(content)) is not None:
            self.tasks_done.append(int(match[1]))
            self.waiting.discard(content)
            return None
        self.strange.append(content)
        return None

    def say(self, number: int, *, task: bool) -> None:
        """Before it is said; `task`: it also schedules one."""
        self.said.append(number)
        self.waiting.add(f"re {number}")
        if task:
            self.tasks_due.add(number)
            self.waiting.add(f"task {number}")

    @property
    def repeated_tasks(self) -> int:
        """Tasks that ran more than once, which a kill may cause: their event was handled again."""
        return len(self.tasks_done) - len(set(self.tasks_done))

    def problems(self, name: str) -> list[str]:
        found = [f"{name}: an answer to nothing: {content!r}" for content in self.strange]
        lost = sorted(set(self.said) - set(self.answered))
        twice = [number for number, count in Counter(self.answered).items() if count > 1]
        if lost:
            found.append(f"{name}: {len(lost)} without an answer: {lost[:SHOWN]}")
        if twice:
            found.append(f"{name}: {len(twice)} answered more than once: {twice[:SHOWN]}")
        first = list(dict.fromkeys(self.answered))
        behind = [b for a, b in itertools.pairwise(first) if b < a]
        if behind:
            found.append(f"{name}: {len(behind)} answered out of order: {behind[:SHOWN]}")
        if undone := sorted(self.tasks_due - set(self.tasks_done)):
            found.append(f"{name}: {len(undone)} tasks have not run: {undone[:SHOWN]}")
        return found
