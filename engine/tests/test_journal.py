"""Sums by prefix are exact whatever mixture of sorted and recent lines they come from, and survive a reopening."""

import errno
import os
import signal
import threading
import urllib.error
from dataclasses import replace
from http.client import HTTPException
from random import Random

import orjson
import pytest

import engine.journal as journal_module
from engine.journal import Entry, Journal

from .conftest import engine_process


def all_calls(journal, prefix):
    found, after = [], 0
    while after is not None:
        page, after = journal.calls(prefix, after)
        found += page
    return found


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


@pytest.mark.parametrize("page_bytes", [1, 100, 1000, 1 << 20])
def test_calls_are_listed_in_the_order_served_whatever_the_size_of_a_page(tmp_path, monkeypatch, page_bytes):
    monkeypatch.setattr(journal_module, "PAGE_BYTES", page_bytes)
    journal = Journal(tmp_path / "usage.jsonl")
    entries = [
        Entry(f"{'ab'[i % 2]}/{i % 7}", i % 3 + 1, "m", i, 2 * i, i % 5 > 0, 0.0, f"run/{i % 4}") for i in range(40)
    ]
    for entry in entries:
        journal.append(entry)
    for prefix in ("", "a", "a/", "b/1", "c"):
        expected = [orjson.loads(orjson.dumps(entry)) for entry in entries if entry.call.startswith(prefix)]
        assert all_calls(journal, prefix) == expected
    assert journal.calls("", 1 << 40) == ([], None)


def test_what_a_full_disk_did_not_take_whole_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "usage.jsonl")
    entry = Entry("a", 1, "m", 2, 3, True, 0.0)
    journal.append(entry)
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, line: write(handle, line[:10]))
    with pytest.raises(OSError, match="free some disk space") as refused:
        journal.append(entry)
    assert refused.value.errno == errno.ENOSPC
    monkeypatch.undo()
    journal.append(entry)
    assert len(journal.file.read_bytes().splitlines()) == journal.usage("")["calls"] == 2
    assert Journal(journal.file).usage("")["calls"] == 2


def test_every_answered_call_of_a_killed_engine_stands_in_the_journal(model_folder, tmp_path):
    answered, enough = [], threading.Semaphore(0)

    def ask(client, worker):
        for i in range(10_000):
            headers = {"x-astroflow-call": f"load/{worker}/{i}", "x-astroflow-activity": "run/7"}
            try:
                [choice] = client.complete("Use 4 9 3 to make 39", max_tokens=4, headers=headers)
            except (urllib.error.URLError, HTTPException, OSError, ValueError):
                return
            answered.append((headers["x-astroflow-call"], len(choice["token_ids"])))
            enough.release()

    with engine_process(model_folder, tmp_path) as (client, process):
        workers = [threading.Thread(target=ask, args=(client, worker)) for worker in range(4)]
        for worker in workers:
            worker.start()
        for _ in range(40):
            enough.acquire()
        process.send_signal(signal.SIGKILL)
        process.wait()
        for worker in workers:
            worker.join()
    with engine_process(model_folder, tmp_path) as (client, _):
        listed = client.ok("/astroflow/calls?prefix=load/")
        assert client.call("/astroflow/calls?after=-1")[0] == 400
    assert listed["next"] is None
    served = {(row["call"], row["completion_tokens"]) for row in listed["calls"]}
    assert served >= set(answered) and len(answered) >= 40
    # What was not answered is at most what was in flight.
    assert len(served) == len(listed["calls"]) <= len(answered) + len(workers)
    assert listed["calls"][0] == listed["calls"][0] | {"activity": "run/7", "attempt": 1, "delivered": True}


def test_a_line_cut_short_is_dropped_and_the_next_one_is_whole(tmp_path, caplog):
    file = tmp_path / "usage.jsonl"
    entry = Entry("a", 1, "m", 2, 3, True, 0.0)
    Journal(file).append(entry)
    with file.open("ab") as handle:
        handle.write(b'{"call":"b","att')
    journal = Journal(file)
    assert "line cut short (16 bytes)" in caplog.text
    journal.append(entry)
    assert journal.usage("")["calls"] == 2
    assert [orjson.loads(line)["call"] for line in file.read_bytes().splitlines()] == ["a", "a"]
