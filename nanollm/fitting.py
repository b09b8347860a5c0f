"""Before the first step of a fit: settings, examples, folder; and what a run's folder says.

Whatever can be wrong is found here, before an hour is spent. A run has a checkpoint from the start,
of step 0, so it can be resumed whenever it ends.
"""

import math
import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nanollm import backend, checkpoint, optim, runs
from nanollm.errors import InputError
from nanollm.files import flush, read_json, write_json
from nanollm.parallel import automatic_shares
from nanollm.prepare import expect_room
from nanollm.presets import setting, typed

FORMAT = "fit 1"                # what config.json says of such a run
BEST = "best.safetensors"
SCHEDULES = "cosine", "plateau"


@dataclass(frozen=True)
class FitSettings:
    """All that decides a fit, beside the model. Raises InputError where a value makes no sense."""

    epochs: int = setting(10, "times that every example is shown, at most")
    batch: int = setting(64, "examples in a batch")
    lr: float = setting(2e-3, "highest learning rate")
    floor: float = setting(1e-5, "lowest learning rate")
    warmup: int = setting(100, "steps until the highest learning rate")
    schedule: str = setting("cosine", f"how the rate falls: {' or '.join(SCHEDULES)}")
    wait: int = setting(1, "plateau: epochs without a lower error until the rate is halved")
    patience: int = setting(5, "epochs without a lower error until the run ends")
    beta1: float = setting(0.9, "AdamW: memory of the gradient's mean")
    beta2: float = setting(0.999, "AdamW: memory of the gradient's square")
    decay: float = setting(0.0, "AdamW: weight decay, of matrices only")
    clip: float = setting(1.0, "largest norm of the whole gradient; 0: any")
    save: int = setting(500, "steps between two checkpoints")
    seed: int = setting(0, "the same seed gives the same fit")
    shares: int = setting(0, "parts of a batch that run side by side; 0: one for each core")

    def __post_init__(self):
        for f in fields(self):
            object.__setattr__(self, f.name, typed(f.name, f.type, getattr(self, f.name)))
        for lowest, names in ((1, "epochs batch wait patience save"),
                              (0, "lr floor warmup decay clip seed shares")):
            for name in names.split():
                if getattr(self, name) < lowest:
                    raise InputError(f"{name} is {getattr(self, name)}, expected at least {lowest}")
        for name in "beta1", "beta2":
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected 0 or more, below 1")
        if self.schedule not in SCHEDULES:
            raise InputError(f"schedule is {self.schedule!r}, expected {' or '.join(SCHEDULES)}")


class Problem(NamedTuple):
    """What there is to learn, and how it is shown to the model.

    learn, check    lists of examples, to learn from and to validate on
    length          example → a number: examples with near numbers share a batch
    collate         list of examples → (arrays for model.loss, how many targets they hold)
    error           list of examples → how wrong the model is on them, a number from 0 up
    """

    learn: list
    check: list
    length: Any
    collate: Any
    error: Any


@dataclass
class Fitting:
    """A fit under way."""

    folder: Path
    settings: FitSettings
    problem: Problem
    model: Any
    optimizer: dict
    config: dict                                        # what config.json says
    step: int = 0                                       # steps done
    looks: list = field(default_factory=list)           # [loss, error] after each epoch
    seconds: float = 0.0                                # spent so far
    order: tuple = (None, None)                         # an epoch, and its batches
    interrupted: bool = False                           # did Ctrl-C end the last `run`?

    @property
    def per_epoch(self):
        """Steps in an epoch."""
        return -(-len(self.problem.learn) // self.settings.batch)

    @property
    def steps(self):
        """Steps of the whole run, if nothing ends it before."""
        return self.settings.epochs * self.per_epoch

    @property
    def errors(self):
        """The validation error after each epoch."""
        return [error for _, error in self.looks]

    @property
    def stale(self):
        """For how many epochs the error has not fallen below its best."""
        return len(self.looks) - 1 - int(np.argmin(self.errors)) if self.looks else 0

    @property
    def finished(self):
        return self.step >= self.steps or self.stale >= self.settings.patience

    def learned(self):
        """{path: Tensor} of the parameters that are not frozen."""
        return learned(self.model, self.config["frozen"])

    def save(self):
        """Write a checkpoint, if this step has none."""
        checkpoint.save(self.folder, self.step, self.model, self.optimizer,
                        {"looks": self.looks, "seconds": self.seconds})


def learned(model, frozen):
    """{path: Tensor} of a model's parameters but the frozen ones."""
    return {path: t for path, t in model.parameters().items() if path not in frozen}


def begin(problem, model, settings, folder, config, keep=None, frozen=()):
    """A new fit in a new folder.

    config      what config.json says beside the settings: "task" and "model" at least
    keep        called with the folder, to write what else belongs to the run
    frozen      paths of the parameters that stay as they are

    Raises InputError where examples or place will not do.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder} exists: go on with it if it is a run (--resume {folder}), or "
                         "choose another folder (--run)")
    for name, part in ("learn from", problem.learn), ("validate on", problem.check):
        if not part:
            raise InputError(f"there are no examples to {name}, expected one or more")
    expect_room(folder, model)
    settings = replace(settings,
                       shares=settings.shares or automatic_shares(model, settings.batch))
    config = {"format": FORMAT, **config, "frozen": list(frozen), "backend": backend.current(),
              "settings": asdict(settings), "examples": counts(problem),
              "versions": runs.versions()}
    optimizer = optim.adamw_state(learned(model, frozen))
    t = Fitting(folder, settings, problem, model, optimizer, config)
    with runs.new_folder(folder):
        if keep is not None:
            keep(folder)
        write_json(folder / "config.json", config)
        t.save()
    return t


def resume(problem, model, folder, *, epochs=None):
    """The fit of a run, where its newest step left off; `epochs` is a new number of them in all.

    It goes on with the current backend. A cosine over more epochs than planned goes on from where
    the longer one would be. Raises InputError where a file is missing or damaged, or nothing is
    left to do.
    """
    folder = Path(folder)
    config = read_config(folder)
    settings = read_settings(folder, config["settings"])
    if epochs is not None:
        settings = replace(settings, epochs=epochs)
    optimizer = optim.adamw_state(learned(model, config["frozen"]))
    state = checkpoint.load(folder, model, optimizer)
    t = Fitting(folder, settings, problem, model, optimizer,
                {**config, "settings": asdict(settings), "backend": backend.current()},
                state["step"], read_looks(folder, state), state.get("seconds", 0.0))
    if counts(problem) != config.get("examples"):
        raise InputError(f"{folder} was begun with other examples: {config.get('examples')}, but "
                         f"there are {counts(problem)}; begin a new run")
    if len(t.looks) != t.step // t.per_epoch:
        raise InputError(f"{folder}: state.json is damaged: it has {len(t.looks)} looks after "
                         f"{t.step} steps, expected {t.step // t.per_epoch}")
    if t.looks:                                         # is it whole? In the end it will be needed
        checkpoint.load_arrays(folder / BEST, model.parameters())
    if t.finished and "error" in read_metrics(folder):
        raise InputError(f"{folder} is finished after {len(t.looks)} epochs; to go on, ask for "
                         f"more in all (--epochs {2 * len(t.looks)}) or begin a new run with more "
                         "--patience")
    expect_room(folder, model)
    checkpoint.clear(folder)
    if t.config != config:
        write_json(folder / "config.json", t.config)
    (folder / "metrics.json").unlink(missing_ok=True)
    return t


def counts(problem):
    """How many examples there are: not the same number, not the same data."""
    return {"learn": len(problem.learn), "check": len(problem.check)}


def read_config(folder):
    """What config.json of such a run says. Raises InputError unless it is one."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} is not the folder of a run: it has no config.json")
    config = read_json(folder / "config.json")
    if config.get("format") != FORMAT:
        raise InputError(f"{folder / 'config.json'} has format {config.get('format')!r}, expected "
                         f"{FORMAT!r}: `fit` did not make this run")
    config = {"vectors": "", "frozen": [], **config}
    for key, kind in (("settings", dict), ("model", dict), ("task", str), ("backend", str),
                      ("versions", dict), ("vectors", str), ("frozen", list)):
        if type(config.get(key)) is not kind or (
                kind is list and not all(type(path) is str for path in config[key])):
            raise InputError(f"{folder / 'config.json'} is damaged: {key} is {config.get(key)!r}")
    return config


def started(config):
    """[(name, value)]: the word vectors that a run began with, and what is frozen, if anything."""
    found = ("vectors", config.get("vectors")), ("frozen", ", ".join(config["frozen"]))
    return [(name, value) for name, value in found if value]


def read_metrics(folder):
    """What metrics.json of a run says, {} where there is none: "error" once the fit has ended,
    "tests" once it was measured.
    """
    path = Path(folder) / "metrics.json"
    found = read_json(path) if path.exists() else {}
    tests = found.get("tests", {})
    if type(tests) is not dict or not all(type(test) is dict for test in tests.values()):
        raise InputError(f"{path} is damaged: tests is {tests!r:.80}, expected a JSON object of "
                         "objects; remove the file")
    return found


def read_settings(folder, values):
    try:
        return FitSettings(**values)
    except (TypeError, InputError) as error:
        raise InputError(f"{folder / 'config.json'} has no good settings: {error}") from None


def read_looks(folder, state):
    """[[loss, error], ...] in a checkpoint's state."""
    looks = state.get("looks")
    if type(looks) is not list or not all(
            type(look) is list and len(look) == 2
            and all(type(x) is float and math.isfinite(x) for x in look) for look in looks):
        raise InputError(f"{folder}: state.json is damaged: looks is {looks!r}, expected pairs of "
                         "numbers")
    return looks


def load_best(folder, model):
    """Fill the model with the best weights of a run: those of its newest step, before any look.

    Raises InputError where a file is missing, damaged, or does not fit the model.
    """
    path = Path(folder) / BEST
    if path.exists():
        model.load_state_dict(checkpoint.load_arrays(path, model.parameters()))
    elif checkpoint.load(folder, model).get("looks"):
        raise InputError(f"{path} is missing: the best weights of {folder} are lost")


def keep_best(t):
    """Write the weights as they are to best.safetensors, whole or not at all."""
    unnamed = t.folder / f".best.{os.getpid()}.partial"
    try:
        checkpoint.save_arrays(unnamed, t.model.state_dict())
        os.replace(unnamed, t.folder / BEST)
        flush(t.folder)
    finally:
        unnamed.unlink(missing_ok=True)
