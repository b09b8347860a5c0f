"""Word vectors: words that occur in the same company get similar numbers.

    words, corpus = read(datasets.text("tinystories"), Settings())
    vectors, losses, whole = train(words, corpus, Settings())
    vectors.neighbors("cat", 3)                     [("dog", 0.83), ("kitty", 0.8), ...]
    vectors.analogy("man", "he", "woman")           man is to he as woman is to ...

Every word has two vectors, v as the word and u as company of others. A small u·v says "seldom
together", a large one "often"; the two methods differ in what they compare it with.

Skip-gram   Is o a neighbor of c in the text, or was it drawn at random? A classifier of two
            classes with logits (0, u·v), so the loss is cross-entropy, with one true neighbor o
            and K words k drawn with probability P(k) ∝ count(k)^¾:
                L = -log σ(u_o·v_c) - Σ_k log σ(-u_k·v_c)
            The neighbors of c are the words up to r places away, r drawn from 1 ... window for each
            c: near words count more. Before that a word of frequency f is left out with
            probability 1 - √(t / f), or "the" would be most of what there is to learn from.
GloVe       How often do i and j occur together? X_ij counts it, a pair at distance d as 1/d, over
            the whole text. The vectors are fitted to its logarithm:
                L = Σ_ij f(X_ij) (v_i·u_j + a_i + b_j - log X_ij)²,   f(x) = min(1, (x / x_max)^¾)
            where X_ij > 0 only. A word's vector is v + u: X is symmetric, so both say the same.

Shapes      words, corpus (N,) ids  →  vectors (V, C), row i for the word with id i
Backward    Of ops on the tape; by hand, with y = 1 for o and 0 for each k, and j any of them:
                ∂L/∂(u_j·v_c) = σ(u_j·v_c) - y_j,   since (log σ)'(x) = 1 - σ(x) = σ(-x),
                dv_c = Σ_j (σ(u_j·v_c) - y_j) u_j,      du_j = (σ(u_j·v_c) - y_j) v_c.
            GloVe, with the error e_ij = v_i·u_j + a_i + b_j - log X_ij:
                dv_i = Σ_j 2 f(X_ij) e_ij u_j,      da_i = Σ_j 2 f(X_ij) e_ij,
            and du_j, db_j by symmetry. A batch has the mean over its pairs, and the step is Adam's
            with a rate that falls to zero (the papers: plain descent, and AdaGrad).
Source      Mikolov et al. 2013 (arXiv 1310.4546), equations 4 and 5; the falling rate and the
            drawn window: Mikolov et al. 2013 (arXiv 1301.3781), section 3.2 and 4.2;
            Pennington, Socher & Manning 2014, "GloVe", equations 8 and 9
Used by     any model that begins with an embedding: `load_into`
"""

import math
import os
import re
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nanollm import backend, checkpoint, functional as F, nn, optim, runs
from nanollm.errors import InputError
from nanollm.files import read_json, write_json
from nanollm.interrupt import Interrupt, progress
from nanollm.presets import setting
from nanollm.tape import Tape
from nanollm.text.cleaning import Cleaning
from nanollm.text.words import SPECIAL, UNKNOWN, Words

METHODS = "skipgram", "glove"
FORMAT = "nanollm word vectors"
BREAK = re.compile(r"<\|endoftext\|>|\n\s*\n")      # between paragraphs: no pair reaches across
PIECE = 100_000                                     # words whose pairs are made at one time
NOISE = WEIGHT = 0.75                               # the exponents of P(k) and f(x)


@dataclass(frozen=True)
class Settings:
    """How vectors are trained."""

    method: str = setting("skipgram", "skipgram or glove")
    width: int = setting(64, "numbers of a word")
    window: int = setting(5, "how far away a neighbor can be, in words")
    least: int = setting(5, "how often a word must occur to be learned")
    epochs: int = setting(5, "times the text, or GloVe's table, is read")
    batch: int = setting(1024, "pairs of a step")
    lr: float = setting(0.005, "the learning rate at first; it falls to zero")
    negatives: int = setting(5, "skip-gram: words drawn at random for each pair")
    sample: float = setting(1e-3, "skip-gram: above this frequency a word is sometimes left out")
    xmax: float = setting(10.0, "GloVe: the count from which on pairs weigh the same")
    seed: int = setting(0, "of all that is drawn at random")

    def __post_init__(self):
        if self.method not in METHODS:
            raise InputError(f"method is {self.method!r}, expected one of {', '.join(METHODS)}")
        for f in fields(self)[1:]:
            value, lowest = getattr(self, f.name), 0 if f.name == "seed" else 1
            if f.type is int and (type(value) is not int or value < lowest):
                raise InputError(f"{f.name} is {value!r}, expected a whole number from {lowest} on")
            if f.type is int and value >= 2 ** 62:
                raise InputError(f"{f.name} is {value}, expected less than 2**62")
            if f.type is float and not (type(value) in (int, float) and 0 < value < math.inf):
                raise InputError(f"{f.name} is {value!r}, expected a number above 0")


# The text

class Corpus(NamedTuple):
    """A text as ids; words outside the vocabulary are gone, and their neighbors move together."""

    ids: np.ndarray         # (N,)
    part: np.ndarray        # (N,)  the number of the paragraph each is in
    counts: np.ndarray      # (V,)  how often each word occurs


def read(text, settings):
    """(words, corpus) of a text. Raises InputError if it has no two words side by side."""
    cleaning = Cleaning(punctuation=False)
    parts = [cleaning(part) for part in BREAK.split(text)]
    words = Words.train(parts, least=settings.least, cleaning=cleaning)
    rows = [words.encode(part) for part in parts]
    ids, part = np.concatenate(rows), np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    known = ids != UNKNOWN
    corpus = Corpus(ids[known], part[known], np.bincount(ids[known], minlength=words.vocab))
    if not (np.diff(corpus.part) == 0).any():
        raise InputError(f"no two words that occur {settings.least} times stand side by side: give "
                         "more text, or a lower least (--least)")
    return words, corpus


def at_distance(part, d):
    """(positions t with t + d in the same paragraph); for each, t + d is the other of the pair."""
    return np.flatnonzero(part[:-d] == part[d:])


def neighbor_pairs(ids, part, window, rng):
    """(words, neighbors) of a piece of text, in random order; the reach of each word is drawn."""
    reach, found = rng.integers(1, window + 1, len(ids)), []
    for d in range(1, min(window, len(ids)) + 1):
        t = at_distance(part, d)
        found += [(a[reach[a] >= d], b[reach[a] >= d]) for a, b in ((t, t + d), (t + d, t))]
    center, other = (np.concatenate(side) for side in zip(*found))
    order = rng.permutation(len(center))
    return ids[center[order]], ids[other[order]]


def kept(corpus, sample, rng):
    """(ids, part) after subsampling: a word of frequency f stays with probability √(sample / f)."""
    frequency = corpus.counts / len(corpus.ids)
    stays = np.sqrt(sample / np.maximum(frequency, sample))                     # (V,)
    chosen = rng.random(len(corpus.ids)) < stays[corpus.ids]
    return corpus.ids[chosen], corpus.part[chosen]


def cooccurrences(corpus, window):
    """(i, j, x) of every X_ij > 0, by id: pairs at distance d count 1/d, in both directions."""
    V, codes, counts = len(corpus.counts), [], []
    for d in range(1, min(window, len(corpus.ids)) + 1):
        t = at_distance(corpus.part, d)
        a, b = corpus.ids[t], corpus.ids[t + d]
        code, n = np.unique(np.concatenate([a * V + b, b * V + a]), return_counts=True)
        codes.append(code)
        counts.append(n / d)
    cells, place = np.unique(np.concatenate(codes), return_inverse=True)
    return cells // V, cells % V, np.bincount(place, np.concatenate(counts))


# The two models

class SkipGram(nn.Layer):
    """v in `word`, u in `context`; u is zero at first, so every pair begins at σ = ½."""

    def __init__(self, vocab, width, *, rng):
        self.word = nn.Embedding(vocab, width, rng=rng, std=0.1)
        self.context = nn.Embedding(vocab, width, rng=rng, std=0.0)

    def loss(self, center, others):
        """Mean of L over pairs: center (B,), others (B, 1 + K), the true neighbor first."""
        kernels, (B, J) = backend.module(), others.shape
        v = F.reshape(self.word(kernels.array(center)), shape=(B, 1, -1))       # (B, 1, C)
        u = self.context(kernels.array(others))                                 # (B, J, C)
        score = F.sum(F.mul(u, v), axis=-1, keepdims=True)                      # (B, J, 1)
        logits = F.concat(kernels.zeros(score.shape, score.dtype), score)       # (B, J, 2)
        truth = np.zeros((B, J), np.int64)
        truth[:, 0] = 1
        return F.cross_entropy(logits, kernels.array(truth)) * J

    def vectors(self):
        return self.word.w.numpy()


class GloVe(nn.Layer):
    """v and a in `word` and `word_bias`, u and b in `context` and `context_bias`."""

    def __init__(self, vocab, width, *, rng):
        self.word = nn.Embedding(vocab, width, rng=rng, std=0.1)
        self.context = nn.Embedding(vocab, width, rng=rng, std=0.1)
        self.word_bias = nn.Embedding(vocab, 1, rng=rng, std=0.0)
        self.context_bias = nn.Embedding(vocab, 1, rng=rng, std=0.0)

    def loss(self, i, j, x, xmax):
        """Mean of f(x) e² over entries: i, j (B,) ids, x (B,) their counts."""
        kernels, dtype = backend.module(), self.word.w.dtype
        i, j, x = kernels.array(i), kernels.array(j), x[:, None]                # (B, 1)
        weight = kernels.array(np.minimum(1, (x / xmax) ** WEIGHT).astype(dtype))
        score = F.sum(F.mul(self.word(i), self.context(j)), axis=-1, keepdims=True)
        bias = F.add(self.word_bias(i), self.context_bias(j))                   # (B, 1)
        error = F.add(F.add(score, bias), kernels.array(-np.log(x).astype(dtype)))
        return F.mean(F.mul(F.mul(error, error), weight))

    def vectors(self):
        return self.word.w.numpy() + self.context.w.numpy()


# Training

def skipgram_batches(corpus, s):
    """(epoch, words read so far, arguments of the loss) of each step."""
    noise = np.cumsum(corpus.counts ** NOISE)
    for epoch in range(s.epochs):
        rng = np.random.default_rng([s.seed, 1, epoch])
        ids, part = kept(corpus, s.sample, rng)
        starts, N = rng.permutation(np.arange(0, len(ids), PIECE)), len(corpus.ids)
        done = 0
        for start in starts:
            piece = slice(start, start + PIECE)
            center, other = neighbor_pairs(ids[piece], part[piece], s.window, rng)
            for n in range(0, len(center), s.batch):
                c, o = center[n:n + s.batch], other[n:n + s.batch]
                drawn = np.searchsorted(noise, noise[-1] * rng.random((len(c), s.negatives)),
                                        side="right")                           # (B, K)
                share = (done + len(ids[piece]) * (n + len(c)) / len(center)) / len(ids)
                yield epoch, (epoch + share) * N, (c, np.column_stack([o, drawn]))
            done += len(ids[piece])


def glove_batches(corpus, s):
    """(epoch, entries read so far, arguments of the loss) of each step."""
    table = cooccurrences(corpus, s.window)
    M = len(table[0])
    for epoch in range(s.epochs):
        order = np.random.default_rng([s.seed, 1, epoch]).permutation(M)
        for n in range(0, M, s.batch):
            at = order[n:n + s.batch]
            share = (n + len(at)) / M
            yield epoch, (epoch + share) * len(corpus.ids), (*(a[at] for a in table), s.xmax)


def train(words, corpus, settings, *, quiet=False):
    """(vectors, mean loss of each epoch, whole?). Ctrl-C ends it after the step, not whole.

    Raises InputError once the loss is not finite.
    """
    s, rng = settings, np.random.default_rng([settings.seed, 0])
    model = (SkipGram if s.method == "skipgram" else GloVe)(words.vocab, s.width, rng=rng)
    batches = (skipgram_batches if s.method == "skipgram" else glove_batches)(corpus, s)
    parameters, total = model.parameters(), s.epochs * len(corpus.ids)
    state, losses, done = optim.adamw_state(parameters), [[] for _ in range(s.epochs)], 0
    answer = "" if quiet else "\nstopping after this step (Ctrl-C again ends at once)\n"
    with Interrupt(answer) as stop, progress(total, " words", quiet, unit_scale=True) as bar:
        for step, (epoch, now, batch) in enumerate(batches):
            loss = descend(model, parameters, state, batch, s.lr * (1 - done / total))
            if not math.isfinite(loss):
                raise InputError(f"the loss is {loss} in step {step + 1}: the training diverged; "
                                 "begin anew with a lower --lr")
            losses[epoch].append(loss)
            bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            bar.update(int(now) - int(done))
            done = now
            if stop.asked:
                break
        whole = not stop.asked
    if not losses[0]:
        raise InputError("subsampling left no pair to learn from: give more text, or a higher "
                         "sample (--sample)")
    w = model.vectors()
    w[:len(SPECIAL)] = 0                                    # no text has them: nothing was learned
    means = [float(np.mean(epoch)) for epoch in losses if epoch]
    return Vectors(words, w), means, whole


def descend(model, parameters, state, batch, lr):
    """One step of Adam; returns the loss before it."""
    with np.errstate(all="ignore"):                         # the caller sees what overflows
        with Tape() as tape:
            loss = model.loss(*batch)
        found = tape.gradient(loss, list(parameters.values()), tear=True)
        gradients = backend.module().gather(dict(zip(parameters, found)))
        optim.adamw(parameters, gradients, state, lr=lr, decay=0.0)
    return float(loss.numpy())


# What was learned

class Vectors:
    """w (V, C): row i is the vector of words.words[i]; those of the special tokens are zero."""

    def __init__(self, words, w):
        if w.ndim != 2 or len(w) != words.vocab:
            raise InputError(f"the vectors have shape {w.shape}, expected a row for each of the "
                             f"{words.vocab} words")
        self.words, self.w = words, w
        length = np.linalg.norm(w, axis=1, keepdims=True)
        self.unit = w / np.where(length > 0, length, 1)             # (V, C)  of length 1

    def id(self, word):
        """The id of a word. Raises InputError that names the nearest spelling, if it has none."""
        found = self.words.cut(word) if word not in self.words.ids else [word]
        if len(found) == 1 and found[0] in self.words.ids:
            return self.words.ids[found[0]]
        close = get_close_matches(str(word).lower(), self.words.ids, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise InputError(f"no vector for {word!r}{hint}: expected one of the "
                         f"{len(self.words.ids):,} words of the text that was learned from")

    def neighbors(self, word, k=10):
        """The k words nearest to a word: [(word, cosine)], the nearest first."""
        i = self.id(word)
        return self.nearest(self.unit[i], [i], k)

    def analogy(self, a, b, c, k=10):
        """a is to b as c is to whom? The k words nearest to b - a + c, but for these three."""
        i, j, l = (self.id(word) for word in (a, b, c))
        return self.nearest(self.unit[j] - self.unit[i] + self.unit[l], [i, j, l], k)

    def nearest(self, x, without, k):
        """The k words whose vectors have the largest cosine with x (C,)."""
        if k < 1:
            raise InputError(f"k is {k}, expected at least 1 word")
        cosine = self.unit @ x / (np.linalg.norm(x) or 1)           # (V,)
        cosine[[*range(len(SPECIAL)), *without]] = -np.inf
        order = np.argsort(-cosine, kind="stable")[:k]
        return [(self.words.words[i], float(cosine[i])) for i in order if cosine[i] > -np.inf]

    def save(self, folder, **details):
        """Write vectors.safetensors, words.json and vectors.json into a new folder."""
        folder = Path(folder)
        expect_free(folder)
        with runs.new_folder(folder):
            checkpoint.save_arrays(folder / "vectors.safetensors", {"w": self.w})
            self.words.save(folder / "words.json")
            write_json(folder / "vectors.json", {"format": FORMAT, "vocab": self.w.shape[0],
                                                 "width": self.w.shape[1], **details})

    @classmethod
    def load(cls, folder):
        """What save() wrote. Raises InputError where a file is missing, damaged or of others."""
        folder = Path(folder)
        if not (folder / "vectors.json").is_file():
            raise InputError(f"{folder} is no folder of word vectors: it has no vectors.json; "
                             "`vectors train` makes one")
        sizes = read_json(folder / "vectors.json")
        V, C = sizes.get("vocab"), sizes.get("width")
        if sizes.get("format") != FORMAT or not all(
                type(n) is int and 0 < n < 2 ** 31 for n in (V, C)):
            raise InputError(f"{folder / 'vectors.json'} is damaged, or not by `vectors train`: "
                             "train the vectors anew")
        like = {"w": np.broadcast_to(np.float32(0), (V, C))}
        w = checkpoint.load_arrays(folder / "vectors.safetensors", like)["w"]
        return cls(Words.load(folder / "words.json"), w)


def expect_free(folder):
    """Raise InputError if there is something where the vectors are to be saved, or cannot be."""
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder} exists: choose another folder (--run)")
    above = next(place for place in folder.absolute().parents if place.exists())
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise InputError(f"{folder} cannot be made, because {above} is no folder one can write in: "
                         "choose another folder (--run)")


def load_into(embedding, vectors, words):
    """Set the rows of an nn.Embedding to the vectors of its words; returns how many.

    words       the Words whose ids the model reads; a word without a vector keeps its row

    Any model has one: `embedding` of a GPT, LanguageModel or Classifier, `source` of a Seq2Seq.
    To keep its rows as they are while the rest learns, leave it out of what the optimizer
    is given: {path: t for path, t in model.parameters().items() if t is not embedding.w}. `fit
    --vectors FOLDER --frozen` does both.
    """
    w = embedding.w.numpy().copy()
    if w.shape != (words.vocab, vectors.w.shape[1]):
        raise InputError(f"the embedding has shape {w.shape}, expected ({words.vocab}, "
                         f"{vectors.w.shape[1]}): a row for each word of the vocabulary, and the "
                         "width of the vectors")
    both = [(i, vectors.words.ids[word]) for word, i in words.ids.items()
            if word in vectors.words.ids]
    if not both:
        raise InputError("the embedding's vocabulary and the vectors have no word in common: train "
                         "the vectors on text like the model's")
    rows, sources = np.array(both).T
    w[rows] = vectors.w[sources]
    embedding.w.data = backend.module().array(w)
    return len(both)


def details(settings, losses, whole):
    """What vectors.json says of a training."""
    return {"settings": asdict(settings), "losses": losses, "whole": whole,
            "backend": backend.current()}
