"""The durable account of what was served: one line per call, appended before the answer leaves.

A line is one ``write`` to a file opened for appending, so it survives the death of the process. What a killed engine
had computed but not served is in no line.
"""

from __future__ import annotations

import errno
import logging
import os
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger("astroflow.engine")

MERGE_AFTER = 2048
LAST_CHARACTER = chr(0x10FFFF)
# A page of calls holds up the event loop for the time that reading so much takes: a few milliseconds.
PAGE_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """``delivered``: the client still waited when the answer was ready. ``call`` is empty for calls without an id.

    ``call`` stands first in a line: ``calls`` looks for it there.
    """

    call: str
    attempt: int
    model: str
    prompt_tokens: int
    completion_tokens: int
    delivered: bool
    time: float
    activity: str = ""


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
        self._size = whole
        if whole < len(content):  # cut short by the death of the machine, or by a full disk
            log.warning(
                "%s ended in a line cut short (%d bytes), which is dropped: its call was not answered",
                file, len(content) - whole,
            )  # fmt: skip
            os.ftruncate(self._handle, whole)

    def append(self, entry: Entry) -> None:
        """Raises OSError when the line cannot be written whole; nothing of it is left then."""
        line = orjson.dumps(entry) + b"\n"
        try:
            written = os.write(self._handle, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, f"{self.file} took {written} of {len(line)} bytes: free some disk space")
        except OSError:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += len(line)
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

    def calls(self, prefix: str, after: int) -> tuple[list[dict[str, Any]], int | None]:
        """Lines whose call id starts with the prefix, as served, from position ``after`` of the file, and the position
        where the next page starts (None at the end). A page may be empty and not the last.
        """
        with self.file.open("rb") as file:
            file.seek(after)
            page = file.read(min(PAGE_BYTES, max(0, self._size - after)))
            if page and not page.endswith(b"\n"):
                page = page[: page.rfind(b"\n") + 1] or page + file.readline()
        start = b'{"call":' + orjson.dumps(prefix)[:-1]
        found = [orjson.loads(line) for line in page.splitlines() if line.startswith(start)]
        end = after + len(page)
        return found, end if end < self._size else None

    def close(self) -> None:
        os.close(self._handle)

    def _merge(self) -> None:
        self._sorted = sorted(self._sorted + self._tail)
        self._tail = []
        self._ids = [row[0] for row in self._sorted]
        self._sums = list(
            accumulate(((p, c) for _, p, c in self._sorted), lambda a, b: (a[0] + b[0], a[1] + b[1]), initial=(0, 0))
        )
