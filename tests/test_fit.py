"""Fitting: it learns, keeps the best, stops and goes on to the same bits; tasks and their command.
"""

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from nanollm import backend as backends, checkpoint, datasets, diary, fit, fitting, tasks
from nanollm.cli import main
from nanollm.errors import InputError
from nanollm.fitting import FitSettings
from nanollm.interrupt import Interrupt
from nanollm.solvers import Labeler, Rewriter, Writer, in_batches
from nanollm.tape import Tensor
from nanollm.text import Words
from nanollm.text.words import PAD, START
from nanollm.word_vectors import Vectors

SMALL = FitSettings(epochs=3, batch=4, lr=1e-2, warmup=3, save=100)
LETTERS = "abcdef"
SIZES = {
    Rewriter: {"width": 8, "encoder": 8, "decoder": 12, "dropout": 0.1},
    Labeler: {"width": 8, "hidden": 8, "bidirectional": True, "dropout": 0.1},
    Writer: {"width": 8, "hidden": 12, "dropout": 0.1}}


def no_network(data, path, quiet):
    raise InputError(f"{data.name} is not on this machine")


@pytest.fixture(autouse=True)
def chosen(request, tmp_path, monkeypatch):
    """The backend under test, if the test has one, else the reference; and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nanollm.datasets.fetch.download", no_network)
    parameters = getattr(request.node, "callspec", None)
    with backends.use(parameters.params.get("backend", "numpy") if parameters else "numpy"):
        yield


def words(count=30):
    """Random words of 1 to 6 letters, the same ones always."""
    rng = np.random.default_rng(0)
    return [[LETTERS[k] for k in rng.integers(6, size=rng.integers(1, 7))] for _ in range(count)]


def rows(kind):
    """Reverse a word; say whether it begins with a vowel; or go on writing."""
    return {Rewriter: [(word, [word[::-1]]) for word in words()],
            Labeler: [(word, int(word[0] in "ae")) for word in words()],
            Writer: [(word, None) for word in words()]}[kind]


def small(kind):
    """A task of a second, of this kind."""
    found = rows(kind)
    labels = ("no", "yes") if kind is Labeler else ()
    return tasks.Task("small", "a small task", lambda: tasks.Parts(
        found[:22], found[22:], {"test": found}, labels), kind, SIZES[kind], SMALL)


def begun(settings, folder, kind=Rewriter, frozen=(), **sizes):
    task = replace(small(kind), settings=settings).resized(sizes)
    parts = task.read()
    solver = task.begin(parts)
    return fitting.begin(solver.problem(parts.learn, parts.check), solver.model, settings, folder,
                         {"task": task.name, "model": task.sizes}, solver.save, frozen), solver


def resumed(folder, kind=Rewriter, **options):
    task = small(kind)
    parts, solver = task.read(), task.load(folder, best=False)
    return fitting.resume(solver.problem(parts.learn, parts.check), solver.model, folder, **options)


def fitted(settings, folder, kind=Rewriter, **options):
    t, solver = begun(settings, folder, kind)
    return t, solver, fit.run(t, quiet=True, **options)


def weights(folder):
    """The bytes of the newest checkpoint's arrays, and of the best weights."""
    newest = checkpoint.step_folders(folder)[-1]
    files = newest / "weights.safetensors", newest / "optimizer.safetensors", folder / fitting.BEST
    return [{name: a.tobytes() for name, a in load_file(path).items()} for path in files]


def losses(folder):
    """What losses.csv says, without the clock."""
    return [{name: value for name, value in row.items()
             if name not in ("tokens_per_second", "seconds")}
            for row in diary.read(folder / "losses.csv")]


def stop_at(step, monkeypatch):
    """As if Ctrl-C were pressed during this step."""
    original, entered = fit.step, []

    class Stop(Interrupt):
        def __enter__(self):
            entered.append(self)
            return super().__enter__()

    def pressed(t):
        result = original(t)
        entered[-1].asked = t.step == step
        return result
    monkeypatch.setattr(fit, "Interrupt", Stop)
    monkeypatch.setattr(fit, "step", pressed)


# The order and the rate

def test_an_epoch_shows_every_example_once_and_lengths_are_near_in_a_batch():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 30, 1003)
    found = fit.batches(lengths, 8, np.random.default_rng(1))
    assert sorted(n for batch in found for n in batch) == list(range(1003))
    assert len(found) == 126 and sorted(map(len, found))[:2] == [3, 8]
    assert np.mean([np.ptp(lengths[batch]) for batch in found]) < 2
    longest = [lengths[batch].max() for batch in found[:50]]
    assert longest != sorted(longest)                           # long ones do not come last
    again = fit.batches(lengths, 8, np.random.default_rng(2))
    assert [list(b) for b in again] != [list(b) for b in found]


def test_every_epoch_and_every_seed_has_an_order_of_its_own(tmp_path):
    orders = []
    for seed in 0, 1:
        t, _ = begun(replace(SMALL, seed=seed), tmp_path / str(seed))
        where = {id(example): n for n, example in enumerate(t.problem.learn)}
        for epoch in 0, 1:
            found = [where[id(example)] for step in range(t.per_epoch)
                     for example in fit.batch_of(t, epoch * t.per_epoch + step)]
            assert sorted(found) == list(range(22))
            orders.append(found)
    assert len(set(map(tuple, orders))) == 4


def test_the_rate_is_halved_where_the_error_does_not_fall():
    assert fit.halvings([], 2) == 0
    assert fit.halvings([5, 4, 3], 1) == 0
    assert fit.halvings([5, 5, 4, 6, 7, 3], 1) == 3
    assert fit.halvings([5, 6, 7, 8, 9, 4, 4], 2) == 2
    s = replace(SMALL, schedule="plateau", lr=1.0, floor=0.2, warmup=1, wait=1)
    assert [fit.rate(s, 5, 10, errors) for errors in ([], [1], [1, 1], [1, 1, 1, 1])] == [
        1.0, 1.0, 0.5, 0.2]
    assert fit.rate(s, 0, 10, []) == 0.5                        # the warm-up


@pytest.mark.parametrize("clip", [0.0, 0.02])
def test_a_step_is_adamw_on_the_clipped_gradient_with_the_settings_given(clip, tmp_path):
    settings = replace(SMALL, lr=0.1, warmup=0, clip=clip, decay=0.3, beta1=0.8, beta2=0.7)
    t, _ = begun(settings, tmp_path / "run")
    _, _, gradients = fit.loss_and_gradients(t, fit.batch_of(t, 0))
    before = {path: w.copy() for path, w in t.model.state_dict().items()}
    norm = math.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients.values()))
    scale = clip / norm if clip else 1
    assert scale < 0.1 if clip else norm > 0.02
    loss, measured, lr, count = fit.step(t)
    assert (lr, t.step) == (0.1, 1) and measured == pytest.approx(norm, rel=1e-5)
    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-7)
    for path, w in t.model.state_dict().items():
        g = scale * gradients[path]
        close(t.optimizer["m"][path], 0.2 * g)
        close(t.optimizer["v"][path], 0.3 * g * g, atol=1e-12)
        shrunk = before[path] * (1 - 0.1 * 0.3 * (w.ndim > 1))
        close(w, shrunk - 0.1 * g / (abs(g) + 1e-8), atol=1e-5)


# A run

@pytest.mark.parametrize("kind", SIZES)
def test_a_fit_learns_and_leaves_all_its_files(kind, tmp_path, backend):
    t, solver = begun(replace(SMALL, epochs=60, patience=60), tmp_path / "run", kind)
    t.problem = t.problem._replace(check=t.problem.learn)       # here it is to learn by heart
    metrics = fit.run(t, quiet=True)
    first, last = (np.mean([row["train_loss"] for row in losses(tmp_path / "run")[part]])
                   for part in (slice(0, 6), slice(-6, None)))
    assert last < 0.7 * first
    if kind is not Writer:
        assert metrics["error"] < 0.2
    found = {path.name for path in (tmp_path / "run").iterdir()}
    assert found == {"config.json", "loss.png", "losses.csv", "metrics.json", fitting.BEST,
                     f"step-{t.steps:06d}", *(f"{name}.json" for name in solver.vocabularies())}
    assert json.loads((tmp_path / "run/metrics.json").read_text()) == metrics
    assert metrics["error"] == min(t.errors) and len(t.errors) == 60
    assert metrics["backend"] == backend
    again = small(kind).load(tmp_path / "run")
    assert again.evaluate(rows(kind)) == solver.evaluate(rows(kind))
    problem = again.problem(rows(kind), rows(kind)[:22])
    assert again.error(problem.check) == metrics["error"]


@pytest.mark.parametrize("kind", SIZES)
def test_a_run_that_is_stopped_and_resumed_has_the_bits_of_one_that_is_not(
        kind, tmp_path, monkeypatch, backend):
    settings = replace(SMALL, shares=3, schedule="plateau")
    _, _, straight = fitted(settings, tmp_path / "straight", kind)
    for step in 0, 4, 6, 11:                                    # 6 steps are an epoch
        folder = tmp_path / f"stopped-{step}"
        with monkeypatch.context() as patch:
            stop_at(step, patch)
            t, _ = begun(settings, folder, kind)
            assert step == 0 or fit.run(t, quiet=True) is None
        assert t.step == step and not (folder / "metrics.json").exists()
        finished = fit.run(resumed(folder, kind), quiet=True)
        assert weights(folder) == weights(tmp_path / "straight")
        assert losses(folder) == losses(tmp_path / "straight")
        for name in "error", "val_loss", "best_epoch", "steps":
            assert finished[name] == straight[name]


@pytest.mark.parametrize("kind", SIZES)
def test_what_is_frozen_stays_and_the_rest_learns_also_after_a_stop(kind, tmp_path, monkeypatch,
                                                                   backend):
    frozen = ["source.w" if kind is Rewriter else "embedding.w"]
    t, solver = begun(SMALL, tmp_path / "straight", kind, frozen)
    before = solver.model.state_dict()
    before = {path: w.copy() for path, w in before.items()}
    fit.run(t, quiet=True)
    for path, w in solver.model.state_dict().items():
        assert (w.tobytes() == before[path].tobytes()) == (path in frozen)
    with monkeypatch.context() as patch:
        stop_at(4, patch)
        assert fit.run(begun(SMALL, tmp_path / "stopped", kind, frozen)[0], quiet=True) is None
    fit.run(resumed(tmp_path / "stopped", kind), quiet=True)
    assert weights(tmp_path / "stopped") == weights(tmp_path / "straight")
    free = fitted(SMALL, tmp_path / "free", kind)[0]
    assert losses(tmp_path / "free")[0]["grad_norm"] > losses(t.folder)[0]["grad_norm"]
    assert len(free.learned()) == len(t.learned()) + 1


def test_after_a_crash_a_run_goes_on_from_its_last_checkpoint(tmp_path, monkeypatch):
    settings = replace(SMALL, save=5)
    fitted(settings, tmp_path / "straight")
    original = fit.step

    def failing(t):
        if t.step == 13:
            raise SystemExit("the power failed")
        return original(t)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(fit, "step", failing)
        fitted(settings, tmp_path / "crashed")
    t = resumed(tmp_path / "crashed")
    assert t.step == 12                                         # the end of an epoch
    fit.run(t, quiet=True)
    assert weights(tmp_path / "crashed") == weights(tmp_path / "straight")
    assert losses(tmp_path / "crashed") == losses(tmp_path / "straight")


def test_the_same_settings_give_the_same_bits_and_another_seed_others(tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        fitted(replace(SMALL, seed=seed), tmp_path / name)
    assert weights(tmp_path / "one") == weights(tmp_path / "two") != weights(tmp_path / "three")


@pytest.mark.parametrize("kind", SIZES)
def test_a_batch_in_shares_has_the_gradient_of_the_whole(kind, tmp_path, backend):
    found = []
    for shares in 1, 3:
        t, solver = begun(replace(SMALL, shares=shares), tmp_path / str(shares), kind, dropout=0.0)
        t.model.to("float64")
        found.append(fit.loss_and_gradients(t, t.problem.learn[:7]))
    (loss, count, whole), (other_loss, other_count, shared) = found
    assert count == other_count == solver.collate(t.problem.learn[:7])[1]
    assert other_loss == pytest.approx(loss, rel=1e-9)
    for path, g in whole.items():
        np.testing.assert_allclose(shared[path], g, rtol=1e-7, atol=1e-12)


def test_the_validation_loss_is_the_mean_of_a_target():
    class Length:
        """A model whose loss for an example is the example, a number of targets too."""

        def loss(self, examples):
            return Tensor(np.mean(np.repeat(examples, examples)))

    problem = fitting.Problem([], [3, 1, 4, 1, 5, 9, 2], lambda n: n,
                              lambda part: ((np.array(part),), sum(part)), None)
    expected = sum(n * n for n in problem.check) / sum(problem.check)
    for batch in 1, 3, 10:
        assert fit.mean_loss(Length(), problem, batch) == pytest.approx(expected)


def scripted(errors):
    """An `error` that answers with these numbers, one after the other."""
    script = iter(errors)
    return lambda examples: next(script)


def test_the_best_weights_are_kept_and_a_run_without_progress_ends(tmp_path):
    t, solver = begun(replace(SMALL, epochs=9, patience=2), tmp_path / "run")
    t.problem = t.problem._replace(error=scripted([0.5, 0.4, 0.45, 0.4, 0.1]))
    kept = []
    metrics = fit.run(t, quiet=True, on_look=lambda t: kept.append(
        {path: w.copy() for path, w in t.model.state_dict().items()}))
    assert t.errors == [0.5, 0.4, 0.45, 0.4] and t.stale == 2
    assert (metrics["best_epoch"], metrics["epochs"], metrics["error"]) == (2, 4, 0.4)
    best = load_file(tmp_path / "run" / fitting.BEST)
    for path, w in t.model.state_dict().items():
        assert w.tobytes() == kept[1][path].tobytes() == best[path].tobytes()
    assert any(w.tobytes() != kept[3][path].tobytes() for path, w in best.items())


def test_seconds_stop_a_run_as_ctrl_c_does(tmp_path):
    t, _, metrics = fitted(replace(SMALL, epochs=10_000, patience=10_000), tmp_path / "run",
                           seconds=0.3)
    assert metrics is None and 0 < t.step < t.steps
    assert resumed(tmp_path / "run").step == t.step
    before_any_look = begun(replace(SMALL, seed=1), tmp_path / "new")[1]
    again = small(Rewriter).load(tmp_path / "new")              # its weights as they are
    for path, w in before_any_look.model.state_dict().items():
        assert again.model.state_dict()[path].tobytes() == w.tobytes()


def test_a_finished_run_goes_on_only_if_more_epochs_are_asked_for(tmp_path):
    fitted(SMALL, tmp_path / "run")
    with pytest.raises(InputError, match=r"finished after 3 epochs; .* \(--epochs 6\)"):
        resumed(tmp_path / "run")
    with pytest.raises(InputError, match="^epochs is 0, expected at least 1"):
        resumed(tmp_path / "run", epochs=0)
    metrics = fit.run(resumed(tmp_path / "run", epochs=4), quiet=True)
    assert metrics["epochs"] == 4
    assert [row["step"] for row in losses(tmp_path / "run")] == list(range(1, 25))


# What is wrong is told

def test_a_fit_that_diverges_is_stopped_with_its_last_checkpoint_whole(tmp_path):
    with pytest.raises(InputError, match="the fit diverged; .* lower --lr") as told:
        fitted(replace(SMALL, lr=1e30, warmup=0, clip=0.0, save=1), tmp_path / "run")
    assert "\n" not in str(told.value)
    assert resumed(tmp_path / "run").step >= 1


@pytest.mark.parametrize("change, words", [
    ({"epochs": 0}, "epochs is 0, expected at least 1"), ({"batch": 1.5}, "batch is 1.5"),
    ({"lr": math.nan}, "lr is nan"), ({"beta1": 1.0}, "beta1 is 1.0"), ({"clip": -1}, "clip is -1"),
    ({"schedule": "steps"}, "schedule is 'steps', expected cosine or plateau")])
def test_settings_that_make_no_sense_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        replace(SMALL, **change)


def test_examples_and_folders_that_will_not_do_are_told(tmp_path):
    t, _ = begun(SMALL, tmp_path / "run")
    begin = partial(fitting.begin, model=t.model, settings=SMALL, config={})
    with pytest.raises(InputError, match="run exists: go on with it"):
        begin(t.problem, folder=tmp_path / "run")
    for name, words in (("learn", "no examples to learn from"), ("check", "to validate on")):
        with pytest.raises(InputError, match=words):
            begin(t.problem._replace(**{name: []}), folder=tmp_path / "new")
    with pytest.raises(InputError, match="begun with other examples: .*22.* but there are .*21"):
        fitting.resume(t.problem._replace(learn=t.problem.learn[1:]), t.model, tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        begin(t.problem, folder=tmp_path / "file/run")


@pytest.mark.parametrize("file, change, words", [
    ("config.json", {"format": 1}, "has format 1, expected 'fit 1': `fit` did not make this run"),
    ("config.json", {"task": None}, "is damaged: task is None"),
    ("config.json", {"frozen": [3]}, r"is damaged: frozen is \[3\]"),
    ("config.json", {"versions": None}, "is damaged: versions is None"),
    ("config.json", {"settings": {"epochs": "many"}}, "no good settings: epochs is 'many'"),
    ("config.json", {"settings": {"colour": 1}}, "no good settings: .*colour"),
    ("config.json", {"model": {"colour": 1}}, "describes no model of this task: .*colour"),
    ("config.json", {"model": {**SIZES[Rewriter], "width": 9}}, "has shape .* by config.json"),
    ("config.json", {"task": "dates"}, "is a run of the task 'dates', not 'small'"),
    ("step-000000/state.json", {"looks": [[1.0, "low"]]}, "state.json is damaged: looks is"),
    ("step-000000/state.json", {"looks": [[1.0, 0.5]] * 9}, "9 looks after 0 steps, expected 0")])
def test_damaged_files_are_told(file, change, words, tmp_path):
    begun(SMALL, tmp_path / "run")
    path = tmp_path / "run" / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=words) as told:
        resumed(tmp_path / "run")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("change, words", [
    (lambda path: path.unlink(), "best.safetensors is missing"),
    (lambda path: path.write_bytes(path.read_bytes()[:-9]), "best.safetensors is damaged")])
def test_best_weights_that_are_lost_are_told_before_anything_is_learned(change, words, tmp_path):
    fitted(SMALL, tmp_path / "run")
    change(tmp_path / "run" / fitting.BEST)
    with pytest.raises(InputError, match=words):
        small(Rewriter).load(tmp_path / "run")
    with pytest.raises(InputError, match=words):
        resumed(tmp_path / "run", epochs=4)


@pytest.mark.parametrize("allowed", [0, 1, 2, 4, 6, 9])
def test_a_full_disk_is_one_line_and_leaves_no_half_of_a_run(allowed, tmp_path, monkeypatch):
    """A fit saves at its start 2 files of arrays, 2 an epoch later and at its end, 1 the best."""
    count = iter(range(99))

    def save(arrays, path):
        if next(count) < allowed:
            return save_file(arrays, path)
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")
    monkeypatch.setattr(checkpoint, "save_file", save)
    with pytest.raises(InputError, match=r"No space left on device \(os error 28\)") as told:
        fitted(SMALL, tmp_path / "run")
    assert "\n" not in str(told.value)
    monkeypatch.undo()
    if allowed < 2:
        assert not (tmp_path / "run").exists()
        assert "the checkpoint before it" not in str(told.value)
    else:
        assert not [path for path in (tmp_path / "run").rglob("*") if "partial" in path.name]
        assert fit.run(resumed(tmp_path / "run"), quiet=True)["epochs"] == 3


def test_a_folder_that_is_no_run_is_told(tmp_path):
    with pytest.raises(InputError, match="is not the folder of a run: it has no config.json"):
        fitting.read_config(tmp_path)


# Solvers and tasks

def test_batches_of_rows_come_back_in_order(backend):
    rows = [("x" * n,) for n in (3, 1, 4, 1, 5, 9, 2, 6)]
    seen = []

    def lengths(part):
        seen.append(len(part))
        return [len(row[0]) for row in part]

    assert in_batches(lengths, rows, 3) == [3, 1, 4, 1, 5, 9, 2, 6]
    assert sorted(seen) == [2, 3, 3]


def test_an_answer_is_right_if_it_is_one_of_the_references(tmp_path, monkeypatch):
    _, solver = begun(SMALL, tmp_path / "run")
    monkeypatch.setattr(solver, "translations", lambda sources, beam=1: [["a"], ["a"], ["b", "a"]])
    source = list("ab")
    measures = solver.evaluate([(source, [["b"], ["a"]]), (source, [["b"], ["c"]]),
                                (source, [["b", "b", "b", "b"], ["b", "c"]])])
    assert measures == {"wrong": 2 / 3, "token error rate": 2 / 4}


@pytest.mark.parametrize("kind", SIZES)
def test_nothing_to_measure_and_empty_sources_are_told(kind, tmp_path):
    _, solver = begun(SMALL, tmp_path / "run", kind)
    for part, words in (([], "at least one"),
                        ([([], [["a"]] if kind is Rewriter else 0)], "leave empty texts out")):
        if part and kind is Writer:                             # a text of no letters has an end
            assert solver.evaluate(part)["nats a token"] > 0
            continue
        with pytest.raises(InputError, match=words):
            solver.evaluate(part)


def test_several_references_are_several_examples_to_learn_from(tmp_path):
    _, solver = begun(SMALL, tmp_path / "run")
    row = (list("ab"), [["a"], ["b", "a"]])
    problem = solver.problem([row], [row])
    assert [solver.target.tokens(target) for _, target, _ in problem.learn] == row[1]
    assert [solver.target.tokens(target) for _, target, _ in problem.check] == row[1][:1]
    assert problem.check[0][2] == row[1]


def test_an_alignment_says_where_each_token_of_the_answer_looked(tmp_path, backend):
    _, solver, _ = fitted(SMALL, tmp_path / "run")
    source = list("abcde")
    for beam in 1, 3:
        said, p = solver.alignment(source, beam)
        assert "".join(said) == solver.answer(source, "", beam) and p.shape == (len(said), 5)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
        ids = solver.source.encode(source)[None]
        memory, state = solver.model.encode(ids)
        target = solver.target.encode(said, start=True)
        for t, row in enumerate(p):                             # the same, token by token
            h, state = solver.model.states(target[None, t:t + 1], memory, state)
            looked = solver.model.attention.look(h, memory, weights=True)[1].numpy()
            np.testing.assert_allclose(looked[0, 0], row, rtol=1e-4, atol=1e-7)
    solver.draw_alignment(source, tmp_path / "alignment.png")
    assert (tmp_path / "alignment.png").read_bytes().startswith(b"\x89PNG")


EXPECTED = {"g2p": (107_788, 5_315, 12_000), "scan": (None, None, 4_182),
            "sentiment": (None, None, 1_068), "intents": (15_000, 3_000, 4_500)}
CLASSES = {"sentiment": 2, "intents": 150}


@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_task_can_be_begun_and_its_parts_have_nothing_in_common(name, tmp_path):
    task = tasks.task(name)
    try:
        parts = task.read()
    except InputError as error:
        pytest.skip(str(error))
    sources = [{str(source) for source, _ in part}
               for part in (parts.learn, parts.check, *parts.tests.values())]
    shared = sum(len(a & b) for i, a in enumerate(sources) for b in sources[:i])
    assert shared <= (5 if name == "intents" else 0)            # as published: datasets/labels.py
    solver = task.begin(parts)
    problem = solver.problem(parts.learn, parts.check)
    found = len(problem.learn), len(problem.check), len(next(iter(parts.tests.values())))
    for have, want in zip(found, EXPECTED.get(name, found)):
        assert want is None or have == want
    if name in CLASSES:
        assert solver.model.head.w.shape[1] == len(parts.labels) == CLASSES[name]
    arrays, count = problem.collate(problem.learn[:4])
    with backends.use("numba"):
        solver.model.to()
        assert math.isfinite(float(solver.model.loss(*arrays).numpy())) and count > 0


@pytest.mark.parametrize("name, text, answer", [
    ("numbers", "42", "forty-two"), ("numbers-fr", "forty-two", "quarante-deux"),
    ("numbers-zh", "quarante-deux", "四十二")])
def test_numbers_go_from_form_to_form_and_longer_ones_have_no_word_of_their_own(name, text, answer):
    task = tasks.task(name)
    parts = task.read()
    every = [row for part in (parts.learn, parts.check, *parts.tests.values()) for row in part]
    known = [{token for row in parts.learn for token in side(row)}
             for side in (lambda row: row[0], lambda row: row[1][0])]
    for source, (target,) in every:
        assert task.cut("".join(source)) == source and set(source) <= known[0]
        assert set(target) <= known[1]
    found = {"".join(source): task.between.join(target) for source, (target,) in every}
    assert found[text] == answer
    if name == "numbers":
        assert {len(source) for source, _ in parts.learn} == set(range(1, 8))
        assert {len(source) for source, _ in parts.tests["8 digits"]} == {8}


# The command

@pytest.fixture
def little(monkeypatch):
    """The dates task with few examples."""
    few = partial(tasks.date_forms, learn=40, check=10)
    monkeypatch.setitem(tasks.TASKS, "dates", replace(tasks.TASKS["dates"], read=few))


def test_the_command_fits_stops_goes_on_measures_and_answers(little, capsys, tmp_path):
    options = ["--batch", "8", "--epochs", "2", "--width", "8", "--encoder", "8", "--decoder", "8"]
    assert main(["fit", "dates", *options]) == 0
    out = capsys.readouterr().out
    assert "2 epochs of 5 steps, batch 8, on numpy" in out and "best after epoch" in out
    assert json.loads((tmp_path / "runs/fit/dates/metrics.json").read_text())["task"] == "dates"
    assert main(["fit", "dates", "--resume", "runs/fit/dates", "--epochs", "3", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["fit", "dates", "--evaluate", "runs/fit/dates", "--beam", "2"]) == 0
    assert "wrong 1.0000   token error rate" in capsys.readouterr().out
    assert main(["fit", "dates", "--try", "3 March 2021"]) == 0
    assert capsys.readouterr().out.endswith("\n")
    assert main(["fit", "dates", *options[2:], "--epochs", "9000", "--patience", "9000",
                 "--seconds", "0.2"]) == 0
    assert "all is saved; go on with" in capsys.readouterr().out
    assert len(list((tmp_path / "runs/fit/dates-2").glob("step-*"))) == 1


@pytest.mark.parametrize("limit", [[], ["--seconds", "600"]])
def test_a_fit_that_ctrl_c_stops_says_so_to_the_shell_whatever_its_limit(
        limit, little, capsys, monkeypatch):
    stop_at(2, monkeypatch)
    assert main(["fit", "dates", "--epochs", "90", *limit, "--quiet"]) == 130
    assert main(["fit", "dates", "--resume", "runs/fit/dates", "--seconds", "0.01", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_run_that_changes_its_backend_says_so(little, capsys):
    options = ["--batch", "8", "--width", "8", "--encoder", "8", "--decoder", "8"]
    assert main(["fit", "dates", *options, "--epochs", "1"]) == 0
    assert "until now" not in capsys.readouterr().out
    for number, backend in (("2", "numpy"), ("3", "numba")):
        assert main(["fit", "dates", "--resume", "runs/fit/dates", "--epochs", number,
                     "--backend", backend]) == 0
        out = capsys.readouterr().out
        assert ("numpy until now, numba from here on" in out) == (backend == "numba")


def test_measures_are_kept_with_the_run_and_info_shows_them(little, capsys, tmp_path):
    assert main(["fit", "dates", "--epochs", "2", "--encoder", "8", "--quiet"]) == 0
    before = fitting.read_metrics("runs/fit/dates")
    assert main(["fit", "dates", "--evaluate", "runs/fit/dates"]) == 0
    assert main(["fit", "dates", "--evaluate", "runs/fit/dates", "--beam", "2"]) == 0
    after = fitting.read_metrics("runs/fit/dates")
    tests = after.pop("tests")
    assert after == before and list(tests) == ["test", "test, beam 2"]
    assert set(tests["test"]) == {"rows", "wrong", "token error rate"}
    capsys.readouterr()
    assert main(["info", "runs/fit/dates"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    for words in ("task          dates", "encoder 8", "lr 0.003", "2 of 2 epochs, ended",
                  "test, beam 2  rows", f"wrong {tests['test']['wrong']:.4g}"):
        assert words in out
    (tmp_path / "runs/fit/dates/metrics.json").write_text('{"tests": 3}')
    for command in ["info"], ["fit", "dates", "--evaluate"]:
        assert main([*command, "runs/fit/dates"]) == 2
        assert "metrics.json is damaged: tests is 3" in capsys.readouterr().err


def test_a_run_that_is_measured_before_its_end_still_goes_on(little, capsys):
    assert main(["fit", "dates", "--epochs", "90", "--seconds", "0.01", "--quiet"]) == 0
    assert main(["fit", "dates", "--evaluate", "runs/fit/dates"]) == 0
    assert set(fitting.read_metrics("runs/fit/dates")) == {"task", "tests"}
    assert main(["info", "runs/fit/dates"]) == 0
    assert "of 90 epochs, not ended" in capsys.readouterr().out
    assert main(["fit", "dates", "--resume", "runs/fit/dates", "--epochs", "1", "--quiet"]) == 0
    assert "tests" not in fitting.read_metrics("runs/fit/dates")


def test_a_labeler_leaves_how_each_label_fared(monkeypatch, tmp_path):
    monkeypatch.setitem(tasks.TASKS, "small", small(Labeler))
    assert main(["fit", "small", "--quiet"]) == 0
    scores, computed = Labeler.scores, []
    with monkeypatch.context() as patch:
        patch.setattr(Labeler, "scores",
                      lambda self, examples: computed.append(examples) or scores(self, examples))
        assert main(["fit", "small", "--evaluate", "runs/fit/small"]) == 0
    assert len(computed) == 1                           # for the measures and the report
    picture = tmp_path / "runs/fit/small/confusion.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    solver = tasks.TASKS["small"].load("runs/fit/small")
    matrix, test = solver.judged(rows(Labeler)), fitting.read_metrics("runs/fit/small")["tests"]
    assert matrix.sum() == 30 and np.trace(matrix) / 30 == test["test"]["accuracy"]
    lines = (tmp_path / "runs/fit/small/report.txt").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["precision", "no", "yes", "macro", "micro"]
    shown = [f"{test['test'][f'macro {name}']:.3f}" for name in ("precision", "recall", "F1")]
    assert lines[3].split() == ["macro", *shown, "30"]


def test_a_writer_is_measured_by_the_token_and_by_the_character(tmp_path):
    _, solver = begun(SMALL, tmp_path / "run", Writer)
    text = [(list("abc"), None), (["ab", "c"], None)]           # "ab" is one token, unknown
    found = solver.evaluate(text)
    nats = found["nats a token"] * (4 + 3)                      # with END
    assert found["bits a character"] == pytest.approx(nats / math.log(2) / (4 + 4))
    assert found["perplexity"] == pytest.approx(math.exp(found["nats a token"]))


def test_a_writer_goes_on_with_letters_alone(tmp_path):
    _, solver = begun(SMALL, tmp_path / "run", Writer)
    b = np.full(solver.source.vocab, -9, np.float32)
    b[[PAD, START]], b[solver.source.ids["f"]] = 30, 9          # sure of what is no letter, then f
    solver.model.load_state_dict({**solver.model.state_dict(), "head.b": b})
    assert solver.answer(list("ab"), "") == " ".join(5 * ["ab" + 100 * "f"])


@pytest.mark.parametrize("options, words", [
    (["tea"], "no task 'tea'; choose one of g2p, dates"),
    (["dates", "--hidden", "3"], "dates has no 'hidden'; its model has width"),
    (["dates", "--cell", "rnn"], "cell is 'rnn', expected one of lstm, gru"),
    (["dates", "--epochs", "0"], "epochs is 0"),
    (["dates", "--seconds", "0"], "--seconds is 0.0"),
    (["dates", "--resume", "a", "--evaluate", "b"], "three different things"),
    (["dates", "--resume", "a", "--batch", "3"], "leave out --batch"),
    (["dates", "--evaluate", "a", "--run", "b"], "leave out --run"),
    (["dates", "--resume", "a"], "a is not the folder of a run"),
    (["dates", "--try", "1 May 2001"], "there is no run of dates"),
    (["dates", "--try", ""], "there is no run of dates"),
    (["dates", "--beam", "0"], "--beam is 0, expected at least 1"),
    (["dates", "--beam", "3"], "--beam is for answers"),
    (["sentiment", "--evaluate", "a", "--beam", "3"], "sentiment has none to search for"),
    (["names", "--try", "a", "--beam", "3"], "names has none to search for"),
    (["dates", "--evaluate", "a", "--seconds", "5"], "--seconds stops a fit"),
    (["dates", "--try", "1 May 2001", "--seconds", "5"], "--seconds stops a fit"),
    (["dates", "--draw", "a.png"], "give a text (--try)"),
    (["names", "--try", "a", "--draw", "a.png"], "names writes no answer to a text"),
    (["sentiment", "--try", "a", "--draw", "a.png"], "sentiment writes no answer")])
def test_bad_options_are_one_line(options, words, little, capsys, tmp_path):
    assert main(["fit", *options]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("nanollm: ") and err.count("\n") == 1 and words in err
    assert out == "" and not list(tmp_path.iterdir())


def test_texts_and_beams_that_will_not_do_are_told(little, capsys):
    assert main(["fit", "dates", "--epochs", "1", "--quiet"]) == 0
    for options, words in (([""], "the text is empty"), ([" \t "], "the text is empty"),
                           (["§"], "word '§' at position 0"),
                           (["1 May 2001", "--beam", "0"], "beam is 0")):
        assert main(["fit", "dates", "--try", *options]) == 2
        assert words in capsys.readouterr().err


@pytest.fixture
def vectors(tmp_path):
    """The folder v: a vector for each of the letters a to d."""
    found = Vectors(Words(list("abcd")), np.arange(40, dtype=np.float32).reshape(8, 5) / 40)
    found.save(tmp_path / "v")
    return found


@pytest.mark.parametrize("kind", SIZES)
def test_a_fit_can_begin_with_word_vectors_frozen_or_not(kind, vectors, monkeypatch, capsys):
    monkeypatch.setitem(tasks.TASKS, "small", small(kind))
    for run, options in (("kept", ["--frozen"]), ("moved", [])):
        assert main(["fit", "small", "--vectors", "v", "--run", run, *options]) == 0
        assert "vectors 4 of 6 words from v\n" in capsys.readouterr().out
        assert main(["info", run]) == 0
        assert ("frozen" in capsys.readouterr().out) == bool(options)
        solver = tasks.TASKS["small"].load(run)
        rows = [solver.source.ids[letter] for letter in "abcd"]
        w = solver.embedding.w.numpy()[rows]
        assert w.shape[1] == 5                                  # their width decides
        assert np.array_equal(w, vectors.w[4:]) == (run == "kept")
        np.testing.assert_allclose(w, vectors.w[4:], atol=0.5)


def test_word_vectors_that_will_not_do_are_told(vectors, monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(tasks.TASKS, "small", small(Labeler))
    Vectors(Words(["zebra"]), np.ones((5, 5), np.float32)).save("others")
    for options, words in ((["--vectors", "nowhere"], "nowhere is no folder of word vectors"),
                           (["--vectors", "v", "--width", "8"], "expected (10, 5)"),
                           (["--vectors", "others"], "no word in common"),
                           (["--frozen"], "give their folder (--vectors)"),
                           (["--vectors", "v", "--resume", "a"], "leave out --vectors"),
                           (["--frozen", "--vectors", "v", "--try", "a"], "leave out --vectors")):
        assert main(["fit", "small", *options]) == 2
        out, err = capsys.readouterr()
        assert words in err and err.count("\n") == 1 and out == ""
    assert not (tmp_path / "runs").exists()


def test_an_alignment_is_drawn_where_there_is_attention(little, capsys, tmp_path, monkeypatch):
    for attention in "additive", "none":
        assert main(["fit", "dates", "--run", attention, "--epochs", "1", "--attention", attention,
                     "--encoder", "8", "--quiet"]) == 0
    ask = ["fit", "dates", "--try", "3 May 2021", "--draw"]
    assert main([*ask, "a.png", "--run", "additive"]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    for options, words in ((["b.png", "--run", "none"], "this model has no attention"),
                           (["b.nothing", "--run", "additive"], "cannot save the picture"),
                           (["no/b.png", "--run", "additive"], "cannot save the picture")):
        capsys.readouterr()
        assert main([*ask, *options]) == 2
        out, err = capsys.readouterr()
        assert words in err and err.count("\n") == 1 and out == ""
    monkeypatch.setattr(Rewriter, "translations", lambda self, sources, beam=1: [[]])
    assert main([*ask, "b.png", "--run", "additive"]) == 2
    assert "the answer has no token" in capsys.readouterr().err
    assert not list(tmp_path.glob("**/b.*"))


def test_a_word_too_rare_to_learn_is_unknown():
    found = [("a b", 0), ("a c", 1)]
    task = replace(small(Labeler), options={"least": 2})
    solver = task.begin(tasks.Parts(found, found, {"test": found}, ("no", "yes")))
    assert solver.source.encode("a b c").tolist() == [4, 1, 1]
    assert solver.model.embedding.w.shape[0] == 5


def test_a_text_without_words_is_told(monkeypatch, capsys):
    text = replace(small(Labeler), cut=str, read=lambda: tasks.Parts(
        [("a b", 1), ("b c", 0)], [("a", 1)], {"test": [("c", 0)]}, ("no", "yes")))
    monkeypatch.setitem(tasks.TASKS, "small", text)
    assert main(["fit", "small", "--quiet"]) == 0
    assert main(["fit", "small", "--try", " \n "]) == 2
    assert capsys.readouterr().err.endswith("--try: the text is empty, expected something to "
                                            "answer\n")
    assert main(["fit", "small", "--try", "a unheard b"]) == 0      # <unknown> is a word
    assert "yes" in capsys.readouterr().out


def test_the_data_sets_of_the_tasks_are_registered():
    assert {"cmudict-train", "cmudict-test", "names", "rt-polarity", "scan-train", "scan-test",
            "clinc150"} <= set(datasets.REGISTRY)
