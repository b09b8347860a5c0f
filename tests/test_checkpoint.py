"""Checkpoints: what is saved comes back, a crash spoils nothing, and a damaged file is told."""

import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from nanollm import backend as backends, checkpoint, files, optim, runs
from nanollm.errors import InputError
from nanollm.models import GPT, GPTConfig
from nanollm.parallel import loss_and_gradients
from nanollm.presets import Settings
from nanollm.text import Characters

TEXT = "ab\ncd"
SETTINGS = Settings(context=4, width=8, heads=2, depth=1, bias=True)


def gpt(seed=0, **changes):
    settings = {"vocab": 5, "context": 4, "width": 8, "heads": 2, "depth": 1, **changes}
    return GPT(GPTConfig(**settings), np.random.default_rng(seed))


def stepped(model, times=2):
    """The optimizer's state after a few steps of the model."""
    state, ids = optim.adamw_state(model.parameters()), np.array([[0, 1, 2, 3]])
    for _ in range(times):
        _, gradients = loss_and_gradients(model, ids, ids)
        optim.adamw(model.parameters(), gradients, state, lr=0.1)
    return state


def bits(model, optimizer=None):
    """All arrays as bytes."""
    arrays = {**model.state_dict(), **(checkpoint.moments(optimizer) if optimizer else {})}
    return {name: np.asarray(a).tobytes() for name, a in arrays.items()}


@pytest.fixture
def run(tmp_path):
    """The folder of a run with a checkpoint of step 2."""
    folder, model = tmp_path / "run", gpt()
    folder.mkdir()
    Characters.train(TEXT).save(folder / "tokenizer.json")
    files.write_json(folder / "config.json", {
        "format": runs.FORMAT, "preset": "", "backend": "numpy", "settings": SETTINGS.to_json(),
        "text": {}, "versions": {}, "model": model.config.to_json()})
    checkpoint.save(folder, 2, model, stepped(model), {"val_loss": 1.5})
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_saved_comes_back_to_the_last_bit(backend, tmp_path):
    with backends.use(backend):
        model = gpt()
        optimizer = stepped(model)
        checkpoint.save(tmp_path, 2, model, optimizer, {"val_loss": 1.5, "seconds": 0.1})
        other = gpt(seed=1)
        empty = optim.adamw_state(other.parameters())
        state = checkpoint.load(tmp_path, other, empty)
    assert state == {"step": 2, "val_loss": 1.5, "seconds": 0.1}
    assert bits(other, empty) == bits(model, optimizer)
    assert empty["t"] == optimizer["t"] == 2


def test_a_run_of_one_backend_is_read_by_the_other(run):
    for name in "numpy", "numba":
        with backends.use(name):
            model = gpt(seed=1)
            checkpoint.load(run, model)
            assert bits(model)["norm.gamma"] == load_file(
                run / "step-000002/weights.safetensors")["norm.gamma"].tobytes()


def test_only_the_newest_step_is_kept_and_it_is_the_one_that_is_loaded(run):
    model = gpt(seed=3)
    for step in 9, 10, 1_000_000, 1_000_001:
        checkpoint.save(run, step, model, stepped(model), {})
        assert names(run) == ["config.json", f"step-{step:06d}", "tokenizer.json"]
        assert checkpoint.load(run, gpt())["step"] == step


def test_of_two_steps_the_later_is_loaded(run):
    shutil.copytree(run / "step-000002", run / "step-1000000")
    files.write_json(run / "step-1000000/state.json", {"step": 1_000_000})
    assert checkpoint.load(run, gpt())["step"] == 1_000_000


def test_a_run_holds_json_and_safetensors_only(run):
    kinds = {path.suffix for path in run.rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors"}
    for path in run.rglob("*.json"):
        json.loads(path.read_text())


def crash(*_):
    raise SystemExit("the power failed")


@pytest.mark.parametrize("where", ["save_arrays", "write_json", "flush", "os.replace"])
def test_a_crash_while_saving_leaves_the_last_good_checkpoint(run, where, monkeypatch):
    good, model = gpt(), gpt(seed=4)
    checkpoint.load(run, good)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(f"nanollm.checkpoint.{where}", crash)
        checkpoint.save(run, 3, model, stepped(model), {})
    after = gpt(seed=1)
    assert checkpoint.load(run, after)["step"] == 2
    assert bits(after) == bits(good)
    checkpoint.save(run, 3, model, stepped(model), {})          # and the next save is a whole one
    assert checkpoint.load(run, after)["step"] == 3
    assert names(run) == ["config.json", "step-000003", "tokenizer.json"]


def test_a_crash_after_the_rename_leaves_the_new_checkpoint(run, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("nanollm.checkpoint.step_folders", crash)
        checkpoint.save(run, 3, gpt(seed=4), stepped(gpt()), {})
    assert checkpoint.load(run, gpt())["step"] == 3


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing_behind(run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr("nanollm.checkpoint.save_file", full)
    with pytest.raises(InputError, match="step 3 could not be saved .*No space left on device"):
        checkpoint.save(run, 3, gpt(), stepped(gpt()), {})
    assert names(run) == ["config.json", "step-000002", "tokenizer.json"]
    assert checkpoint.load(run, gpt())["step"] == 2


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_file_cut_short_is_told(run, name, share):
    path = run / "step-000002" / name
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    model = gpt(seed=1)
    before = bits(model)
    with pytest.raises(InputError, match=f"{name} is damaged or cut short"):
        checkpoint.load(run, model, optim.adamw_state(model.parameters()))
    assert bits(model) == before


def test_a_missing_file_is_told(run):
    for name in "weights.safetensors", "optimizer.safetensors", "state.json":
        hidden = run / "hidden"
        os.replace(run / "step-000002" / name, hidden)
        with pytest.raises(InputError, match=name):
            checkpoint.load(run, gpt(), optim.adamw_state(gpt().parameters()))
        os.replace(hidden, run / "step-000002" / name)


@pytest.mark.parametrize("content, words", [
    (b"", "state.json cannot be read"), (b'{"step": 2', "state.json cannot be read"),
    (b"\xff\xfe", "state.json cannot be read"), (b"[" * 100_000, "state.json cannot be read"),
    (b"[2]", "state.json holds no JSON object"),
    (b'{"step": "two"}', "state.json is damaged: step is .*, expected 2"),
    (b"{}", "state.json is damaged: step is .*, expected 2")])
def test_a_damaged_state_is_told(run, content, words):
    (run / "step-000002/state.json").write_bytes(content)
    with pytest.raises(InputError, match=words):
        checkpoint.load(run, gpt())


@pytest.mark.parametrize("change, words", [
    ({"width": 12, "heads": 3}, r"embedding.w has shape \(5, 8\), .* it is \(5, 12\)"),
    ({"context": 5}, r"positions.w has shape \(4, 8\), .* it is \(5, 8\)"),
    ({"depth": 2}, "belongs to another model: missing .'blocks.1"),
    ({"tied": False}, "belongs to another model: missing .'head.w'"),
    ({"bias": False}, "belongs to another model: .*not known here .'blocks.0.*b'")])
def test_weights_of_another_shape_are_told(run, change, words):
    with pytest.raises(InputError, match=words):
        checkpoint.load(run, gpt(**change))


def test_one_weight_of_another_shape_changes_no_weight(run):
    path = run / "step-000002/weights.safetensors"
    save_file({**load_file(path), "norm.gamma": np.ones(9, np.float32)}, path)
    model = gpt(seed=1)
    before = bits(model)
    with pytest.raises(InputError, match=r"norm.gamma has shape \(9,\)"):
        checkpoint.load(run, model)
    assert bits(model) == before


@pytest.mark.parametrize("name", ["weights", "optimizer"])
@pytest.mark.parametrize("change, words", [
    (lambda a: a.astype(np.float64), "is of float64, expected float32"),
    (lambda a: a.astype(np.int32), "is of int32, expected float32"),
    (lambda a: np.full_like(a, np.nan), "holds NaN or infinity"),
    (lambda a: np.full_like(a, np.inf), "holds NaN or infinity")])
def test_numbers_of_another_type_or_none_are_told(run, name, change, words):
    path = run / f"step-000002/{name}.safetensors"
    save_file({key: change(a) for key, a in load_file(path).items()}, path)
    model = gpt(seed=1)
    before = bits(model)
    with pytest.raises(InputError, match=words):
        checkpoint.load(run, model, optim.adamw_state(model.parameters()))
    assert bits(model) == before


def test_bfloat16_is_told(run):
    header = b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    (run / "step-000002/weights.safetensors").write_bytes(
        len(header).to_bytes(8, "little") + header + b"xx")
    with pytest.raises(InputError, match="holds numbers of another type"):
        checkpoint.load(run, gpt())


def test_a_run_without_a_checkpoint_is_told(run):
    shutil.rmtree(run / "step-000002")
    with pytest.raises(InputError, match="has saved no step"):
        checkpoint.load(run, gpt())


def edit(path, **changes):
    files.write_json(path, {**files.read_json(path), **changes})


def test_a_trained_model_comes_with_its_tokenizer(run):
    tokenizer, model = runs.trained(run)
    assert tokenizer.decode([0, 1, 2]) == "\nab"
    assert model.config == gpt().config


@pytest.mark.parametrize("spoil, words", [
    (lambda run: shutil.rmtree(run), "there is no run"),
    (lambda run: (run / "config.json").unlink(), "not the folder of a run"),
    (lambda run: (run / "config.json").write_text('{"for'), "config.json cannot be read"),
    (lambda run: edit(run / "config.json", format=99), "has format 99, expected 1"),
    (lambda run: edit(run / "config.json", format="fit 1", task="dates"), "`fit` made this run"),
    (lambda run: files.write_json(run / "config.json", {"format": 1}), "it has no 'preset'"),
    (lambda run: edit(run / "config.json", model={"vocab": 5}), "describes no model"),
    (lambda run: edit(run / "config.json", model=[]), r"model is \[\], expected a JSON object"),
    (lambda run: edit(run / "config.json", model={**gpt().config.to_json(), "heads": 3}),
     "describes no model: 3 heads do not divide the width 8"),
    (lambda run: edit(run / "config.json", model={**gpt().config.to_json(), "depth": 2},
                      settings={**SETTINGS.to_json(), "depth": 2}), "belongs to another model"),
    (lambda run: (run / "tokenizer.json").unlink(), "tokenizer.json"),
    (lambda run: (run / "tokenizer.json").write_text("{"), "tokenizer.json"),
    (lambda run: Characters.train("abc").save(run / "tokenizer.json"),
     "the tokenizer has 3 tokens, but the model 5")])
def test_a_folder_that_is_no_whole_run_is_told(run, spoil, words):
    spoil(run)
    with pytest.raises(InputError, match=words) as told:
        runs.trained(run)
    assert "\n" not in str(told.value)


def test_the_newest_run_is_the_one_saved_last(run, monkeypatch):
    monkeypatch.setattr(runs, "HOME", run.parent)
    other = run.parent / "other"
    shutil.copytree(run, other)
    os.utime(other / "step-000002/state.json", (1, 1))
    assert runs.newest() == run
    os.utime(run / "step-000002/state.json", (0, 0))
    assert runs.newest() == other


def test_without_any_run_there_is_no_newest(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "HOME", tmp_path / "runs")
    with pytest.raises(InputError, match="there is no run"):
        runs.newest()


def test_a_new_name_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "HOME", tmp_path)
    taken = []
    for _ in range(3):
        taken.append(runs.new_name("quick").name)
        (tmp_path / taken[-1]).mkdir()
    assert taken == ["quick", "quick-2", "quick-3"]


def test_two_processes_do_not_write_to_one_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "config.json"

    def other_process(*_):                              # writes the same file in the meantime
        with monkeypatch.context() as patch:
            patch.setattr("os.getpid", lambda: -1)
            patch.setattr("nanollm.files.flush", lambda *_: None)
            files.write(path, b"other")
    monkeypatch.setattr("nanollm.files.flush", other_process)
    files.write(path, b"mine")
    assert path.read_bytes() == b"mine" and names(tmp_path) == ["config.json"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    files.write_json(path, {"old": "ö\udcff"})
    assert files.read_json(path) == {"old": "ö\udcff"}
    monkeypatch.setattr("nanollm.files.flush", crash)
    with pytest.raises(SystemExit):
        files.write_json(path, {"new": 1})
    assert files.read_json(path) == {"old": "ö\udcff"}
    assert names(tmp_path) == ["config.json"]
