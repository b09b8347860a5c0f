"""Tasks that recurrent models learn: the data, what counts as right, and sizes that do it.

    task = TASKS["dates"]
    parts = task.read()                         learn, check (validation) and test rows
    solver = task.begin(parts)                  vocabularies and an untrained model (solvers.py)
    solver = task.load("runs/fit/dates")        or those of a run
    solver.answer(list("March 3rd, 2021"), "")  "2021-03-03"

`python -m nanollm fit NAME` fits a task (fit.py); its file is cli/fit.py.
"""

import re
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nanollm import datasets
from nanollm.datasets.held_out import fold
from nanollm.errors import InputError
from nanollm.fitting import FitSettings, load_best, read_config
from nanollm.solvers import Labeler, Rewriter, Writer


class Parts(NamedTuple):
    """Rows (source, what is right): source is a text or a list of tokens."""

    learn: list
    check: list                 # validation
    tests: dict                 # {name: rows}, the first is the one to quote
    labels: tuple = ()          # names of the labels, for a Labeler


@dataclass(frozen=True)
class Task:
    """A task; `python -m nanollm fit NAME` fits it.

    read        () → Parts
    kind        Rewriter, Labeler or Writer, with `options` of its own
    sizes       of the model, as its config or its constructor names them
    cut         the text of a user → source;   between  what stands between the tokens of an answer
    """

    name: str
    what: str
    read: Any
    kind: type
    sizes: dict
    settings: FitSettings
    cut: Any = list
    between: str = ""
    options: dict = field(default_factory=dict)

    def resized(self, sizes):
        """The task with other sizes. Raises InputError for one that its model has not."""
        unknown = [name for name in sizes if name not in self.sizes]
        if unknown:
            raise InputError(f"{self.name} has no {unknown[0]!r}; its model has "
                             f"{', '.join(self.sizes)}")
        return replace(self, sizes={**self.sizes, **sizes})

    def begin(self, parts):
        """A solver with vocabularies of the training part and an untrained model."""
        return self.kind.learned_from(parts.learn, parts.labels, self.sizes,
                                      np.random.default_rng(self.settings.seed), **self.options)

    def load(self, folder, *, best=True):
        """The solver of a run, with its best weights; best=False: untrained, to be resumed."""
        config = read_config(folder)
        if config["task"] != self.name:
            raise InputError(f"{folder} is a run of the task {config['task']!r}, not {self.name!r}")
        try:
            solver = self.kind.loaded(folder, config["model"], **self.options)
        except TypeError as error:
            raise InputError(f"{Path(folder) / 'config.json'} describes no model of this task: "
                             f"{error}") from None
        if best:
            load_best(folder, solver.model)
        return solver


# The parts of each task

def pronunciation():
    learn, check, test = ([(list(word), [list(sound) for sound in sounds])
                           for word, sounds in part] for part in datasets.pronunciations())
    return Parts(learn, check, {"test": test})


def upper(text):
    """A word as CMUdict writes it."""
    return list(text.upper())


def date_forms(learn=40_000, check=2_000):
    """Days of the test part are shared between check and test, again by their sha256."""
    def rows(seed, count, part):
        pairs = datasets.dates(np.random.default_rng(seed), count, part=part)
        return [(list(text), [list(iso)]) for text, iso in pairs]

    def for_check(row):
        return fold("check " + "".join(row[1][0]), 2) == 0

    held = rows(1, 2 * check, "test")
    return Parts(rows(0, learn, "train"), [row for row in held if for_check(row)],
                 {"test": [row for row in held if not for_check(row)]})


def numbers(source, target, learn=40_000, check=1_000):
    """Numbers of at most 7 digits, each written twice; tests: others of those, and some of 8.

    With 8 digits every word is one of those learned: with 7 there are already a million and 百万.
    """
    def rows(seed, count, part):
        pairs = datasets.numbers(np.random.default_rng(seed), count, source=source, target=target,
                                 longest=7, part=part)
        return [(PIECES[source](a), [PIECES[target](b)]) for a, b in dict(pairs).items()]

    held = rows(1, 3 * check, "validation")
    return Parts(rows(0, learn, "train"), held[::2],
                 {"test": held[1::2], "8 digits": rows(2, check, "longer")})


def spoken(text):
    """A number in words, each with what joins it to the one before: forty, -two, " thousand"."""
    return re.findall("[ -]?[^ -]+", text.lower())


PIECES = {"digits": list, "en": spoken, "fr": spoken, "zh": list}


def commands():
    learn, test = ([(list(command), [list(actions)]) for command, actions in part]
                   for part in datasets.scan())

    def for_check(row):
        return fold(" ".join(row[0]), 10) == 0

    return Parts([row for row in learn if not for_check(row)],
                 [row for row in learn if for_check(row)], {"test": test})


def sentiment():
    learn, test = datasets.sentiment()
    return Parts([row for row in learn if fold(row[0], 10) != 0],
                 [row for row in learn if fold(row[0], 10) == 0], {"test": test},
                 ("negative", "positive"))


def intents():
    parts, labels = datasets.intents()
    return Parts(parts["train"], parts["validation"], {"test": parts["test"]}, tuple(labels[:-1]))


def names():
    rows = [(list(name), None) for name in datasets.names()]

    def part(*folds):
        return [row for row in rows if fold("".join(row[0]), 10) in folds]

    return Parts(part(*range(2, 10)), part(1), {"test": part(0)})


def lower(text):
    """The beginning of a name as the names are written."""
    return list(text.lower())


TASKS = {task.name: task for task in [
    Task("g2p", "English spelling to phonemes (CMUdict): the share of test words said wrong",
         pronunciation, Rewriter,
         dict(width=128, encoder=192, decoder=384, layers=2, cell="lstm",
              attention="multiplicative", dropout=0.3),
         FitSettings(epochs=24, batch=128, lr=1.5e-3, warmup=200), cut=upper,
         between=" "),
    Task("dates", "dates as people write them to 2021-03-03", date_forms, Rewriter,
         dict(width=32, encoder=64, decoder=128, layers=1, cell="lstm",
              attention="multiplicative", dropout=0.0),
         FitSettings(epochs=4, batch=64, lr=3e-3)),
    *(Task(name, what, partial(numbers, *forms), Rewriter,
           dict(width=32, encoder=64, decoder=128, layers=1, cell="lstm",
                attention="multiplicative", dropout=0.0),
           FitSettings(epochs=8, batch=64, lr=3e-3), cut=PIECES[forms[0]])
      for name, what, *forms in (
          ("numbers", "numbers in words: 42 to forty-two", "digits", "en"),
          ("numbers-fr", "the words in French: forty-two to quarante-deux", "en", "fr"),
          ("numbers-zh", "these in Chinese: quarante-deux to 四十二", "fr", "zh"))),
    Task("scan", "commands such as 'walk twice' to actions (SCAN, simple split)", commands,
         Rewriter,
         dict(width=64, encoder=64, decoder=128, layers=1, cell="lstm",
              attention="multiplicative", dropout=0.1),
         FitSettings(epochs=12, batch=64, lr=2e-3), cut=str.split, between=" "),
    Task("names", "first names, letter by letter: a language model", names, Writer,
         dict(width=32, hidden=192, layers=1, dropout=0.2),
         FitSettings(epochs=15, batch=64, lr=3e-3), cut=lower),
    Task("sentiment", "sentences of movie reviews: negative or positive", sentiment, Labeler,
         dict(width=64, hidden=64, layers=1, bidirectional=True, pooling="mean", dropout=0.5),
         FitSettings(epochs=12, batch=64, lr=1e-3, decay=0.01, patience=4), cut=str,
         between="  ", options={"least": 2}),
    Task("intents", "what a customer wants: 150 intents (CLINC150, in scope)", intents, Labeler,
         dict(width=128, hidden=128, layers=1, bidirectional=True, pooling="mean", dropout=0.4),
         FitSettings(epochs=30, batch=64, lr=2e-3, patience=6), cut=str, between="  "),
]}


def task(name):
    """The task of this name. Raises InputError where there is none."""
    if name not in TASKS:
        raise InputError(f"no task {name!r}; choose one of {', '.join(TASKS)}")
    return TASKS[name]
