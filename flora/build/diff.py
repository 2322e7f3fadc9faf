"""The difference between two texts, line by line, with a bound on what it costs.

Python's `difflib` looks for longest blocks, which on lines that repeat takes quadratic time and more: a pair
of files can be made to cost hours. This is the greedy algorithm of E. Myers, "An O(ND) Difference Algorithm
and Its Variations" (1986), which git has too, and it counts its steps: once a `Budget` is used up, what has
not been matched counts as replaced as a whole, which is a correct difference, only not the shortest.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

CONTEXT_LINES: Final = 3
STEPS: Final = 2_000_000
"""About a second of one processor. Two versions of a project need some thousands."""
NO_NEWLINE: Final = "\\ No newline at end of file"


@dataclass(slots=True)
class Budget:
    """Steps that are left for one comparison, of as many files as it has."""

    steps: int = STEPS


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines `old` to `old_end` are replaced by `new` to `new_end`, counted from 0, ends excluded."""

    old: int
    old_end: int
    new: int
    new_end: int


def unified_diff(old: str, new: str, old_name: str, new_name: str, budget: Budget) -> str:
    """In unified format, without a line break at its end; empty where both are the same.

    A line ends at a line feed and nowhere else, as in git.
    """
    before, after = _lines(old), _lines(new)
    budget.steps -= len(before) + len(after)
    blocks = list(_changed(before, after, _matches(before, after, budget)))
    if not blocks:
        return ""
    out = [f"--- {old_name}", f"+++ {new_name}"]
    for hunk in _hunks(blocks):
        out.extend(_hunk(hunk, before, after))
    return "\n".join(out)


def _lines(text: str) -> list[str]:
    """With their line feeds, which the last one may lack."""
    parts = text.split("\n")
    last = parts.pop()
    return [f"{part}\n" for part in parts] + ([last] if last else [])


def _matches(old: Sequence[str], new: Sequence[str], budget: Budget) -> Iterator[tuple[int, int]]:
    """Pairs of equal lines, rising on both sides."""
    shorter = min(len(old), len(new))
    head = 0
    while head < shorter and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    yield from ((index, index) for index in range(head))
    # A line that only one side has matches nothing; without these, what was rewritten costs little.
    both = set(old[head : len(old) - tail]) & set(new[head : len(new) - tail])
    left = [index for index in range(head, len(old) - tail) if old[index] in both]
    right = [index for index in range(head, len(new) - tail) if new[index] in both]
    numbers = {line: number for number, line in enumerate(both)}
    pairs = _myers([numbers[old[index]] for index in left], [numbers[new[index]] for index in right], budget)
    yield from ((left[x], right[y]) for x, y in pairs)
    yield from ((len(old) - count, len(new) - count) for count in range(tail, 0, -1))


def _myers(old: Sequence[int], new: Sequence[int], budget: Budget) -> list[tuple[int, int]]:
    """A longest common subsequence, as pairs of places; what has been found of it when the budget is used up.

    `reached[k]` is how far into `old` the best path on diagonal k = x - y has come; `trace` keeps it for each
    number of edits, only the diagonals that it may use.
    """
    width, height = len(old), len(new)
    reached = {1: 0}
    trace: list[array[int]] = []
    best, farthest = (0, 0), 0
    for edits in range(width + height + 1):
        row = array("i")
        for diagonal in range(-edits, edits + 1, 2):
            down = diagonal == -edits or (diagonal != edits and reached[diagonal - 1] < reached[diagonal + 1])
            x = reached[diagonal + 1] if down else reached[diagonal - 1] + 1
            y = x - diagonal
            start = x
            while 0 <= y < height and x < width and old[x] == new[y]:
                x += 1
                y += 1
            reached[diagonal] = x
            row.append(x)
            budget.steps -= 1 + x - start
            if x + y > farthest and x <= width and 0 <= y <= height:
                best, farthest = (x, y), x + y
                if farthest == width + height:
                    break
        trace.append(row)
        if farthest == width + height or budget.steps <= 0:
            break
    return _walk_back(trace, best)


def _walk_back(trace: Sequence[Sequence[int]], end: tuple[int, int]) -> list[tuple[int, int]]:
    """The matched places on the path that leads to `end`, which a row of `trace` reached."""
    x, y = end
    edits = next(number for number, row in enumerate(trace) if _at(row, number, x - y) == x)
    pairs: list[tuple[int, int]] = []
    for number in range(edits, 0, -1):
        row, diagonal = trace[number - 1], x - y
        below, above = _at(row, number - 1, diagonal - 1), _at(row, number - 1, diagonal + 1)
        down = diagonal == -number or (diagonal != number and below < above)
        start = above if down else below + 1
        pairs.extend((each, each - diagonal) for each in range(x - 1, start - 1, -1))
        x, y = (above, above - diagonal - 1) if down else (below, below - diagonal + 1)
    pairs.extend((each, each - (x - y)) for each in range(x - 1, -1, -1))
    pairs.reverse()
    return pairs


def _at(row: Sequence[int], edits: int, diagonal: int) -> int:
    """How far so many edits come on a diagonal; -1 where they do not come."""
    place = diagonal + edits
    return row[place // 2] if place % 2 == 0 and 0 <= place // 2 < len(row) else -1


def _changed(old: Sequence[str], new: Sequence[str], matches: Iterator[tuple[int, int]]) -> Iterator[_Block]:
    at_old = at_new = 0
    for x, y in matches:
        if x > at_old or y > at_new:
            yield _Block(at_old, x, at_new, y)
        at_old, at_new = x + 1, y + 1
    if at_old < len(old) or at_new < len(new):
        yield _Block(at_old, len(old), at_new, len(new))


def _hunks(blocks: Sequence[_Block]) -> Iterator[list[_Block]]:
    """Blocks whose contexts touch are shown together."""
    hunk: list[_Block] = []
    for block in blocks:
        if hunk and block.old - hunk[-1].old_end > 2 * CONTEXT_LINES:
            yield hunk
            hunk = []
        hunk.append(block)
    yield hunk


def _hunk(hunk: Sequence[_Block], old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    first, last = hunk[0], hunk[-1]
    lead = min(CONTEXT_LINES, first.old)
    trail = min(CONTEXT_LINES, len(old) - last.old_end)
    yield (
        f"@@ -{_range(first.old - lead, last.old_end + trail)} "
        f"+{_range(first.new - lead, last.new_end + trail)} @@"
    )
    at = first.old - lead
    for block in hunk:
        yield from _marked(" ", old[at : block.old])
        yield from _marked("-", old[block.old : block.old_end])
        yield from _marked("+", new[block.new : block.new_end])
        at = block.old_end
    yield from _marked(" ", old[at : at + trail])


def _range(start: int, end: int) -> str:
    """As in POSIX, diff -u: lines count from 1, an empty range begins before its place."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if line.endswith("\n"):
            yield f"{mark}{line[:-1]}"
        else:
            yield f"{mark}{line}"
            yield NO_NEWLINE
