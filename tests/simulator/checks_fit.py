"""Whole fits on the device: a Seq2Seq with attention, a classifier, a language model."""

import math
import signal

import numpy as np
import pytest

from judges import agree
from nanollm import backend, diary, fit, fitting, tasks
from nanollm.fitting import FitSettings
from nanollm.models.seq2seq import Seq2Seq, Seq2SeqConfig
from nanollm.solvers import Labeler, Rewriter, Writer
from nanollm.text.words import PAD, START

SETTINGS = FitSettings(epochs=1, batch=2, lr=1e-2, warmup=1)
ROWS = {Rewriter: [(list("abc"), [list("cba")]), (list("b"), [list("b")]), (list("ca"), [["a"]])],
        Labeler: [(list("abc"), 1), (list("b"), 0), (list("ca"), 0)],
        Writer: [(list("abc"), None), (list("b"), None), (list("ca"), None)]}
SIZES = [
    (Rewriter, {"width": 2, "encoder": 2, "decoder": 3, "attention": "multiplicative"}),
    (Rewriter, {"width": 2, "encoder": 2, "decoder": 4, "attention": "additive", "cell": "gru"}),
    (Labeler, {"width": 2, "hidden": 3, "bidirectional": True, "pooling": "mean"}),
    (Writer, {"width": 2, "hidden": 3})]


def begun(kind, sizes, folder, frozen=()):
    """(fit under way, solver, task) on the backend in use."""
    labels = ("no", "yes") if kind is Labeler else ()
    options = {"most": 4} if kind is Rewriter else {}
    task = tasks.Task("small", "", lambda: tasks.Parts(ROWS[kind], ROWS[kind], {}, labels), kind,
                      sizes, SETTINGS, options=options)
    parts = task.read()
    solver = task.begin(parts)
    return fitting.begin(solver.problem(parts.learn, parts.check), solver.model, SETTINGS, folder,
                         {"task": "small", "model": sizes}, solver.save, frozen), solver, task


def steps(folder):
    return np.array([(row["train_loss"], row["grad_norm"])
                     for row in diary.read(folder / "losses.csv")])


@pytest.mark.parametrize("kind, sizes", SIZES)
def test_a_fit_has_the_losses_the_weights_and_the_answers_of_the_reference(kind, sizes, tmp_path):
    found, looks = {}, {}
    for name in "cuda", "numpy":
        with backend.use(name):
            t, solver, task = begun(kind, sizes, tmp_path / name)
            metrics = fit.run(t, quiet=True)
            assert metrics["backend"] == name and math.isfinite(metrics["val_loss"])
            again = task.load(tmp_path / name)
            answers = [solver.answer(list("ab"), " ")] if kind is Writer else [
                again.answer(list("ab"), " ", beam) for beam in (1, 2)]
            if kind is Rewriter:
                looks[name] = again.alignment(list("ab"))[1] if answers[0] else None
            found[name] = [again.evaluate(ROWS[kind]), answers,
                           list(again.model.state_dict().values())]
    (measured, answers, weights), (expected, right, reference) = found["cuda"], found["numpy"]
    np.testing.assert_allclose(steps(tmp_path / "cuda"), steps(tmp_path / "numpy"), rtol=1e-5)
    agree("weights", weights, reference, "float32")
    assert measured == pytest.approx(expected, rel=1e-4) and answers == right
    if kind is Rewriter:
        agree("alignment", [looks["cuda"]], [looks["numpy"]], "float32")


@pytest.mark.parametrize("beam", [1, 3])
def test_neither_padding_nor_start_is_written(beam):
    config = Seq2SeqConfig(6, 6, width=2, encoder=2, decoder=3)
    source, found = np.array([[4, 5], [5, 1]]), {}
    for name in "cuda", "numpy":
        with backend.use(name):
            model = Seq2Seq(config, np.random.default_rng(0))
            sure = np.array([30, 0, 30, 0, 1, 1], np.float32)           # of PAD and START
            model.load_state_dict({**model.state_dict(), "head.b": sure})
            found[name], _ = model.translate(source, beam=beam, most=3)
    assert found["cuda"] == found["numpy"]
    assert not {PAD, START} & {v for ids in found["cuda"] for v in ids}


def test_a_fit_stops_and_goes_on_and_what_is_frozen_stays(tmp_path, monkeypatch):
    step = fit.step

    def stopped(t):
        signal.raise_signal(signal.SIGINT)
        return step(t)
    kind, sizes = Labeler, {"width": 2, "hidden": 3, "dropout": 0.2}
    with backend.use("cuda"):
        t, solver, task = begun(kind, sizes, tmp_path / "straight", ["embedding.w"])
        before = {path: w.copy() for path, w in solver.model.state_dict().items()}
        fit.run(t, quiet=True)
        for path, w in solver.model.state_dict().items():
            assert np.array_equal(w, before[path]) == (path == "embedding.w")
        t, solver, _ = begun(kind, sizes, tmp_path / "stopped", ["embedding.w"])
        with monkeypatch.context() as patch:
            patch.setattr(fit, "step", stopped)
            assert fit.run(t, quiet=True) is None and t.step == 1
        resumed = task.load(tmp_path / "stopped", best=False)
        fit.run(fitting.resume(t.problem, resumed.model, tmp_path / "stopped"), quiet=True)
        for path, w in task.load(tmp_path / "straight").model.state_dict().items():
            np.testing.assert_array_equal(resumed.model.state_dict()[path], w)
