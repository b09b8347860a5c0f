"""Training: it learns, it stops and goes on to the same bits, and it says what is wrong."""

import json
import math
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from nanollm import backend as backends, checkpoint, datasets, diary, optim, runs, train
from nanollm.errors import InputError
from nanollm.evaluate import mean_loss
from nanollm.parallel import loss_and_gradients
from nanollm.tape import Tensor
from nanollm.presets import PRESETS, Settings

TEXT = "".join(f"{a} and {b} make {a + b}.\n" for a in range(16) for b in range(16))
SMALL = Settings(context=8, width=16, heads=2, depth=1, batch=4, steps=20, warmup=3, lr=1e-2,
                 evaluate=5, save=100)


@pytest.fixture(autouse=True)
def chosen(request):
    """The backend under test, if the test has one, else the reference."""
    parameters = getattr(request.node, "callspec", None)
    with backends.use(parameters.params.get("backend", "numpy") if parameters else "numpy"):
        yield


@pytest.fixture
def small(tmp_path):
    """Settings of a training of a second, on a text of our own."""
    (tmp_path / "text.txt").write_text(TEXT)
    return replace(SMALL, data=str(tmp_path / "text.txt"))


def begun(settings, folder, **options):
    return train.begin(settings, folder, quiet=True, **options)


def trained(settings, folder, **options):
    training = begun(settings, folder)
    return training, train.run(training, quiet=True, **options)


def weights(folder):
    """The bytes of the newest checkpoint's arrays."""
    newest = checkpoint.step_folders(folder)[-1]
    return [{name: a.tobytes() for name, a in load_file(newest / f"{part}.safetensors").items()}
            for part in ("weights", "optimizer")]


def losses(folder):
    """What losses.csv says, without the clock."""
    return [{name: value for name, value in row.items()
             if name not in ("tokens_per_second", "seconds")}
            for row in diary.read(folder / "losses.csv")]


def test_a_run_learns_and_leaves_all_its_files(small, tmp_path, backend):
    training, metrics = trained(replace(small, steps=150, evaluate=50), tmp_path / "run")
    unigram = -sum(n / len(TEXT) * math.log(n / len(TEXT)) for n in map(TEXT.count, set(TEXT)))
    assert metrics["val_loss"] < 0.6 * unigram          # it uses more than how often a letter is
    found = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert found == ["config.json", "loss.png", "losses.csv", "metrics.json", "step-000150",
                     "tokenizer.json"]
    assert (tmp_path / "run/loss.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "run/metrics.json").read_text()) == metrics
    assert metrics["backend"] == backend and metrics["steps"] == 150
    assert metrics["tokens_per_second"] > 0
    assert metrics["best_val_loss"] == min(row["val_loss"] for row in losses(tmp_path / "run")
                                           if row["val_loss"] is not None)
    _, model = runs.trained(tmp_path / "run")
    assert mean_loss(model, training.check, context=8, batch=4) == metrics["val_loss"]


def test_the_same_settings_give_the_same_bits(small, tmp_path, backend):
    for name in "one", "two":
        trained(small, tmp_path / name)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    assert losses(tmp_path / "one") == losses(tmp_path / "two")
    trained(replace(small, seed=1), tmp_path / "three")
    assert weights(tmp_path / "one") != weights(tmp_path / "three")


def stop_at(step, monkeypatch):
    """Ctrl-C is pressed during this step, and the step is finished nevertheless."""
    original = train.step

    def pressed(t):
        result = original(t)
        if t.step == step:
            signal.raise_signal(signal.SIGINT)
        return result
    monkeypatch.setattr(train, "step", pressed)


@pytest.mark.parametrize("change", [
    {}, {"dropout": 0.2, "accumulate": 2, "bias": True}, {"tokenizer": "byte pairs", "vocab": 270},
    {"shares": 3, "tied": False}], ids=lambda change: " ".join(change) or "plain")
def test_a_run_that_is_stopped_and_resumed_has_the_bits_of_one_that_is_not(
        change, small, tmp_path, monkeypatch, backend):
    settings = replace(small, **change)
    _, straight = trained(settings, tmp_path / "straight")
    with monkeypatch.context() as patch:
        stop_at(10, patch)
        training, metrics = trained(settings, tmp_path / "stopped")
    assert metrics is None and training.step == 10
    assert checkpoint.step_folders(tmp_path / "stopped")[-1].name == "step-000010"
    assert not (tmp_path / "stopped/metrics.json").exists()
    resumed = train.run(train.resume(tmp_path / "stopped", quiet=True), quiet=True)
    assert weights(tmp_path / "stopped") == weights(tmp_path / "straight")
    assert losses(tmp_path / "stopped") == losses(tmp_path / "straight")
    for name in "val_loss", "best_val_loss", "steps", "parameters":
        assert resumed[name] == straight[name]


def test_after_a_crash_a_run_goes_on_from_its_last_checkpoint(small, tmp_path, monkeypatch):
    settings = replace(small, save=5)
    trained(settings, tmp_path / "straight")
    original = train.step

    def failing(t):
        if t.step == 13:
            raise SystemExit("the power failed")
        return original(t)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(train, "step", failing)
        trained(settings, tmp_path / "crashed")
    with open(tmp_path / "crashed/losses.csv", "a") as file:
        file.write("14,2.5")                            # a line cut short
    training = train.resume(tmp_path / "crashed", quiet=True)
    assert training.step == 10
    train.run(training, quiet=True)
    assert weights(tmp_path / "crashed") == weights(tmp_path / "straight")
    assert losses(tmp_path / "crashed") == losses(tmp_path / "straight")


def test_a_second_ctrl_c_ends_at_once(small, tmp_path, monkeypatch):
    original = train.step

    def pressed_twice(t):
        if t.step == 7:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return original(t)
    monkeypatch.setattr(train, "step", pressed_twice)
    with pytest.raises(KeyboardInterrupt):
        trained(replace(small, save=5), tmp_path / "run")
    assert checkpoint.step_folders(tmp_path / "run")[-1].name == "step-000005"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_finished_run_goes_on_only_if_more_steps_are_asked_for(small, tmp_path):
    trained(small, tmp_path / "run")
    with pytest.raises(InputError, match=r"finished after 20 steps; .* \(--steps 40\)"):
        train.resume(tmp_path / "run")
    with pytest.raises(InputError, match="finished after 20 steps"):
        train.resume(tmp_path / "run", steps=10)
    train.run(train.resume(tmp_path / "run", steps=30, quiet=True), quiet=True)
    assert runs.read_config(tmp_path / "run")["settings"]["steps"] == 30
    assert [row["step"] for row in losses(tmp_path / "run")] == list(range(1, 31))
    assert json.loads((tmp_path / "run/metrics.json").read_text())["steps"] == 30


def test_a_run_whose_result_was_lost_can_be_finished(small, tmp_path):
    _, metrics = trained(small, tmp_path / "run")
    (tmp_path / "run/metrics.json").unlink()
    (tmp_path / "run/losses.csv").unlink()
    again = train.run(train.resume(tmp_path / "run", quiet=True), quiet=True)
    assert again["val_loss"] == metrics["val_loss"]


def test_a_text_that_has_changed_is_not_resumed(small, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(5, patch)
        trained(small, tmp_path / "run")
    (tmp_path / "text.txt").write_text(TEXT + "!")
    with pytest.raises(InputError, match="is not the one that .* was begun with"):
        train.resume(tmp_path / "run")


def test_the_validation_loss_counts_every_token_but_the_first_once(backend):
    ids = np.random.default_rng(0).integers(11, size=30)

    class Position:
        """A model whose loss for a target is the target's place in the text."""

        def loss(self, x, y):
            counted = y[y != datasets.IGNORED]
            return Tensor(np.mean([np.flatnonzero(ids == c).mean() for c in counted]))

    model = Position()
    expected = np.mean([np.flatnonzero(ids == c).mean() for c in ids[1:]])
    for context, batch in ((4, 1), (4, 3), (7, 2), (29, 1), (64, 5)):
        for shares in 1, 2:
            assert mean_loss(model, ids, context=context, batch=batch,
                             shares=shares) == pytest.approx(expected, rel=1e-12)


def test_batches_that_are_accumulated_count_as_one_large_batch(small, tmp_path, monkeypatch,
                                                               backend):
    drawn, original = [], datasets.sample

    def sample(*args):
        drawn.append(original(*args))
        return drawn[-1]
    monkeypatch.setattr(datasets, "sample", sample)
    parts = begun(replace(small, accumulate=3), tmp_path / "parts")
    loss, norm, _ = train.step(parts).read()
    whole = begun(replace(small, batch=12), tmp_path / "whole")
    everything = tuple(np.concatenate(arrays) for arrays in zip(*drawn))
    monkeypatch.setattr(datasets, "sample", lambda *args: everything)
    assert train.step(whole).read()[:2] == pytest.approx((loss, norm), rel=1e-4)
    for path, t in parts.model.parameters().items():
        np.testing.assert_allclose(t.numpy(), whole.model.parameters()[path].numpy(), atol=1e-5)


def test_clipping_scales_the_gradient_to_the_limit(small, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(optim, "adamw", lambda p, gradients, state, **settings: seen.update(
        settings, norm=math.sqrt(sum((settings["scale"] * g.astype(float) ** 2).sum()
                                     * settings["scale"] for g in gradients.values()))))
    for name, clip, accumulate in (("one", 0.01, 1), ("three", 0.01, 3), ("none", 0.0, 1)):
        t = begun(replace(small, clip=clip, accumulate=accumulate), tmp_path / name)
        _, norm, _ = train.step(t).read()
        assert seen["norm"] == pytest.approx(clip or norm, rel=1e-5)


def test_the_rate_rises_in_a_line_and_falls_in_half_a_cosine():
    def rate(step):
        return optim.warmup_cosine(step, peak=1.0, floor=0.1, warmup=10, steps=110)
    assert rate(0) == pytest.approx(1 / 11)
    assert rate(10) == 1.0
    assert rate(60) == pytest.approx(0.55)
    assert rate(110) == rate(500) == pytest.approx(0.1)
    assert all(rate(i) < rate(i + 1) for i in range(10))
    assert all(rate(i) > rate(i + 1) for i in range(10, 110))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_training_that_diverges_is_stopped_with_its_last_checkpoint_whole(small, tmp_path,
                                                                            backend):
    with pytest.raises(InputError, match="the training diverged; .* lower --lr") as told:
        trained(replace(small, lr=1e18, decay=0.0, save=1, clip=0.0, steps=50), tmp_path / "run")
    assert "\n" not in str(told.value)
    _, model = runs.trained(tmp_path / "run")
    assert all(np.isfinite(w).all() for w in model.state_dict().values())


def test_a_place_that_cannot_be_written_is_told_before_training(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        begun(small, tmp_path / "file/run")


@pytest.mark.parametrize("error, told", [
    (OSError(28, "No space left on device"), InputError), (KeyboardInterrupt(), KeyboardInterrupt)])
@pytest.mark.parametrize("where", ["nanollm.prepare.write_json", "nanollm.text.saved.write_json"])
def test_a_beginning_that_fails_leaves_no_half_of_a_run(where, error, told, small, tmp_path,
                                                        monkeypatch):
    def fails(*_):
        raise error
    with monkeypatch.context() as patch, pytest.raises(told) as caught:
        patch.setattr(where, fails)
        begun(small, tmp_path / "run")
    assert told is KeyboardInterrupt or "No space left on device" in str(caught.value)
    assert not (tmp_path / "run").exists()
    begun(small, tmp_path / "run")


def test_a_disk_without_room_is_told_before_training(small, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(InputError, match=r"needs \d+ MB for checkpoints, but only 0 MB are free"):
        begun(small, tmp_path / "new/run")
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_a_disk_that_fills_up_is_told_and_the_last_checkpoint_is_whole(small, tmp_path,
                                                                       monkeypatch):
    original = diary.Diary.flush

    def full(self):
        if len(self.rows) == 10:
            raise OSError(28, "No space left on device")
        original(self)
    monkeypatch.setattr(diary.Diary, "flush", full)
    with pytest.raises(InputError, match="No space left on device"):
        trained(replace(small, save=5), tmp_path / "run")
    assert train.resume(tmp_path / "run", quiet=True).step == 5


def test_a_folder_that_exists_is_left_alone(small, tmp_path):
    trained(small, tmp_path / "run")
    (tmp_path / "photos").mkdir()
    for name in "run", "photos":
        with pytest.raises(InputError, match=f"{name} exists"):
            begun(small, tmp_path / name)
    assert (tmp_path / "run/metrics.json").exists()


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_run_that_fails_before_its_first_checkpoint_is_removed_but_nothing_else(
        error, small, tmp_path, monkeypatch):
    def fail(t):
        raise error
    monkeypatch.setattr(train, "step", fail)
    with pytest.raises(error):
        trained(small, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    training = begun(small, tmp_path / "run")
    (tmp_path / "run/notes.txt").write_text("")
    with pytest.raises(error):
        train.run(training, quiet=True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_a_run_that_goes_on_has_no_result_until_its_new_end(small, tmp_path):
    trained(small, tmp_path / "run")
    left = tmp_path / "run/.step.1.partial"             # of a process that was killed
    left.mkdir()
    train.resume(tmp_path / "run", steps=30, quiet=True)
    assert not (tmp_path / "run/metrics.json").exists() and not left.exists()


def test_without_the_numba_backend_shares_are_one_after_the_other(small, tmp_path, monkeypatch):
    monkeypatch.setattr("kernels.cpu.threads.run", lambda calls: 1 / 0)
    training = begun(replace(small, shares=3), tmp_path / "run")
    train.step(training)
    train.look(training)
    with pytest.raises(InputError, match="the batch is empty"):
        loss_and_gradients(training.model, np.zeros((0, 8), int), np.zeros((0, 8), int))


@pytest.mark.parametrize("text, words", [
    ("", "is empty"), ("a", "too short: 0 tokens to learn from and 1"), ("abc", "too short"),
    ("abcdefghij", "too short: 9 tokens .* a context of 8 needs 9 and 2")])
def test_a_text_that_is_too_short_is_told(text, words, small, tmp_path):
    (tmp_path / "text.txt").write_text(text)
    with pytest.raises(InputError, match=words):
        begun(small, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_shortest_text_that_will_do_is_trained_on(small, tmp_path):
    (tmp_path / "text.txt").write_text("abcdefghijklmnopqrst")         # 18 and 2
    _, metrics = trained(replace(small, steps=2, context=17), tmp_path / "run")
    assert metrics["steps"] == 2


def test_characters_of_the_validation_text_are_known_too(small, tmp_path):
    (tmp_path / "text.txt").write_text(90 * "ab" + 20 * "z")
    training = begun(small, tmp_path / "run")
    assert training.tokenizer.vocab == 3
    assert set(training.check) == {2}


@pytest.mark.parametrize("change, words", [
    ({"steps": 0}, "steps is 0, expected at least 1"), ({"batch": -1}, "batch is -1"),
    ({"context": 0}, "context is 0"), ({"heads": 3}, "3 heads do not divide the width 16"),
    ({"lr": math.nan}, "lr is nan, expected a number"), ({"lr": -1.0}, "lr is -1.0"),
    ({"steps": 1.5}, "steps is 1.5, expected a whole number"), ({"bias": 1}, "bias is 1, expected"),
    ({"holdout": 1.0}, "holdout is 1.0"), ({"beta2": 1.0}, "beta2 is 1.0"),
    ({"tokenizer": "words"}, "tokenizer is 'words', expected one of 'characters', 'byte pairs'"),
    ({"dropout": 1.0}, "dropout is 1.0")])
def test_settings_that_make_no_sense_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        replace(SMALL, **change)


def test_settings_survive_json():
    for preset in PRESETS.values():
        assert Settings.from_json(json.loads(json.dumps(preset.to_json()))) == preset
    with pytest.raises(InputError, match="no setting 'momentum'"):
        Settings.from_json({**SMALL.to_json(), "momentum": 0.9})


def test_a_damaged_config_is_told(small, tmp_path):
    trained(small, tmp_path / "run")
    config = runs.read_config(tmp_path / "run")
    for settings, words in (({**config["settings"], "steps": "many"}, "steps is 'many'"),
                            ({**config["settings"], "colour": 1}, "no setting 'colour'"),
                            ([], r"settings is \[\], expected a JSON object"),
                            (None, "settings is None, expected a JSON object")):
        (tmp_path / "run/config.json").write_text(json.dumps({**config, "settings": settings}))
        with pytest.raises(InputError, match=words):
            train.resume(tmp_path / "run")


def test_quiet_is_quiet(small, tmp_path, capfd):
    trained(small, tmp_path / "run")
    assert capfd.readouterr() == ("", "")
