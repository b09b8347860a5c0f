"""Reference curves: the seeds they are made of lie inside, and what goes wrong is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nanollm import cli, curves, presets, train
from nanollm.curves import Comparison, band, causes
from nanollm.diary import Diary
from nanollm.errors import InputError
from nanollm.models.gpt import GPT

RECORDED = sorted(path.stem for path in curves.FOLDER.glob("*.json"))


def as_run(reference, train_loss, check=None, **changed):
    """The Comparison of a made-up run with these curves."""
    check = reference.check[0] if check is None else check
    settings = {**reference.settings, **changed}
    width, bins = reference.width, len(train_loss)
    known = reference.looks <= width * bins
    return Comparison(Path("made-up"), {"settings": settings, "text": reference.text,
                                        "preset": reference.preset},
                      reference, settings["steps"], width * bins, float(train_loss[0]),
                      np.asarray(train_loss), reference.looks[known], check[known])


@pytest.fixture(params=RECORDED)
def reference(request):
    return curves.load(request.param)


def test_there_are_curves_of_the_presets_that_a_laptop_can_train():
    assert set(RECORDED) == {"quick", "nanogpt-cpu"}


def test_curves_are_of_the_preset_as_it_is_now(reference):
    now = presets.PRESETS[reference.preset].to_json()
    now["shares"] = reference.settings["shares"]                    # one for each core there
    assert reference.settings == now
    assert len(set(reference.seeds)) == len(reference.train) == len(reference.check) == 5


def test_each_seed_lies_inside_the_band_of_the_others(reference):
    for seed in range(5):
        others = [n for n in range(5) if n != seed]
        rest = replace(reference, train=reference.train[others], check=reference.check[others])
        run = as_run(rest, reference.train[seed], reference.check[seed])
        assert run.outside == [] and causes(run) == []


def test_a_band_is_four_deviations_wide_and_at_least_one_percent():
    losses = np.array([[1.0, 1.0], [3.0, 3.0]])
    usual = band([1, 2], losses)
    np.testing.assert_allclose(usual.high - usual.middle, 4 * np.sqrt(2))
    np.testing.assert_allclose(band([1], np.ones((3, 1))).low, 0.99)


# Shapes of curves, made from the reference's own

def middle(reference):
    return reference.band().middle


SHAPES = {
    "frozen": (lambda r: 0 * middle(r) + r.landmarks["uniform"], "no step reaches the weights"),
    "frequencies": (lambda r: np.maximum(middle(r), r.landmarks["unigram"]),
                    "nothing comes through"),
    "neighbors": (lambda r: np.maximum(middle(r), r.landmarks["bigram"]),
                  "does not look back"),
    "leaks": (lambda r: middle(r) * np.linspace(1, 0.05, len(middle(r))), "not shifted by one"),
    "diverges": (lambda r: middle(r) + np.linspace(0, 8, len(middle(r))) ** 2, "it diverges"),
    "starts high": (lambda r: middle(r) + 30 * np.exp(-np.arange(len(middle(r))) / 3),
                    "first weights are too large"),
    "slow": (lambda r: np.interp(np.arange(len(middle(r))) / 3, np.arange(len(middle(r))),
                                 middle(r)), "too slowly"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_curve_that_leaves_the_band_is_told_why(name, reference):
    make, words = SHAPES[name]
    losses = make(reference)
    leaks = name == "leaks"
    check = np.interp(reference.looks, reference.band().steps, losses)
    if name == "neighbors" and reference.landmarks["bigram"] < 1.2 * middle(reference)[-1]:
        pytest.skip("this preset's own curve ends near what the token before tells")
    run = as_run(reference, losses, check)
    side = "below" if leaks else "above"
    assert run.outside and any(where == side for *_, where in run.outside)
    assert words in causes(run)[-1]


def test_a_run_that_memorizes_is_told_so(reference):
    check = reference.check_band().high + np.linspace(0, 1, len(reference.looks)) + 0.1
    run = as_run(reference, middle(reference) * np.linspace(1, 0.7, len(middle(reference))), check)
    assert "memorizes" in causes(run)[-1]


def test_settings_that_differ_are_named_first(reference):
    run = as_run(reference, middle(reference) + 1, lr=1.0)
    assert causes(run)[0] == f"lr is 1.0, in the reference {reference.settings['lr']}"


@pytest.mark.parametrize("changed", [{"data": "names"}, {"tokenizer": "other"}])
def test_a_run_that_reads_other_tokens_is_told_so(reference, changed):
    run = as_run(reference, 2 * middle(reference), **changed)
    assert len(causes(run)) == 2 and "other tokens" in causes(run)[-1]


# Real trainings, with a real mistake in them

def trained(folder, steps, **changed):
    """A run of `quick` as it is after so many steps, its losses written down."""
    settings = replace(presets.PRESETS["quick"], **changed)
    t = train.begin(settings, folder, preset="quick", quiet=True)
    diary = Diary(folder / "losses.csv")
    for _ in range(steps):
        loss, norm, lr = train.step(t).read()
        diary.add({"step": t.step, "train_loss": loss, "val_loss": None, "lr": lr,
                   "grad_norm": norm, "tokens_per_second": 1.0, "seconds": 0.0})
    diary.close()
    return folder


def test_a_healthy_run_is_inside(tmp_path):
    assert curves.compare(trained(tmp_path / "run", 60)).outside == []


def test_a_rate_of_zero_is_found(tmp_path, capsys):
    run = trained(tmp_path / "run", 60, lr=0.0, min_lr=0.0)
    assert cli.main(["compare", str(run)]) == 1
    out = capsys.readouterr().out
    assert "lr is 0.0, in the reference 0.002" in out and "no step reaches the weights" in out
    assert (run / "compare.png").stat().st_size > 10_000


def test_a_target_that_is_not_shifted_is_found(tmp_path, monkeypatch):
    right = GPT.loss
    monkeypatch.setattr(GPT, "loss", lambda self, ids, targets, **more: right(
        self, ids, ids, **more))
    c = curves.compare(trained(tmp_path / "run", 200))
    assert "not shifted by one" in causes(c)[-1]


def test_gradients_that_do_not_arrive_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(train.optim, "adamw", lambda *a, **k: None)
    c = curves.compare(trained(tmp_path / "run", 60))
    assert "no step reaches the weights" in causes(c)[-1]


# Bad input, and recording

@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "FOLDER", tmp_path / "curves")
    monkeypatch.setitem(presets.PRESETS, "tiny", replace(
        presets.PRESETS["quick"], steps=20, evaluate=10, width=16, heads=2, depth=1, vocab=300,
        batch=4, context=16))
    return tmp_path


def test_curves_are_recorded_used_again_and_read_back(tiny):
    path = curves.record("tiny", 3, home=tiny / "runs", quiet=True)
    before, runs = path.read_bytes(), tiny / "runs"
    assert curves.record("tiny", 3, home=runs, quiet=True).read_bytes() == before
    found = curves.load("tiny")
    assert found.seeds == [0, 1, 2] and found.train.shape == (3, 20)
    assert 0 < found.landmarks["bigram"] < found.landmarks["unigram"] < found.landmarks["uniform"]
    assert curves.compare(runs / "tiny-2").outside == []


@pytest.mark.parametrize("options, words", [
    ([], "which run"),
    (["nowhere"], "there is no run"),
    (["nowhere", "--preset", "slow"], "no preset 'slow'; choose one of quick"),
    (["nowhere", "--preset", "nanogpt-gpu"], "no reference curves of the preset 'nanogpt-gpu'"),
    (["--record", "quick", "--draw", "x.png"], "leave out --draw"),
    (["--record", "slow"], "no preset 'slow'"),
    (["--record", "quick", "--seeds", "1"], "expected 2 or more"),
    (["x", "--seeds", "3"], "--seeds goes with --record"),
    (["x", "--backend", "numpy"], "--backend goes with --record")])
def test_bad_options_are_told_in_one_line(options, words, capsys):
    assert cli.main(["compare", *options]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_a_run_without_losses_or_preset_is_told(tiny):
    curves.record("tiny", 2, home=tiny / "runs", quiet=True)
    run = tiny / "runs" / "tiny-0"
    (run / "losses.csv").unlink()
    with pytest.raises(InputError, match="no losses yet"):
        curves.compare(run)
    t = train.begin(presets.PRESETS["tiny"], tiny / "own", quiet=True)
    with pytest.raises(InputError, match="without a preset"):
        curves.compare(t.folder)
