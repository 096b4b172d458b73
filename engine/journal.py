"""The durable account of what was served: one line per call, appended before the answer leaves.

A line is one ``write`` to a file opened for appending, so it survives the death of the process. What a killed engine
had computed but not served is in no line.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import orjson

MERGE_AFTER = 2048
LAST_CHARACTER = chr(0x10FFFF)


@dataclass(frozen=True)
class Entry:
    """``delivered``: the client still waited when the answer was ready. ``call`` is empty for calls without an id."""

    call: str
    attempt: int
    model: str
    prompt_tokens: int
    completion_tokens: int
    delivered: bool
    time: float


class Journal:
    """Sums by prefix of the call id: a sorted index with running sums, and a short unsorted tail beside it."""

    def __init__(self, file: Path):
        self.file = file
        self._tail: list[tuple[str, int, int]] = []
        self._ids: list[str] = []
        self._sums: list[tuple[int, int]] = [(0, 0)]
        self._sorted: list[tuple[str, int, int]] = []
        content = file.read_bytes() if file.exists() else b""
        whole = content.rfind(b"\n") + 1
        for line in content[:whole].splitlines():
            row = orjson.loads(line)
            self._tail.append((row["call"], row["prompt_tokens"], row["completion_tokens"]))
        self._merge()
        self._handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._handle, whole)  # a line cut short by the death of the machine

    def append(self, entry: Entry) -> None:
        os.write(self._handle, orjson.dumps(entry) + b"\n")
        self._tail.append((entry.call, entry.prompt_tokens, entry.completion_tokens))
        if len(self._tail) > MERGE_AFTER:
            self._merge()

    def usage(self, prefix: str) -> dict[str, int]:
        """Calls, prompt and completion tokens over all lines whose call id starts with the prefix."""
        first, last = bisect_left(self._ids, prefix), bisect_left(self._ids, prefix + LAST_CHARACTER)
        recent = [row for row in self._tail if row[0].startswith(prefix)]
        (p0, c0), (p1, c1) = self._sums[first], self._sums[last]
        prompt_tokens = p1 - p0 + sum(row[1] for row in recent)
        completion_tokens = c1 - c0 + sum(row[2] for row in recent)
        return {
            "calls": last - first + len(recent),
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
        }

    def close(self) -> None:
        os.close(self._handle)

    def _merge(self) -> None:
        self._sorted = sorted(self._sorted + self._tail)
        self._tail = []
        self._ids = [row[0] for row in self._sorted]
        self._sums = list(
            accumulate(((p, c) for _, p, c in self._sorted), lambda a, b: (a[0] + b[0], a[1] + b[1]), initial=(0, 0))
        )
