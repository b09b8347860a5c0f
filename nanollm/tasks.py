"""Tasks that recurrent models learn: the data, what counts as right, and sizes that do it.

    task = TASKS["dates"]
    parts = task.parts()                        learn, check (validation) and test parts
    solver = task.begin(parts.learn)            vocabularies and an untrained model
    fitting = fit.begin(solver.problem(parts.learn, parts.check), solver.model, task.settings, ...)
    solver.answer("March 3rd, 2021")            "2021-03-03"

A solver is a model with its vocabularies; there is one kind for each kind of answer:

    Rewriter    Seq2Seq         a sequence for a sequence: right if it is one of the references
    Labeler     Classifier      a label for a text
    Writer      LanguageModel   the rest of a text; only its probability is judged
"""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nanollm import datasets, metrics
from nanollm.datasets.held_out import fold
from nanollm.errors import InputError
from nanollm.fit import FitSettings, Problem, load_best, mean_loss, read_config, side_by_side
from nanollm.models.recurrent import Classifier, LanguageModel
from nanollm.models.seq2seq import Seq2Seq, Seq2SeqConfig
from nanollm.text import Words, pad
from nanollm.text.words import END, PAD, START

ROWS = 256                      # that go through a model together where nothing is learned


class Parts(NamedTuple):
    """Rows (source, what is right): source is a text or a list of tokens."""

    learn: list
    check: list                 # validation
    tests: dict                 # {name: rows}, the first is the one to quote
    labels: tuple = ()          # names of the labels, for a Labeler


def in_batches(call, rows, size):
    """call(part) for parts of the rows, the short ones together; one result a row, in order.

    Rows are (sequence, ...), call returns a list.
    """
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    cut = [order[i:i + size] for i in range(0, len(order), size)]
    found = side_by_side([partial(call, [rows[i] for i in part]) for part in cut])
    results = dict(zip((i for part in cut for i in part), (x for part in found for x in part)))
    return [results[i] for i in range(len(rows))]


class Solver:
    """What the three kinds share: their vocabularies are kept in the folder of the run."""

    def save(self, folder):
        """Write the vocabularies into the folder of a run."""
        for name, words in self.vocabularies().items():
            words.save(Path(folder) / f"{name}.json")


class Rewriter(Solver):
    """Rows (source, [references]); a reference is a list of tokens."""

    def __init__(self, source, target, sizes, rng, most=100):
        self.source, self.target, self.most = source, target, most
        config = Seq2SeqConfig(source=source.vocab, target=target.vocab, **sizes)
        self.model = Seq2Seq(config, rng)

    @classmethod
    def learned_from(cls, rows, labels, sizes, rng, **settings):
        return cls(Words.train([source for source, _ in rows]),
                   Words.train([target for _, found in rows for target in found]), sizes, rng,
                   **settings)

    @classmethod
    def loaded(cls, folder, sizes, **settings):
        words = [Words.load(Path(folder) / f"{name}.json") for name in ("source", "target")]
        return cls(*words, sizes, np.random.default_rng(0), **settings)

    def vocabularies(self):
        return {"source": self.source, "target": self.target}

    def problem(self, learn, check):
        """An example is (ids, ids of one reference, all references)."""
        def examples(rows, every):
            return [(self.source.encode(source), self.target.encode(one, start=True, end=True),
                     found) for source, found in rows for one in (found if every else found[:1])]

        return Problem(examples(learn, True), examples(check, False),
                       lambda example: len(example[0]) + len(example[1]), self.collate, self.error)

    def collate(self, examples):
        target, lengths = pad([target for _, target, _ in examples], PAD)
        return (*pad([source for source, _, _ in examples], PAD), target), int(sum(lengths - 1))

    def error(self, model, examples):
        """The share of sources whose answer is none of the references."""
        found = self.translations([source for source, _, _ in examples])
        return metrics.word_error_rate([references for _, _, references in examples], found)

    def translations(self, sources, beam=1):
        """The answers, lists of tokens, to rows of ids."""
        def answers(rows):
            found, _ = self.model.translate(*pad([ids for ids, in rows], PAD), beam=beam,
                                            most=self.most)
            return [self.target.tokens(ids) for ids in found]

        return in_batches(answers, [(ids,) for ids in sources], max(1, ROWS // beam))

    def evaluate(self, rows, beam=1):
        """{measure: number} on rows: share of wrong answers, and of wrong tokens."""
        found = self.translations([self.source.encode(source) for source, _ in rows], beam)
        references = [references for _, references in rows]
        return {"wrong": metrics.word_error_rate(references, found),
                "token error rate": metrics.error_rate(references, found)}

    def answer(self, source, between, beam=1):
        return between.join(self.translations([self.source.encode(source, strict=True)], beam)[0])


class Labeler(Solver):
    """Rows (source, label), labels from 0."""

    def __init__(self, source, labels, sizes, rng):
        self.source, self.labels = source, labels
        self.model = Classifier(source.vocab, classes=labels.vocab - len(labels.special), rng=rng,
                                **sizes)

    @classmethod
    def learned_from(cls, rows, labels, sizes, rng, least=1):
        return cls(Words.train([source for source, _ in rows], least=least), Words(list(labels)),
                   sizes, rng)

    @classmethod
    def loaded(cls, folder, sizes, least=1):
        words = [Words.load(Path(folder) / f"{name}.json") for name in ("source", "labels")]
        return cls(*words, sizes, np.random.default_rng(0))

    def vocabularies(self):
        return {"source": self.source, "labels": self.labels}

    def problem(self, learn, check):
        """An example is (ids, label)."""
        learn, check = ([(self.source.encode(source), label) for source, label in rows]
                        for rows in (learn, check))
        return Problem(learn, check, lambda example: len(example[0]), self.collate, self.error)

    def collate(self, examples):
        labels = np.array([label for _, label in examples])
        return (*pad([ids for ids, _ in examples], PAD), labels), len(examples)

    def error(self, model, examples):
        """The share of wrong labels."""
        found = [int(scores.argmax()) for scores in self.scores(examples)]
        return 1 - metrics.accuracy(self.confusion(examples, found))

    def confusion(self, rows, found):
        """The confusion matrix of rows (..., label) and the labels found."""
        return metrics.confusion_matrix([label for _, label in rows], found,
                                        self.model.head.w.shape[1])

    def scores(self, examples):
        def scores(part):
            return list(self.model(*pad([ids for ids, *_ in part], PAD)).numpy())

        return in_batches(scores, examples, ROWS)

    def evaluate(self, rows, beam=1):
        """{measure: number} on rows."""
        found = [int(scores.argmax()) for scores in self.scores(self.problem([], rows).check)]
        matrix = self.confusion(rows, found)
        return {"accuracy": metrics.accuracy(matrix), "macro F1": metrics.f1(matrix, "macro")}

    def answer(self, source, between, beam=1):
        """The three likeliest labels with their probabilities."""
        (scores,) = self.scores([(self.source.encode(source),)])
        p = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        words = self.labels.words[len(self.labels.special):]
        return between.join(f"{words[i]} {p[i]:.3f}" for i in np.argsort(-p)[:3])


class Writer(Solver):
    """Rows (text as a list of tokens, None)."""

    def __init__(self, source, sizes, rng):
        self.source = source
        self.model = LanguageModel(source.vocab, rng=rng, **sizes)

    @classmethod
    def learned_from(cls, rows, labels, sizes, rng):
        return cls(Words.train([source for source, _ in rows]), sizes, rng)

    @classmethod
    def loaded(cls, folder, sizes):
        return cls(Words.load(Path(folder) / "source.json"), sizes, np.random.default_rng(0))

    def vocabularies(self):
        return {"source": self.source}

    def problem(self, learn, check):
        """An example is the ids from START to END."""
        learn, check = ([self.source.encode(source, start=True, end=True) for source, _ in rows]
                        for rows in (learn, check))
        return Problem(learn, check, len, self.collate, self.error)

    def collate(self, examples):
        ids, lengths = pad(examples, PAD)
        targets = np.where(ids[:, 1:] == PAD, -1, ids[:, 1:])
        return (ids[:, :-1], targets), int(sum(lengths - 1))

    def error(self, model, examples):
        """The mean loss of a token: there is no right answer to count."""
        return mean_loss(model, Problem([], examples, len, self.collate, None), ROWS)

    def evaluate(self, rows, beam=1):
        """{measure: number} on rows."""
        loss = self.error(self.model, self.problem([], rows).check)
        return {"nats a token": loss, "perplexity": metrics.perplexity(loss)}

    def answer(self, source, between, beam=1):
        """Five texts that begin so."""
        rng = np.random.default_rng(0)
        ids = np.concatenate([[START], self.source.encode(source, strict=True)])
        found = [self.model.write(ids, end=END, rng=rng, temperature=0.8) for _ in range(5)]
        return " ".join(between.join(self.source.tokens([*ids, *more])) for more in found)


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


def numbers(learn=40_000, check=1_000):
    """Numbers of at most 6 digits; tests: others of those, and some of 7 digits."""
    def rows(seed, count, part):
        pairs = datasets.numbers(np.random.default_rng(seed), count, part=part)
        return [(list(digits), [spoken(words)]) for digits, words in dict(pairs).items()]

    held = rows(1, 3 * check, "validation")
    return Parts(rows(0, learn, "train"), held[::2],
                 {"test": held[1::2], "7 digits": rows(2, check, "longer")})


def spoken(words):
    """forty-two thousand: forty, -, two, thousand."""
    return words.replace("-", " - ").split()


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


TASKS = {task.name: task for task in [
    Task("g2p", "English spelling to phonemes (CMUdict): the share of test words said wrong",
         pronunciation, Rewriter,
         dict(width=128, encoder=256, decoder=512, layers=1, cell="lstm",
              attention="multiplicative", dropout=0.3),
         FitSettings(epochs=12, batch=128, lr=1.5e-3, warmup=200), cut=lambda text: text.upper(),
         between=" "),
    Task("dates", "dates as people write them to 2021-03-03", date_forms, Rewriter,
         dict(width=32, encoder=64, decoder=128, layers=1, cell="lstm",
              attention="multiplicative", dropout=0.0),
         FitSettings(epochs=8, batch=64, lr=3e-3)),
    Task("numbers", "42 to forty-two", numbers, Rewriter,
         dict(width=32, encoder=64, decoder=128, layers=1, cell="lstm",
              attention="multiplicative", dropout=0.0),
         FitSettings(epochs=8, batch=64, lr=3e-3), between=" "),
    Task("scan", "commands such as 'walk twice' to actions (SCAN, simple split)", commands,
         Rewriter,
         dict(width=64, encoder=64, decoder=128, layers=1, cell="lstm",
              attention="multiplicative", dropout=0.1),
         FitSettings(epochs=12, batch=64, lr=2e-3), cut=str.split, between=" "),
    Task("names", "first names, letter by letter: a language model", names, Writer,
         dict(width=32, hidden=192, layers=1, dropout=0.2),
         FitSettings(epochs=15, batch=64, lr=3e-3)),
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
