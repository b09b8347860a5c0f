"""Solvers: a model with its vocabularies, from rows of text to rows of answers.

    Rewriter    Seq2Seq         a sequence for a sequence: right if it is one of the references
    Labeler     Classifier      a label for a text
    Writer      LanguageModel   the rest of a text; only its probability is judged

Each kind has

    learned_from(rows, labels, sizes, rng)      vocabularies of the rows, an untrained model
    loaded(folder, sizes)                       the same with the vocabularies of a run
    problem(learn, check)                       what fit.py needs
    evaluate(rows), answer(source, between)     measures by name; the answer as text

A Labeler's evaluate is measures(judged(rows)), and it can also report(judged(rows), folder); a
Rewriter with attention can draw_alignment(source, path).
"""

from functools import partial
from pathlib import Path

import numpy as np

from nanollm import figures, metrics
from nanollm.errors import InputError
from nanollm.files import write
from nanollm.fit import mean_loss
from nanollm.fitting import Problem
from nanollm.models.recurrent import Classifier, LanguageModel
from nanollm.models.seq2seq import Seq2Seq, Seq2SeqConfig
from nanollm.ops.softmax import softmax
from nanollm.parallel import side_by_side
from nanollm.text import Words, pad
from nanollm.text.words import END, PAD, START

ROWS = 256                      # that go through a model together where nothing is learned


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
    """What the three kinds share: their vocabularies are kept in the folder of the run.

    source, embedding   the Words of the source and the layer that reads their ids
    """

    @property
    def embedding(self):
        return self.model.embedding

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

    @property
    def embedding(self):
        return self.model.source

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

    def error(self, examples):
        """The share of sources whose answer is none of the references."""
        found = self.translations([source for source, _, _ in examples])
        return metrics.word_error_rate([references for _, _, references in examples], found)

    def translations(self, sources, beam=1):
        """The answers, lists of tokens, to rows of ids."""
        def answers(rows):
            found, _ = self.model.translate(*pad([ids for ids, in rows], PAD), beam=beam,
                                            most=self.most)
            return [self.target.tokens(ids) for ids in found]

        return in_batches(answers, [(ids,) for ids in sources], ROWS // max(beam, 1) or 1)

    def evaluate(self, rows, beam=1):
        """{measure: number} on rows."""
        return self.measures(rows, self.translations(
            [self.source.encode(source) for source, _ in rows], beam))

    def measures(self, rows, found):
        """{measure: number} of the answers found: the share of wrong ones, and of wrong tokens."""
        references = [references for _, references in rows]
        return {"wrong": metrics.word_error_rate(references, found),
                "token error rate": metrics.error_rate(references, found)}

    def answer(self, source, between, beam=1):
        return between.join(self.translations([self.source.encode(source, strict=True)], beam)[0])

    def alignment(self, source, beam=1):
        """(answer, p (T, S)): how much the step that wrote each token looked at each source token.

        Raises InputError for a model without attention, and where the answer has no token.
        """
        self.model.expect_attention()
        ids = self.source.encode(source, strict=True)
        (found,) = self.translations([ids], beam)
        if not found:
            raise InputError("the answer has no token, so there is no alignment to draw: try "
                             "another text, or a model that was trained for longer")
        target = self.target.encode(found, start=True, end=True)[None]          # (1, T + 2)
        return found, self.model.alignments(ids[None], None, target)[0, :-1]    # without END's row

    def draw_alignment(self, source, path, beam=1):
        """Write the alignment of a source as a picture: a row is a token of the answer."""
        found, p = self.alignment(source, beam)
        T, S = p.shape
        size = min(2.5 + 0.4 * S, 40), min(1.8 + 0.4 * T, 40)                   # inches
        with figures.picture(path, figsize=size) as axes:
            figures.matrix(axes, p, found, self.source.cut(source), most=1)
            axes.set(xlabel="source", ylabel="answer")


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

    def error(self, examples):
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
        return self.measures(self.judged(rows))

    def measures(self, matrix):
        """{measure: number} of a confusion matrix."""
        return {"accuracy": metrics.accuracy(matrix),
                **{f"macro {name}": measure(matrix, "macro") for name, measure in (
                    ("precision", metrics.precision), ("recall", metrics.recall),
                    ("F1", metrics.f1))}}

    def judged(self, rows):
        """The confusion matrix of the labels found for rows (source, label)."""
        found = [int(scores.argmax()) for scores in self.scores(self.problem([], rows).check)]
        return self.confusion(rows, found)

    def report(self, matrix, folder):
        """Write how each label fared: report.txt, and the confusion matrix as a picture."""
        names = self.labels.words[len(self.labels.special):]
        metrics.draw_confusion(matrix, Path(folder) / "confusion.png", names)
        write(Path(folder) / "report.txt", (metrics.report(matrix, names) + "\n").encode())

    def answer(self, source, between, beam=1):
        """The three likeliest labels with their probabilities."""
        (scores,) = self.scores([(self.source.encode(source),)])
        p, _ = softmax(scores)
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

    def error(self, examples):
        """The mean loss of a token: there is no right answer to count."""
        return mean_loss(self.model, Problem([], examples, len, self.collate, None), ROWS)

    def evaluate(self, rows, beam=1):
        """{measure: number} on rows."""
        examples = self.problem([], rows).check
        loss = self.error(examples)
        tokens = sum(len(ids) - 1 for ids in examples)                          # END is one
        characters = len(examples) + sum(len("".join(source)) for source, _ in rows)
        return {"nats a token": loss, "perplexity": metrics.perplexity(loss),
                "bits a character": metrics.bits_per_character(loss, tokens, characters)}

    def answer(self, source, between, beam=1):
        """Five texts that begin so."""
        rng = np.random.default_rng(0)
        ids = np.concatenate([[START], self.source.encode(source, strict=True)])
        found = [self.model.write(ids, end=END, rng=rng, never=(PAD, START), temperature=0.8)
                 for _ in range(5)]
        return " ".join(between.join(self.source.tokens([*ids, *more])) for more in found)
