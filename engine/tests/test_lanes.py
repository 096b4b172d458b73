"""Two lanes compute what one does: tokens, gradients, errors and ends do not depend on how work is dealt."""

import queue
import random
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from engine.base.countdown_corpus import VOCABULARY, encode
from engine.build import end_of_text
from engine.checkpoints import CheckpointStore
from engine.compute import Compute, deal
from engine.decoder import SampleJob
from engine.errors import ApiError
from engine.models import Models
from engine.policy import Parameters, load_base
from engine.trainer import Datum, Loss
from engine.training_queue import TrainJob
from engine.vocabulary import Stops, Vocabulary

from .conftest import NAME

PROMPTS = ["Use 4 9 3 to make 39\n", "Use 1 2 to make 3\n", "7*8="]


@pytest.fixture
def lanes(model_folder, tmp_path):
    @contextmanager
    def start(threads, spoil=False):
        architecture, base = load_base(model_folder)
        if spoil:
            base = Parameters.pack({name: w * float("nan") for name, w in base.weights.items()})
        models = Models(NAME, architecture, base, CheckpointStore(tmp_path / "checkpoints", model_folder))
        vocabulary = Vocabulary.load(model_folder, architecture.vocabulary_size, end_of_text(model_folder))
        compute = Compute(models, vocabulary, threads, slots=64)
        compute.start()
        yield compute
        compute.stop()

    return start


def sampling(n, max_tokens=20, version=NAME):
    """A job, and the queue that gets (job, error) every time it ends."""
    ended = queue.SimpleQueue()
    prompts = [np.array(encode(prompt)) for prompt in PROMPTS]
    job = SampleJob(
        version, prompts, n, max_tokens, 1.0, 1.0, -1, Stops(), 7, lambda job, error: ended.put((job, error))
    )
    return job, ended


def ends_once(ended):
    job, error = ended.get(timeout=30)
    assert ended.empty()
    return job, error


def trained(compute, run):
    """Result and error of one training job."""
    ended = queue.SimpleQueue()
    compute.train(TrainJob(run, lambda result, error: ended.put((result, error))))
    return ended.get(timeout=30)


def together():
    """Two pieces that only end if they run at the same time."""
    barrier = threading.Barrier(2)
    return (yield [lambda: barrier.wait(10), lambda: barrier.wait(10)])


def test_tokens_do_not_depend_on_the_number_of_lanes(lanes):
    tokens = []
    for threads in (1, 2, 3):
        with lanes(threads) as compute:
            job, ended = sampling(n=50)
            compute.sample(job)
            assert ends_once(ended) == (job, None)
            tokens.append([sample.tokens.tolist() for sample in job.samples])
            assert len(job.parts) == threads
            assert job.prompt_tokens() == sum(map(len, job.prompts))
            assert job.completion_tokens() == compute.counters().tokens == sum(map(len, tokens[-1]))
    assert tokens[0] == tokens[1] == tokens[2]


def test_rows_are_dealt_so_that_lanes_are_equally_full():
    rng = random.Random(0)
    for _ in range(500):
        loads = sorted(rng.randrange(50) for _ in range(rng.randrange(1, 6)))
        rows = rng.randrange(1, 100)
        sizes = deal(rows, loads)
        assert sum(sizes) == rows and min(sizes) >= 0
        after = [load + size for load, size in zip(loads, sizes, strict=True)]
        # No lane that got rows is fuller, by more than the one row of a remainder, than any other.
        assert all(a <= min(after) + 1 for a, size in zip(after, sizes, strict=True) if size)


def test_small_requests_stay_whole_and_go_to_the_emptier_lane(lanes):
    with lanes(2) as compute:
        jobs = [sampling(n=5, max_tokens=100) for _ in range(6)]
        for job, _ in jobs:
            compute.sample(job)
        assert all(len(job.parts) == 1 for job, _ in jobs)
        for job, ended in jobs:
            assert ends_once(ended) == (job, None)
        assert [lane.load() for lane in compute._lanes] == [0, 0]


def test_a_cancelled_job_ends_once_on_all_lanes_and_others_go_on(lanes):
    with lanes(2) as compute:
        job, ended = sampling(n=1000, max_tokens=100)
        other, other_ended = sampling(n=40)
        compute.sample(job)
        compute.sample(other)
        while compute.counters().tokens == 0:
            pass
        compute.cancel(job)
        compute.cancel(job)
        assert ends_once(ended) == (job, None)
        assert None in job.samples
        assert ends_once(other_ended) == (other, None)
        assert None not in other.samples
        assert compute.counters().tokens == job.completion_tokens() + other.completion_tokens()
        assert compute.running() == compute.waiting() == 0
        compute.cancel(other)
        assert trained(compute, lambda models: "lanes go on") == ("lanes go on", None)
        assert ended.empty() and other_ended.empty()


@pytest.mark.parametrize(("spoil", "version", "kind"), [(True, NAME, FloatingPointError), (False, "none", ApiError)])
def test_an_error_on_all_lanes_is_told_once(lanes, spoil, version, kind):
    with lanes(2, spoil) as compute:
        for _ in range(2):
            job, ended = sampling(n=50, version=version)
            compute.sample(job)
            _, error = ends_once(ended)
            assert len(job.parts) == 2 and isinstance(error, kind)
            assert [lane.load() for lane in compute._lanes] == [0, 0]


def test_pieces_of_a_training_job_run_at_the_same_time_on_several_lanes(lanes):
    with lanes(2) as compute:
        outcomes, error = trained(compute, lambda models: together())
        assert error is None and sorted(outcomes) == [0, 1]


def test_a_failing_piece_ends_its_job_and_the_next_one_runs(lanes):
    def failing(models):
        yield [*[lambda: None] * 5, lambda: 1 // 0, *[lambda: None] * 5]

    def caught(models):
        try:
            yield [lambda: 1 // 0] * 5
        except ZeroDivisionError:
            outcomes = yield from together()
        return sorted(outcomes)

    with lanes(2) as compute:
        for run in (failing, lambda models: 1 // 0):
            result, error = trained(compute, run)
            assert result is None and isinstance(error, ZeroDivisionError)
        assert trained(compute, caught) == ([0, 1], None)


def test_training_jobs_run_in_order_one_at_a_time_beside_decoding(lanes):
    running, order = [], []

    def job(number):
        def run(models):
            assert running == []
            running.append(number)
            for _ in range(3):
                yield [lambda: order.append(number)] * 4
            running.remove(number)

        return run

    with lanes(2) as compute:
        sample, ended = sampling(n=200, max_tokens=50)
        compute.sample(sample)
        errors = queue.SimpleQueue()
        for number in range(20):
            compute.train(TrainJob(job(number), lambda result, error: errors.put(error)))
        assert [errors.get(timeout=30) for _ in range(20)] == [None] * 20
        assert order == sorted(order) and len(order) == 240
        assert ends_once(ended) == (sample, None)


def test_the_gradient_is_the_same_to_the_last_bit_on_one_lane_and_on_several(lanes):
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 120, 60)
    texts = [rng.integers(1, len(VOCABULARY), length + 1) for length in lengths]
    data = [Datum(t[:-1], t[1:], rng.random(len(t) - 1).astype(np.float32)) for t in texts]
    gradients, results = [], []
    for threads in (1, 2, 2, 3):
        with lanes(threads) as compute:
            assert trained(compute, lambda models: models.create("m"))[1] is None
            loss = Loss("cross_entropy")
            result, error = trained(compute, lambda models, loss=loss: models.forward_backward("m", data, loss, True))
            assert error is None
            results.append(result)
            gradients.append(compute.models._live["m"].gradient.clone())
    assert gradients[0].abs().max() > 0
    for gradient, result in zip(gradients[1:], results[1:], strict=True):
        assert torch.equal(gradient, gradients[0])
        assert result["metrics"] == results[0]["metrics"]
