"""Sequence to sequence: one recurrence reads the source, another writes the target.

Equation    encoder     m_s = Recurrent(E_x[source_s], m_{s-1}), in both directions if asked
            bridge      h_0 = the encoder's last state (times W + b where the widths differ)
            decoder     h_t = Recurrent(E_y[y_{t-1}], h_{t-1}),     y_0 = START
            attention   p_t = softmax_s(score(h_t, m_s)),   c_t = Σ_s p_ts m_s,
                        h̃_t = tanh([c_t; h_t] W_c)          without attention h̃_t = h_t
            output      P(y_t | y_<t, source) = softmax(h̃_t W_o + b_o)
            loss        L = -(1/n) Σ_t log P(y_t | y_<t, source),   the last y_t is END
            score is alignment.py's: multiplicative h · (m W_a), or additive.

            While training, y_{t-1} is the true token ("teacher forcing"). All h_t are then known
            before the first question is asked, so attention and output are products over all steps
            at once. (Luong also feeds h̃_{t-1} to the decoder, which forbids that; left out here.)

            To write, the model reads its own tokens, and searches as beam.py does, which never
            takes PAD or START.

Shapes      source (B, S), lengths (B,), target (B, T + 1) from START to END, padded with PAD
            → logits (B, T, V)
Source      Sutskever, Vinyals & Le 2014; Cho et al. 2014; attention: Luong, Pham & Manning 2015,
            section 3, and Bahdanau, Cho & Bengio 2015
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nanollm import backend, functional as F, nn
from nanollm.beam import Search
from nanollm.errors import InputError
from nanollm.models.recurrent import check_rows
from nanollm.recurrent import GRU, LSTM
from nanollm.tape import recording
from nanollm.text.words import PAD, SPECIAL

CELLS = {"lstm": LSTM, "gru": GRU}
ATTENTIONS = "none", "multiplicative", "additive"


@dataclass(frozen=True)
class Seq2SeqConfig:
    """What a Seq2Seq is made of. Raises InputError where the numbers make no model.

    source, target   tokens known on either side, special ones (text/words.py) included
    width            E, numbers that describe a token
    encoder          width of the encoder's state, in each direction
    decoder          width of the decoder's state
    layers           of each; a layer of the decoder starts from the encoder's of the same height
    dropout          on embeddings, between layers, before the output
    """

    source: int
    target: int
    width: int = 64
    encoder: int = 64
    decoder: int = 128
    layers: int = 1
    cell: str = "lstm"
    bidirectional: bool = True
    attention: str = "multiplicative"
    dropout: float = 0.0

    def __post_init__(self):
        for name in "source", "target", "width", "encoder", "decoder", "layers":
            n = getattr(self, name)
            least = len(SPECIAL) if name in ("source", "target") else 1
            if type(n) is not int or n < least:
                raise InputError(f"{name} is {n!r}, expected a whole number of at least {least}")
        for name, known in ("cell", tuple(CELLS)), ("attention", ATTENTIONS):
            if getattr(self, name) not in known:
                raise InputError(f"{name} is {getattr(self, name)!r}, expected one of "
                                 f"{', '.join(known)}")
        if type(self.bidirectional) is not bool:
            raise InputError(f"bidirectional is {self.bidirectional!r}, expected true or false")
        if type(self.dropout) not in (int, float) or not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout!r}, expected at least 0 and less than 1")

    @property
    def memory(self):
        """Width of what the encoder says of a source token."""
        return (2 if self.bidirectional else 1) * self.encoder


class Memory(NamedTuple):
    """The source as the decoder sees it."""

    values: Any                 # (B, S, M) the encoder's states
    keys: Any                   # (B, S, H) the same, as the scores need them; None: no attention
    mask: Any                   # (B, S) True where there is a token


class Attention(nn.Layer):
    """The decoder's states h (B, T, H) ask the memory; returns h̃ (B, T, H)."""

    def __init__(self, kind, memory, hidden, *, rng):
        def linear(inputs):
            return nn.Linear(inputs, hidden, rng=rng, bias=False, std=inputs ** -0.5)

        self.key = linear(memory)
        self.query = linear(hidden) if kind == "additive" else None
        self.w = None
        if kind == "additive":
            self.w = nn.parameter(rng.normal(0, hidden ** -0.5, hidden), "w")
        self.mix = linear(memory + hidden)

    def look(self, h, memory, *, weights=False):
        """What each state finds (B, T, M); with weights=True also where it looked, p (B, T, S)."""
        values, keys, mask = memory
        if self.w is None:
            return F.multiplicative_attention(h, keys, values, mask, weights=weights)
        return F.additive_attention(self.query(h), keys, values, self.w, mask, weights=weights)

    def __call__(self, h, memory):
        return F.tanh(self.mix(F.concat(self.look(h, memory), h)))


class Seq2Seq(nn.Layer):
    """The model. `rng` (a numpy Generator) draws the weights: the same ones on every backend."""

    def __init__(self, config, rng):
        c, cell = config, CELLS[config.cell]
        self.config = config
        self.source = nn.Embedding(c.source, c.width, rng=rng, std=1.0)
        self.target = nn.Embedding(c.target, c.width, rng=rng, std=1.0)
        self.encoder = cell(c.width, c.encoder, rng=rng, layers=c.layers, dropout=c.dropout,
                            bidirectional=c.bidirectional)
        self.bridge = [nn.Linear(c.memory, c.decoder, rng=rng, std=c.memory ** -0.5)
                       for _ in range(cell.states * c.layers if c.memory != c.decoder else 0)]
        self.decoder = cell(c.width, c.decoder, rng=rng, layers=c.layers, dropout=c.dropout)
        self.attention = None
        if c.attention != "none":
            self.attention = Attention(c.attention, c.memory, c.decoder, rng=rng)
        self.head = nn.Linear(c.decoder, c.target, rng=rng, std=c.decoder ** -0.5)

    def __call__(self, source, lengths, target, *, rng=None):
        """NumPy's source (B, S), lengths (B,), y_0 ... y_{T-1} (B, T) → logits (B, T, V).

        lengths    tokens in each row of source; None: no row has padding
        rng        a Generator that draws the dropout masks (training); None leaves dropout out
        """
        memory, state = self.encode(source, lengths, rng=rng)
        h, _ = self.states(target, memory, state, rng=rng)
        return self.output(h, memory, rng=rng)

    def loss(self, source, lengths, target, *, rng=None):
        """Mean cross-entropy in nats a token; target (B, T + 1) from START to END, then PAD."""
        inputs, expected = shifted(target)
        return F.cross_entropy(self(source, lengths, inputs, rng=rng),
                               backend.module().array(expected))

    def encode(self, source, lengths=None, *, rng=None):
        """(the Memory of a source, the state from which the decoder starts)."""
        lengths, kernels = check_rows("Seq2Seq: source", source, lengths), backend.module()
        x = nn.drop(self.source(kernels.array(source)), self.config.dropout, rng)   # (B, S, E)
        values, after = self.encoder(x, kernels.array(lengths), rng=rng)            # (B, S, M)
        mask = np.arange(source.shape[1]) < lengths[:, None]                        # (B, S)
        keys = self.attention and self.attention.key(values)
        return Memory(values, keys, kernels.array(mask)), self.bridged(after)

    def bridged(self, after):
        """The encoder's state as the decoder's: directions side by side, then the bridge."""
        n, joined = self.encoder.directions, []
        for first in range(0, len(after), n):
            parts = list(zip(*after[first:first + n]))          # of h, and of an LSTM's c
            joined.append([p[0] if n == 1 else F.concat(*p) for p in parts])
        if not self.bridge:
            return [tuple(parts) for parts in joined]
        bridge = iter(self.bridge)
        return [tuple(next(bridge)(part) for part in parts) for parts in joined]

    def states(self, ids, memory, state, *, rng=None):
        """The decoder's states (B, T, H) over ids (B, T) that follow `state`, and the state after.
        """
        if ids.ndim != 2 or len(ids) != memory.values.shape[0] or ids.size == 0:
            raise InputError(f"Seq2Seq: target has shape {tuple(ids.shape)}, expected a row of "
                             f"tokens for each of {memory.values.shape[0]} sources")
        y = nn.drop(self.target(backend.module().array(ids)), self.config.dropout, rng)
        return self.decoder(y, state=state, rng=rng)

    def output(self, h, memory, *, rng=None):
        """The logits (B, T, V) of the decoder's states h (B, T, H)."""
        if self.attention:
            h = self.attention(h, memory)
        return self.head(nn.drop(h, self.config.dropout, rng))

    def step(self, ids, memory, state):
        """One more token for each row, ids (B,) → logits (B, V) as a NumPy array, state."""
        h, state = self.states(ids[:, None], memory, state)
        return self.output(h, memory).numpy()[:, 0], state

    def translate(self, source, lengths=None, *, beam=1, most=100, normalize=1.0):
        """([ids of the answer to each source, without END], their scores (B,)).

        beam        beginnings that are kept for each source; 1 takes the likeliest token each time
        most        tokens of the longest answer, with END
        normalize   a score is log P / n^normalize for an answer of n tokens, with END; 0: log P
        """
        if recording():
            raise InputError("Seq2Seq: translating keeps no gradients; do it outside the tape")
        for name, n in ("beam", beam), ("most", most):
            if type(n) is not int or n < 1:
                raise InputError(f"Seq2Seq: {name} is {n!r}, expected a whole number of at least 1")
        if not (isinstance(normalize, int | float) and np.isfinite(normalize)):
            raise InputError(f"Seq2Seq: normalize is {normalize!r}, expected a number: 1 for the "
                             "mean of a token, 0 for log P")
        lengths = check_rows("Seq2Seq: source", source, lengths)
        memory, state = self.encode(source.repeat(beam, axis=0), lengths.repeat(beam))
        search = Search(len(source), beam, most)
        while not search.over:
            logits, state = self.step(search.last, memory, state)
            came_from = search.extend(logits)                   # (B K,)
            state = [tuple(picked(part, came_from) for part in parts) for parts in state]
        return search.answers(normalize)

    def alignments(self, source, lengths, target):
        """p (B, T, S), NumPy: how much the step that writes y_t looks at each source token.

        target (B, T + 1) from START to END, as in `loss`.
        """
        self.expect_attention()
        memory, state = self.encode(source, lengths)
        h, _ = self.states(shifted(target)[0], memory, state)
        return self.attention.look(h, memory, weights=True)[1].numpy()

    def expect_attention(self):
        """Raise InputError if this model has none, and so no alignments."""
        if not self.attention:
            raise InputError("Seq2Seq: this model has no attention, so there is no alignment; "
                             "choose attention 'multiplicative' or 'additive'")

    def summary(self):
        """Rows (layer, output shape, parameters), one for each part of the model."""
        c = self.config
        rows = [("source", f"(B, S, {c.width})", self.source.count()),
                ("target", f"(B, T, {c.width})", self.target.count()),
                ("encoder", f"(B, S, {c.memory})", self.encoder.count())]
        rows += [(f"bridge.{i}", f"(B, {c.decoder})", part.count())
                 for i, part in enumerate(self.bridge)]
        rows.append(("decoder", f"(B, T, {c.decoder})", self.decoder.count()))
        if self.attention:
            rows.append(("attention", f"(B, T, {c.decoder})", self.attention.count()))
        return rows + [("head", f"(B, T, {c.target})", self.head.count())]


def shifted(target):
    """What the decoder reads and what it must say: target without its last, its first token."""
    if target.ndim != 2 or target.shape[1] < 2:
        raise InputError(f"Seq2Seq: target has shape {tuple(target.shape)}, expected rows of two "
                         "tokens or more, START ... END")
    return target[:, :-1], np.where(target[:, 1:] == PAD, -1, target[:, 1:])


def picked(tensor, rows):
    """Rows of a tensor (N, H), by the op that looks up rows."""
    kernels = backend.module()
    return kernels.embedding(kernels.array(rows), tensor.data)[0]
