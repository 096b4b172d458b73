"""A checkpoint is there whole or not at all, and goes when its time is over."""

import time

import pytest
import torch

from engine.checkpoints import CheckpointRef, CheckpointStore
from engine.errors import ApiError, FieldError

REF = CheckpointRef("run-1", "weights", "a")


@pytest.fixture
def store(tmp_path, model_folder) -> CheckpointStore:
    return CheckpointStore(tmp_path, model_folder)


def save(store, ref=REF, value=1.0, ttl=None, overwrite=False):
    store.save(ref, {"w": torch.tensor([value])}, {"m": torch.zeros(1)}, {"step": 1}, ttl, overwrite)


def test_a_save_that_dies_leaves_nothing_that_looks_like_a_checkpoint(store, tmp_path, model_folder, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.checkpoints.os.rename", die)
    with pytest.raises(KeyboardInterrupt):
        save(store)
    monkeypatch.undo()
    assert list(store.list()) == [] and not store.exists(REF)
    assert len(list((tmp_path / "run-1" / "weights").iterdir())) == 1
    CheckpointStore(tmp_path, model_folder)
    assert list((tmp_path / "run-1" / "weights").iterdir()) == []


def test_overwriting_replaces_the_whole_folder(store):
    save(store)
    with pytest.raises(ApiError) as error:
        save(store, value=2.0)
    assert error.value.status == 409
    save(store, value=2.0, overwrite=True)
    assert [str(ref) for ref, _ in store.list()] == ["tinker://run-1/weights/a"]
    assert len(list(store.folder(REF).parent.iterdir())) == 1


def test_expired_checkpoints_go_at_the_next_save(store, monkeypatch):
    other = CheckpointRef("run-1", "weights", "b")
    save(store, ttl=60)
    save(store, other)
    assert store.exists(REF)
    later = time.time() + 61
    monkeypatch.setattr("engine.checkpoints.time.time", lambda: later)
    store.remove_expired()
    assert [ref for ref, _ in store.list()] == [other]
    with pytest.raises(ApiError) as error:
        store.meta(REF)
    assert error.value.status == 404


def test_an_expired_checkpoint_is_gone_before_it_is_removed(store):
    save(store)
    store.amend(REF, expires=time.time() - 1)
    assert store.folder(REF).exists() and list(store.list()) == []
    with pytest.raises(ApiError) as error:
        store.meta(REF)
    assert error.value.status == 404


def test_of_the_weights_that_nobody_named_the_last_ones_are_kept(store):
    named = CheckpointRef("run-1", "sampler_weights", "named")
    unnamed = [CheckpointRef("run-1", "sampler_weights", f"sampling-session-{i}") for i in range(4)]
    for ref in (named, *unnamed):
        save(store, ref, ttl=60)
        if ref is not named:
            store.amend(ref, unnamed=True)
    store.forget_unnamed("run-1", 2)
    assert [ref for ref, _ in store.list("sampler_weights", unnamed=True)] == [named, *unnamed[2:]]
    assert [ref for ref, _ in store.list("sampler_weights")] == [named]


def test_amending_changes_what_was_named_and_nothing_else(store):
    save(store, ttl=60)
    before = store.meta(REF)
    store.amend(REF, expires=None, public=True)
    assert store.meta(REF) == before | {"expires": None, "public": True}
    assert not list(store.folder(REF).glob(".*"))


def test_a_model_id_may_be_made_of_its_session():
    assert CheckpointRef.parse("tinker://session-4f:train:0/weights/a", "path").model_id == "session-4f:train:0"


@pytest.mark.parametrize(
    "path", ["x", "tinker://a/b", "tinker://a/other/c", "tinker://../weights/c", "tinker://a/weights/c/d"]
)
def test_paths_that_lead_elsewhere_are_refused(path):
    with pytest.raises(FieldError):
        CheckpointRef.parse(path, "path")
