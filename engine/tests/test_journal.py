"""Sums by prefix are exact whatever mixture of sorted and recent lines they come from, and survive a reopening."""

from dataclasses import replace
from random import Random

import orjson

import engine.journal as journal_module
from engine.journal import Entry, Journal


def test_sums_by_prefix(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "MERGE_AFTER", 40)
    rng = Random(0)
    entries = [
        Entry(f"{rng.choice('abc')}/{rng.randrange(12)}/{i}", 1, "m", rng.randrange(9), rng.randrange(9), True, 0.0)
        for i in range(333)
    ]
    entries.append(replace(entries[0], attempt=2, delivered=False))
    journal = Journal(tmp_path / "usage.jsonl")
    for entry in entries:
        journal.append(entry)
    reopened = Journal(tmp_path / "usage.jsonl")
    for prefix in ("", "a", "a/", "b/1", "b/1/", "c/11/", "d", entries[0].call):
        found = [e for e in entries if e.call.startswith(prefix)]
        prompt, completion = sum(e.prompt_tokens for e in found), sum(e.completion_tokens for e in found)
        sums = {"calls": len(found), "prompt_tokens": prompt, "completion_tokens": completion}
        assert journal.usage(prefix) == sums
        assert reopened.usage(prefix) == sums


def test_a_line_cut_short_is_dropped_and_the_next_one_is_whole(tmp_path):
    file = tmp_path / "usage.jsonl"
    entry = Entry("a", 1, "m", 2, 3, True, 0.0)
    Journal(file).append(entry)
    with file.open("ab") as handle:
        handle.write(b'{"call":"b","att')
    journal = Journal(file)
    journal.append(entry)
    assert journal.usage("")["calls"] == 2
    assert [orjson.loads(line)["call"] for line in file.read_bytes().splitlines()] == ["a", "a"]
