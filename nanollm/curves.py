"""Is my loss right? A run beside the curves of five trainings that were.

    reference = load("quick")                       data/curves/quick.json
    comparison = compare("runs/quick", reference)
    comparison.outside                              where the run leaves the band
    causes(comparison)                              the likeliest reasons, the likeliest first
    draw(comparison, "compare.png")

A reference holds the losses of one preset with five seeds, each the mean over BINS equal parts of
the training. The band is their mean ± WIDE standard deviations (at least LEAST of the mean), the
deviation averaged over neighboring bins, because of five seeds alone it is uncertain. A run is
outside where two bins in a row are, or two validation losses in a row, or its only one.

Landmarks, in nats a token, say what a loss means:

    uniform     log V                       every token equally likely: nothing has been learned
    unigram     H(x_t)                      how frequent each token is, and no more
    bigram      H(x_t | x_{t-1})            the token before, and no more; of the training text, so
                                            for large vocabularies it is too low
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nanollm import diary, figures, runs
from nanollm.errors import InputError
from nanollm.files import read_json, write_json
from nanollm.presets import PRESETS, preset

FOLDER = Path(__file__).resolve().parents[1] / "data" / "curves"
BINS, WIDE, LEAST, NEIGHBORS = 100, 4.0, 0.01, 5
UNSEEN = "save", "evaluate", "shares"       # settings that no loss depends on


@dataclass(frozen=True)
class Band:
    """What is usual: at each of `steps` a loss from `low` to `high`, `middle` on average."""

    steps: np.ndarray
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray

    def at(self, steps):
        """The Band at other steps, by straight lines between its own."""
        return Band(steps, *(np.interp(steps, self.steps, side)
                             for side in (self.low, self.middle, self.high)))


@dataclass(frozen=True)
class Reference:
    """The curves of a preset. train (seeds, bins); check (seeds, looks)."""

    preset: str
    seeds: list
    settings: dict
    text: dict
    landmarks: dict
    width: int                              # steps in a bin
    start: list                             # the loss of the first step, for each seed
    train: np.ndarray
    looks: np.ndarray                       # steps after which validation was measured
    check: np.ndarray

    def band(self):
        """The Band of the training loss."""
        steps = self.width * (np.arange(self.train.shape[1]) + 1)
        return band(steps, self.train)

    def check_band(self):
        """The Band of the validation loss."""
        return band(self.looks, self.check)


def band(steps, losses):
    """The Band around the curves losses (seeds, bins)."""
    middle, spread = losses.mean(axis=0), losses.std(axis=0, ddof=1)
    near = np.arange(len(steps))
    near = np.abs(near[:, None] - near) <= NEIGHBORS            # (bins, bins)
    spread = (near * spread).sum(axis=1) / near.sum(axis=1)
    reach = np.maximum(WIDE * spread, LEAST * middle)
    return Band(np.asarray(steps), middle - reach, middle, middle + reach)


@dataclass(frozen=True)
class Comparison:
    """A run and its reference, over the steps that both have."""

    run: Path
    config: dict
    reference: Reference
    planned: int                            # steps of the run, had it ended
    done: int
    start: float                            # the loss of its first step
    train: np.ndarray                       # (bins of the run,)
    looks: np.ndarray
    check: np.ndarray

    @property
    def usual(self):
        """The Band of the training loss, over the bins of the run."""
        return self.reference.band().at(self.reference.width * (np.arange(len(self.train)) + 1))

    @property
    def usual_check(self):
        """The Band of the validation loss, at the looks of the run."""
        return self.reference.check_band().at(self.looks)

    @property
    def outside(self):
        """[(first step, last step, "training" or "validation", "above" or "below")]."""
        found = []
        for name, losses, usual, least in (
                ("training", self.train, self.usual, 2),
                ("validation", self.check, self.usual_check, min(2, len(self.looks)))):
            for where, which in ("above", losses > usual.high), ("below", losses < usual.low):
                found += [(int(usual.steps[a]), int(usual.steps[b - 1]), name, where)
                          for a, b in stretches(which) if b - a >= least]
        return sorted(found)

    @property
    def different(self):
        """{setting: (of the run, of the reference)} for those that decide a loss."""
        theirs, ours = self.reference.settings, self.config["settings"]
        return {name: (ours[name], theirs[name]) for name in theirs
                if name not in (*UNSEEN, "seed") and ours.get(name) != theirs[name]}


def stretches(which):
    """[(first, end)] of the unbroken stretches of True."""
    edges = np.flatnonzero(np.diff(np.r_[0, which, 0]))
    return list(zip(edges[::2], edges[1::2]))


# Reading and writing

def load(name):
    """The Reference of a preset. Raises InputError where there is none."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        preset(name)                                            # is there such a preset at all?
        have = ", ".join(sorted(p.stem for p in FOLDER.glob("*.json"))) or "none"
        raise InputError(f"there are no reference curves of the preset {name!r} (there are: "
                         f"{have}); `python -m nanollm compare --record {name}` makes them")
    content = read_json(path)
    try:
        return Reference(**{key: np.array(value) if key in ("train", "looks", "check")
                            else value for key, value in content.items()})
    except TypeError as error:
        raise InputError(f"{path} holds no reference curves: {error}") from None


def binned(rows, width):
    """(bins,) means of the training loss over `width` steps each, the unfinished one left out."""
    values = np.array([row["train_loss"] for row in rows])
    bins = len(values) // width
    return values[:bins * width].reshape(bins, width).mean(axis=1)


def rows_of(run):
    """The lines of a run's diary, and the steps and losses of its looks at the validation text."""
    rows = diary.read(Path(run) / "losses.csv")
    if not rows:
        raise InputError(f"{run} has no losses yet (losses.csv is missing or empty): train it "
                         "first")
    looks = [(row["step"], row["val_loss"]) for row in rows if row["val_loss"] is not None]
    steps, losses = np.array(looks).T if looks else np.empty((2, 0))
    return rows, steps.astype(int), losses


def compare(run, reference=None):
    """The Comparison of a run of `train` with the reference of its preset, or another."""
    config = runs.read_config(run)
    if reference is None:
        if config["preset"] not in PRESETS:
            raise InputError(f"{run} was trained without a preset: name one to compare it with "
                             "(--preset)")
        reference = load(config["preset"])
    rows, looks, check = rows_of(run)
    rows = rows[:reference.width * reference.train.shape[1]]
    if len(rows) < 2 * reference.width:
        raise InputError(f"{run} has done {len(rows)} steps: at least {2 * reference.width} are "
                         "needed to compare it")
    known = looks <= reference.looks[-1]
    return Comparison(Path(run), config, reference, config["settings"]["steps"], len(rows),
                      rows[0]["train_loss"], binned(rows, reference.width), looks[known],
                      check[known])


def record(name, seeds=5, *, home=None, quiet=False):
    """Train a preset with several seeds, in home (runs/curves), and write its reference curves.

    Runs that are there are used, and unfinished ones finished. Returns the path of the file.
    """
    from nanollm import train
    if seeds < 2:
        raise InputError(f"the number of seeds is {seeds}, expected 2 or more: a band needs them")
    home = runs.HOME / "curves" if home is None else Path(home)
    settings = preset(name)
    folders = []
    for seed in range(settings.seed, settings.seed + seeds):
        folder = home / f"{name}-{seed}"
        folders.append(folder)
        if (folder / "metrics.json").exists():
            continue
        if not quiet:
            print(f"seed {seed}", flush=True)
        t = (train.resume(folder, quiet=quiet) if folder.exists() else
             train.begin(replace(settings, seed=seed), folder, preset=name, quiet=quiet))
        if train.run(t, quiet=quiet) is None:
            raise KeyboardInterrupt
    return write_reference(name, folders)


def write_reference(name, folders):
    """Write the reference curves of finished runs of one preset; returns the path."""
    configs, diaries = [runs.read_config(f) for f in folders], [rows_of(f) for f in folders]
    width = max(1, configs[0]["settings"]["steps"] // BINS)
    texts = [config["text"] for config in configs]
    if any(text != texts[0] for text in texts):
        raise InputError("these runs learned from different texts: delete them and begin anew")
    content = {
        "preset": name, "seeds": [config["settings"]["seed"] for config in configs],
        "settings": configs[0]["settings"], "text": texts[0],
        "landmarks": landmarks(folders[0]), "width": width,
        "start": rounded([rows[0]["train_loss"] for rows, _, _ in diaries]),
        "train": [rounded(binned(rows, width)) for rows, _, _ in diaries],
        "looks": diaries[0][1].tolist(), "check": [rounded(check) for _, _, check in diaries]}
    path = FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, content)
    return path


def rounded(losses):
    return [round(float(loss), 4) for loss in losses]


def landmarks(run):
    """{name: nats a token} of the text that a run learned from."""
    from nanollm import datasets
    config = runs.read_config(run)
    settings = runs.settings(run, config)
    tokenizer, _ = runs.untrained(run, config)
    learn, _ = datasets.split(datasets.text(settings.data, quiet=True), settings.holdout)
    ids, V = tokenizer.encode(learn), tokenizer.vocab
    single = entropy(ids)
    return {"uniform": round(math.log(V), 4), "unigram": round(single, 4),
            "bigram": round(entropy(ids[:-1].astype(np.int64) * V + ids[1:]) - single, 4)}


def entropy(ids):
    """The entropy of the ids' frequencies, in nats."""
    _, counts = np.unique(ids, return_counts=True)
    p = counts / counts.sum()
    return float(-(p * np.log(p)).sum())


# What it means

def causes(c):
    """Lines: why the run may have left the band, the likeliest first; none if it is inside."""
    found = [f"{name} is {ours}, in the reference {theirs}"
             for name, (ours, theirs) in c.different.items()]
    if not c.outside:
        return []
    if {"data", "tokenizer"} & {*c.different} or (
            "vocab" in c.different and c.config["settings"]["tokenizer"] == "byte pairs"):
        return found + ["it reads other tokens than the reference: a loss in nats a token says "
                        "nothing beside a loss in nats of another token"]
    if c.config["text"] != c.reference.text:
        found.append("it learned from another text than the reference ("
                     + ("another Python has other help texts" if
                        c.config["settings"]["data"] == "pydoc" else "the sha256 differs") + ")")
    shape = next((line for line in (cause(c) for cause in SHAPES) if line), None)
    return found + [shape or "the curve has no shape that is known here: compare the settings, "
                    "then check each backward (python -m nanollm check)"]


def last(losses, share=0.2):
    """The mean of the last part of a curve."""
    return float(np.mean(losses[-max(1, round(share * len(losses))):]))


def flat(losses):
    """Does the second half of the curve fall by less than 2 %?"""
    half = losses[len(losses) // 2:]
    return len(half) > 1 and half[0] - last(half) < 0.02 * half[0]


def near(a, b, share=0.02):
    return abs(a - b) <= share * b


def diverged(c):
    if np.max(c.train) > 1.2 * max(c.start, c.reference.landmarks["uniform"]) or (
            c.done < c.planned and c.train[-1] > 1.1 * np.min(c.train) and
            c.train[-1] > c.usual.middle[-1]):
        return ("it diverges: the loss climbs after it had been lower. The learning rate is too "
                "high, or the warm-up too short, or the gradient is not clipped")


def starts_high(c):
    usual = max(c.reference.start)
    if c.start > 1.15 * usual:
        return (f"it starts at {c.start:.2f} in place of {usual:.2f} (log V = "
                f"{c.reference.landmarks['uniform']:.2f}): the first weights are too large, or the "
                "scale 1/√D of attention or a normalization is missing")


def leaks(c):
    below = any(where == "below" for *_, where in c.outside)
    if below and last(c.train) < 0.7 * c.usual.middle[-1] and (
            not len(c.check) or last(c.check) < 0.8 * c.usual_check.middle[-1]):
        return (f"a loss of {last(c.train):.2f} is lower than this text allows: the answer leaks "
                "into the question. The target is not shifted by one, the causal mask lets a token "
                "see the next, or the validation text is learned from")


def frozen(c):
    if near(last(c.train), c.reference.landmarks["uniform"]) and flat(c.train):
        return (f"it stays at log V = {c.reference.landmarks['uniform']:.2f}, every token equally "
                "likely: no step reaches the weights. The learning rate is 0, the gradients do not "
                "reach the optimizer, or the optimizer changes copies")


def frequencies(c):
    if near(last(c.train), c.reference.landmarks["unigram"], 0.03) and flat(c.train):
        return (f"it stays at {last(c.train):.2f}, where the frequencies of the tokens are known "
                f"and no more ({c.reference.landmarks['unigram']:.2f}): nothing comes through from "
                "the input. The targets do not belong to the inputs, the blocks' output is not "
                "used, or their gradients are cut off or far too large for the step")


def neighbors(c):
    if near(last(c.train), c.reference.landmarks["bigram"], 0.03) and flat(c.train):
        return (f"it stays at {last(c.train):.2f}, about what the token before alone tells "
                f"({c.reference.landmarks['bigram']:.2f}): attention does not look back. The mask "
                "hides too much, the softmax runs over the wrong axis, or positions are missing")


def memorizes(c):
    if not len(c.check):
        return None
    if last(c.train) < c.usual.middle[-1] and c.check[-1] > c.usual_check.middle[-1]:
        return ("it is better than the reference on what it learns from, and worse on the "
                "validation text: it memorizes. There is too little text, too little dropout or "
                "weight decay, or the two texts are of different kinds")


def slow(c):
    middle, now = c.reference.band().middle, last(c.train, 0.05)
    behind = np.flatnonzero(middle < now)
    if len(behind) and behind[0] + 1 < 0.8 * len(c.train):
        steps = c.reference.width * (behind[0] + 1)
        return (f"after {c.done:,} steps it is where the reference was after {steps:,}: it learns "
                "too slowly. The learning rate or the batch is too small, the warm-up too long, "
                "or a gradient is divided once too often")


def worse(c):
    if any(where == "above" for *_, where in c.outside):
        return ("it falls as it should, but ends above the band: the model is smaller, a part of "
                "it gets no gradient, the steps are too large to settle, or dropout is left on "
                "where the loss is measured")


SHAPES = diverged, starts_high, leaks, frozen, frequencies, neighbors, memorizes, slow, worse


def draw(c, path):
    """Save the run's curves over the band as a picture."""
    usual, check = c.reference.band(), c.reference.check_band()
    marks = c.reference.landmarks
    with figures.picture(path) as axes:
        axes.fill_between(usual.steps, usual.low, usual.high, color=figures.SKY, alpha=0.35,
                          linewidth=0, label=f"training loss of {len(c.reference.seeds)} seeds")
        axes.fill_between(check.steps, check.low, check.high, color=figures.YELLOW, alpha=0.6,
                          linewidth=0, label="their validation loss")
        axes.plot(usual.steps[:len(c.train)], c.train, color=figures.BLUE, label="this run")
        axes.plot(c.looks, c.check, "o", color=figures.RED, label="its validation loss")
        axes.axhline(marks["uniform"], color=figures.BLACK, linewidth=1, linestyle=":")
        axes.text(usual.steps[-1], marks["uniform"], "log V", ha="right", va="bottom", fontsize=11)
        axes.set(xlabel="optimizer steps", ylabel="loss (nats a token)", xlim=(0, usual.steps[-1]),
                 title=f"{c.run.name} beside {c.reference.preset}")
        axes.legend()
