"""The official SDK saves, restores, lists, changes and fetches checkpoints."""

from __future__ import annotations

import io
import tarfile
import urllib.request

import pytest

from ..conftest import NAME, REPOSITORY
from .support import SECONDS, datum, new_model, tinker, train


def test_a_restored_model_goes_on_where_the_saved_one_was(service):
    model = new_model(service)
    train(model, [datum()], 2)
    path = model.save_state("middle", user_metadata={"step": "2"}).result(SECONDS).path
    straight = train(model, [datum()], 3)
    resumed = service.create_training_client_from_state_with_optimizer(path).result(SECONDS)
    assert resumed.model_id != model.model_id
    assert train(resumed, [datum()], 3) == straight
    fresh = service.create_training_client_from_state(path).result(SECONDS)
    afresh = train(fresh, [datum()], 3)
    assert afresh[0] == straight[0] and afresh[1:] != straight[1:]
    loaded = new_model(service)
    with pytest.warns(FutureWarning):
        assert loaded.load_state_with_optimizer(path).result(SECONDS).path == path
    assert train(loaded, [datum()], 3) == straight


def test_runs_and_checkpoints_are_listed_changed_and_deleted(service, rest):
    model = new_model(service, user_metadata={"purpose": "listing"})
    state = model.save_state("a", ttl_seconds=3600, user_metadata={"step": "0"}).result(SECONDS).path
    weights = model.save_weights_for_sampler("b").result(SECONDS).path
    runs = rest.list_training_runs(limit=1).result(SECONDS)
    assert [run.training_run_id for run in runs.training_runs] == [model.model_id]
    assert runs.cursor.total_count > 1
    run = rest.get_training_run_by_tinker_path(state).result(SECONDS)
    assert run.base_model == NAME and run.user_metadata == {"purpose": "listing"}
    assert run.last_checkpoint.tinker_path == state and run.last_sampler_checkpoint.tinker_path == weights
    listed = {c.tinker_path: c for c in rest.list_checkpoints(model.model_id).result(SECONDS).checkpoints}
    assert list(listed) == [state, weights]
    assert [c.checkpoint_type for c in listed.values()] == ["training", "sampler"]
    assert listed[state].user_metadata == {"step": "0"} and listed[state].size_bytes > 1_000_000
    assert listed[state].expires_at is not None and listed[weights].expires_at is None
    assert rest.get_weights_info_by_tinker_path(state).result(SECONDS).base_model == NAME

    rest.set_checkpoint_ttl_from_tinker_path(state, None).result(SECONDS)
    rest.set_checkpoint_ttl_from_tinker_path(weights, 600).result(SECONDS)
    rest.publish_checkpoint_from_tinker_path(weights).result(SECONDS)
    changed = {c.tinker_path: c for c in rest.list_user_checkpoints().result(SECONDS).checkpoints}
    assert changed[state].expires_at is None and changed[weights].expires_at is not None
    assert changed[weights].public and not changed[state].public
    rest.unpublish_checkpoint_from_tinker_path(weights).result(SECONDS)
    rest.delete_checkpoint_from_tinker_path(state).result(SECONDS)
    (left,) = rest.list_checkpoints(model.model_id).result(SECONDS).checkpoints
    assert left.tinker_path == weights and not left.public
    with pytest.raises(tinker.NotFoundError):
        service.create_training_client_from_state(state).result(SECONDS)


def test_an_expired_checkpoint_cannot_be_loaded(service, rest):
    path = new_model(service).save_state("short").result(SECONDS).path
    rest.set_checkpoint_ttl_from_tinker_path(path, 0).result(SECONDS)
    for call in (service.create_training_client_from_state, rest.get_weights_info_by_tinker_path):
        with pytest.raises(tinker.NotFoundError, match="expired"):
            call(path).result(SECONDS)


def test_an_archive_is_a_tar_of_the_checkpoints_files(engine, service):
    """The SDK has no call for it any more; its earlier releases and other clients have."""
    model = new_model(service)
    model.save_weights_for_sampler("a").result(SECONDS)
    url = f"{engine.url}/api/v1/training_runs/{model.model_id}/checkpoints/sampler_weights/a/archive"

    class Kept(urllib.request.HTTPRedirectHandler):
        def http_error_302(self, request, answer, code, message, headers):
            assert "GMT" in headers["expires"]
            return super().http_error_302(request, answer, code, message, headers)

    with urllib.request.build_opener(Kept).open(url, timeout=SECONDS) as answer:
        content = answer.read()
        assert len(content) == int(answer.headers["content-length"])
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = archive.getnames()
        assert {"model.safetensors", "config.json", "tokenizer.json", "meta.json"} <= set(names)
        original = (REPOSITORY / "engine/base/model/tokenizer.json").read_bytes()
        assert archive.extractfile("tokenizer.json").read() == original
