"""One row per situation an op must survive: (op, label, make), in reading order.

`make(r)` builds (inputs, settings) from the random numbers of a `Draw`; every test of every backend
and dtype draws from this one table. A new op is tested by adding its rows here, and
test_contract.py fails while it has none.
"""

import zlib

import numpy as np


class Draw:
    """Random arrays of one dtype; equal seeds give equal numbers, rounded to the dtype."""

    def __init__(self, seed, dtype=np.float64):
        self.rng, self.dtype = np.random.default_rng(seed), dtype

    def normal(self, *shape):
        return np.asarray(self.rng.standard_normal(shape), self.dtype)

    def away(self, *shape):
        """Normal numbers, but none near 0, where relu has its corner."""
        x = self.normal(*shape)
        return x + np.where(x > 0, 0.01, -0.01).astype(self.dtype)

    def whole(self, scale, *shape):
        """Whole numbers, so that products and sums of them are exact, and some are equal."""
        return np.rint(scale * self.normal(*shape))

    def ids(self, high, *shape):
        return np.asarray(self.rng.integers(high, size=shape))

    def targets(self, high, *shape, ignore):
        """Ids of which every third is `ignore`."""
        ids = self.ids(high, *shape)
        ids.reshape(-1)[::3] = ignore
        return ids

    def keep(self, *shape):
        """Bools, two of three True, the first of each row False."""
        keep = np.asarray(self.rng.random(shape) < 2 / 3)
        keep[..., 0] = False
        return keep

    def future(self, T, S):
        """A mask of which row 0 is False everywhere, in every matrix of a batch."""
        keep = self.keep(T, S)
        keep[0] = False
        keep[1:, -1] = True
        return keep


def seed(case):
    """The seed of a row: the same in every test, so that all see the same numbers."""
    return zlib.crc32(f"{case[0]}, {case[1]}".encode())


def attention_block(r, C, context, biases=True):
    """The arrays of attention_step_: a token, weights of unit variance, room for the past."""
    b_qkv, b_out, beta = [r.normal(n) for n in (3 * C, C, C)] if biases else [None] * 3
    w_qkv, w_out = r.normal(C, 3 * C) / C ** 0.5, r.normal(C, C) / C ** 0.5
    return [r.normal(1, C), r.normal(C), beta, w_qkv, b_qkv, w_out, b_out,
            r.normal(context, C), r.normal(context, C)]


def mlp_block(r, C, F, biases=True):
    """The arrays of mlp_step: a token and weights of unit variance."""
    b1, b2, beta = [r.normal(n) for n in (F, C, C)] if biases else [None] * 3
    return [r.normal(1, C), r.normal(C), beta, r.normal(C, F) / C ** 0.5, b1,
            r.normal(F, C) / F ** 0.5, b2]


def recurrence(r, B, T, E, H, gates=1, biases=1, states=1, lengths=None):
    """The arrays of rnn, lstm and gru: x, states, w, u, biases (None for each missing), lengths."""
    x, before = r.normal(B, T, E), [r.normal(B, H) for _ in range(states)]
    bs = [r.normal(gates * H) for _ in range(biases)] or [None] * (2 if gates == 3 else 1)
    w, u = r.normal(E, gates * H) / E ** 0.5, r.normal(H, gates * H) / 2 / H ** 0.5
    return [x, *before, w, u, *bs, None if lengths is None else np.array(lengths)]


CELLS = {"rnn": {"gates": 1}, "lstm": {"gates": 4, "states": 2}, "gru": {"gates": 3, "biases": 2}}


def recurrences():
    """The same rows for rnn, lstm and gru."""
    for op, cell in CELLS.items():
        for label, sizes, more, settings in (
                ("tokens", (2, 4, 3, 2), {}, {}),
                ("no bias", (2, 3, 2, 3), {"biases": 0}, {}),
                ("reverse", (2, 4, 3, 2), {}, {"reverse": True}),
                ("lengths", (4, 5, 2, 3), {"lengths": [3, 0, 5, 1]}, {}),
                ("lengths, reverse", (4, 5, 2, 3), {"lengths": [3, 0, 5, 1]}, {"reverse": True}),
                ("full lengths", (2, 3, 2, 3), {"lengths": [3, 3]}, {}),
                ("nothing but padding", (2, 3, 2, 3), {"lengths": [0, 0]}, {}),
                ("one row", (1, 4, 3, 5), {}, {}),
                ("one step", (3, 1, 2, 3), {}, {}),
                ("no steps", (2, 0, 2, 3), {}, {}),
                ("no steps, lengths", (2, 0, 2, 3), {"lengths": [0, 0]}, {"reverse": True}),
                ("one column in", (3, 3, 1, 4), {}, {}),
                ("one column of state", (2, 4, 3, 1), {"lengths": [4, 2]}, {}),
                ("more rows than threads", (7, 3, 2, 2), {"lengths": [3, 1, 2, 3, 0, 2, 1]}, {}),
                ("no rows", (0, 3, 2, 3), {}, {})):
            def make(r, sizes=sizes, cell=cell, more=more, settings=settings):
                return recurrence(r, *sizes, **{**cell, **more}), settings
            yield op, label, make
        yield op, "transposed", lambda r, cell=cell: (
            [each_array(x, transposed) for x in recurrence(r, 3, 4, 2, 2, **cell)], {})
        yield op, "strided", lambda r, cell=cell: (
            [each_array(x, strided) for x in recurrence(r, 3, 4, 2, 2, **cell)], {"reverse": True})
        yield op, "large numbers", lambda r, cell=cell: (saturated(r, cell), {})


def each_array(x, layout):
    return None if x is None else layout(x)


def transposed(x):
    """The same numbers in the other order of memory."""
    return np.array(x, order="F")


def strided(x):
    """The same numbers, every second of a longer last axis."""
    wide = np.repeat(x, 2, axis=-1)
    return wide[..., ::2]


def saturated(r, cell):
    """x holds 0 and ±50, ±100, w whole numbers: gates are open or shut, and some between."""
    inputs = recurrence(r, 2, 4, 3, 2, **cell)
    w = 1 + cell.get("states", 1)
    inputs[0], inputs[w] = 50 * np.rint(inputs[0]), np.rint(2 * inputs[w])
    return inputs


def aligned(r, B, T, S, A, C, additive, mask=None):
    """The arrays of additive_attention (with w) and multiplicative_attention (without)."""
    w = [r.normal(A)] if additive else []
    return [r.normal(B, T, A), r.normal(B, S, A), r.normal(B, S, C), *w, mask]


def alignments():
    """The same rows for both."""
    for op, w in ("additive_attention", True), ("multiplicative_attention", False):
        for label, sizes, mask, settings in (
                ("tokens", (2, 3, 4, 3, 2), None, {}),
                ("weights", (2, 3, 4, 3, 2), None, {"weights": True}),
                ("padding mask", (2, 3, 5, 3, 2), lambda r: r.keep(2, 5), {}),
                ("padding mask, weights", (2, 2, 5, 3, 2), lambda r: r.keep(2, 5),
                 {"weights": True}),
                ("a mask for each query", (2, 3, 5, 3, 2), lambda r: r.keep(2, 3, 5), {}),
                ("masked everywhere", (2, 3, 5, 3, 2), lambda r: np.stack(
                    [r.future(3, 5), r.future(3, 5)]), {"weights": True}),
                ("everything masked", (2, 3, 4, 3, 2), lambda r: np.zeros((2, 4), bool), {}),
                ("one query", (2, 1, 4, 3, 2), None, {}),
                ("one key", (2, 3, 1, 3, 2), None, {"weights": True}),
                ("one column", (2, 3, 4, 1, 1), None, {}),
                ("longer than a block", (1, 1, 70, 2, 1), None, {}),
                ("wide", (1, 2, 2, 150, 2), None, {}),
                ("more rows than threads", (5, 2, 3, 2, 3), lambda r: r.keep(5, 3), {}),
                ("no keys", (2, 3, 0, 3, 2), None, {"weights": True}),
                ("no queries", (2, 0, 3, 3, 2), None, {}),
                ("no rows", (0, 3, 4, 3, 2), None, {})):
            def make(r, sizes=sizes, w=w, mask=mask, settings=settings):
                return aligned(r, *sizes, w, mask and mask(r)), settings
            yield op, label, make
        yield op, "transposed", lambda r, w=w: (
            [each_array(x, transposed) for x in aligned(r, 2, 3, 4, 3, 2, w, r.keep(2, 4))], {})
        yield op, "strided", lambda r, w=w: (
            [each_array(x, strided) for x in aligned(r, 2, 3, 4, 3, 2, w, r.keep(2, 4))], {})
        yield op, "huge scores", lambda r, w=w: (
            [x if x is None else scale * np.rint(x) for scale, x in zip(
                (20, 20, 1, 10), aligned(r, 2, 3, 4, 3, 2, w))], {})


CASES = [
    ("add", "same shape", lambda r: ([r.normal(2, 3), r.normal(2, 3)], {})),
    ("add", "numbers", lambda r: ([r.normal(), r.normal()], {})),
    ("add", "array and number", lambda r: ([r.normal(2, 3), r.normal()], {})),
    ("add", "row repeated", lambda r: ([r.normal(2, 3, 5), r.normal(5)], {})),
    ("add", "column repeated", lambda r: ([r.normal(3, 1), r.normal(2, 3, 5)], {})),
    ("add", "inner axis repeated", lambda r: ([r.normal(2, 3, 5), r.normal(2, 1, 5)], {})),
    ("add", "both repeated", lambda r: ([r.normal(3, 1), r.normal(1, 4)], {})),
    ("add", "one row", lambda r: ([r.normal(1, 7), r.normal(1, 7)], {})),
    ("add", "one column", lambda r: ([r.normal(4, 1), r.normal(4, 1)], {})),
    ("add", "longer than a block", lambda r: ([r.normal(2, 150), r.normal(2, 150)], {})),
    ("add", "transposed", lambda r: ([r.normal(5, 3).T, r.normal(3, 5)], {})),
    ("add", "strided", lambda r: ([r.normal(6, 10)[::2, ::2], r.normal(3, 5)], {})),
    ("add", "large numbers", lambda r: ([r.whole(1e3, 2, 3), -r.whole(1e3, 2, 3)], {})),
    ("add", "no rows", lambda r: ([r.normal(0, 3), r.normal(3)], {})),

    ("mul", "same shape", lambda r: ([r.normal(2, 3), r.normal(2, 3)], {})),
    ("mul", "numbers", lambda r: ([r.normal(), r.normal()], {})),
    ("mul", "array and number", lambda r: ([r.normal(2, 3), r.normal()], {})),
    ("mul", "row repeated", lambda r: ([r.normal(2, 3, 5), r.normal(5)], {})),
    ("mul", "column repeated", lambda r: ([r.normal(3, 1), r.normal(2, 3, 5)], {})),
    ("mul", "inner axis repeated", lambda r: ([r.normal(2, 3, 5), r.normal(2, 1, 5)], {})),
    ("mul", "both repeated", lambda r: ([r.normal(3, 1), r.normal(1, 4)], {})),
    ("mul", "one row", lambda r: ([r.normal(1, 7), r.normal(1, 7)], {})),
    ("mul", "one column", lambda r: ([r.normal(4, 1), r.normal(4, 1)], {})),
    ("mul", "longer than a block", lambda r: ([r.normal(2, 150), r.normal(2, 150)], {})),
    ("mul", "transposed", lambda r: ([r.normal(5, 3).T, r.normal(3, 5)], {})),
    ("mul", "strided", lambda r: ([r.normal(6, 10)[::2, ::2], r.normal(3, 5)], {})),
    ("mul", "large numbers", lambda r: ([r.whole(1e3, 2, 3), r.whole(1e3, 2, 3)], {})),
    ("mul", "no rows", lambda r: ([r.normal(0, 3), r.normal(3)], {})),

    ("relu", "tokens", lambda r: ([r.away(2, 3, 5)], {})),
    ("relu", "number", lambda r: ([r.away()], {})),
    ("relu", "one row", lambda r: ([r.away(7)], {})),
    ("relu", "one column", lambda r: ([r.away(4, 1)], {})),
    ("relu", "longer than a block", lambda r: ([r.away(2, 150)], {})),
    ("relu", "transposed", lambda r: ([r.away(5, 3).T], {})),
    ("relu", "strided", lambda r: ([r.away(4, 10)[:, ::2]], {})),
    ("relu", "large numbers", lambda r: ([r.away(2, 5) * 1e3], {})),
    ("relu", "no rows", lambda r: ([r.away(0, 5)], {})),

    ("tanh", "tokens", lambda r: ([r.normal(2, 3, 5)], {})),
    ("tanh", "number", lambda r: ([r.normal()], {})),
    ("tanh", "one row", lambda r: ([r.normal(7)], {})),
    ("tanh", "one column", lambda r: ([r.normal(4, 1)], {})),
    ("tanh", "longer than a block", lambda r: ([r.normal(2, 150)], {})),
    ("tanh", "transposed", lambda r: ([r.normal(5, 3).T], {})),
    ("tanh", "strided", lambda r: ([r.normal(4, 10)[:, ::2]], {})),
    ("tanh", "small", lambda r: ([r.normal(2, 20) * 1e-3], {})),
    ("tanh", "large numbers", lambda r: ([r.normal(2, 20) * 50], {})),
    ("tanh", "huge", lambda r: ([r.normal(2, 5) * 1e4], {})),
    ("tanh", "no rows", lambda r: ([r.normal(0, 5)], {})),

    ("sigmoid", "tokens", lambda r: ([r.normal(2, 3, 5)], {})),
    ("sigmoid", "number", lambda r: ([r.normal()], {})),
    ("sigmoid", "one row", lambda r: ([r.normal(7)], {})),
    ("sigmoid", "one column", lambda r: ([r.normal(4, 1)], {})),
    ("sigmoid", "longer than a block", lambda r: ([r.normal(2, 150)], {})),
    ("sigmoid", "transposed", lambda r: ([r.normal(5, 3).T], {})),
    ("sigmoid", "strided", lambda r: ([r.normal(4, 10)[:, ::2]], {})),
    ("sigmoid", "large numbers", lambda r: ([r.normal(2, 20) * 50], {})),
    ("sigmoid", "huge", lambda r: ([r.normal(2, 5) * 1e4], {})),
    ("sigmoid", "no rows", lambda r: ([r.normal(0, 5)], {})),

    ("gelu", "tokens", lambda r: ([r.normal(2, 3, 5)], {})),
    ("gelu", "exact", lambda r: ([r.normal(2, 3, 5)], {"exact": True})),
    ("gelu", "number", lambda r: ([r.normal()], {})),
    ("gelu", "one row", lambda r: ([r.normal(7)], {"exact": True})),
    ("gelu", "one column", lambda r: ([r.normal(4, 1)], {})),
    ("gelu", "longer than a block", lambda r: ([r.normal(2, 150)], {})),
    ("gelu", "longer than a block, exact", lambda r: ([r.normal(2, 150)], {"exact": True})),
    ("gelu", "transposed", lambda r: ([r.normal(5, 3).T], {})),
    ("gelu", "strided", lambda r: ([r.normal(4, 10)[:, ::2]], {"exact": True})),
    ("gelu", "small", lambda r: ([r.normal(2, 20) * 1e-3], {})),
    ("gelu", "large numbers", lambda r: ([r.normal(2, 20) * 50], {})),
    ("gelu", "large numbers, exact", lambda r: ([r.normal(2, 20) * 50], {"exact": True})),
    ("gelu", "huge", lambda r: ([r.normal(2, 5) * 1e4], {})),
    ("gelu", "huge, exact", lambda r: ([r.normal(2, 5) * 1e4], {"exact": True})),
    ("gelu", "no rows", lambda r: ([r.normal(0, 5)], {})),
    ("gelu", "no rows, exact", lambda r: ([r.normal(0, 5)], {"exact": True})),

    ("bias_gelu", "tokens", lambda r: ([r.normal(2, 3, 5), r.normal(5)], {})),
    ("bias_gelu", "exact", lambda r: ([r.normal(2, 3, 5), r.normal(5)], {"exact": True})),
    ("bias_gelu", "one row", lambda r: ([r.normal(7), r.normal(7)], {})),
    ("bias_gelu", "one column", lambda r: ([r.normal(4, 1), r.normal(1)], {})),
    ("bias_gelu", "longer than a block", lambda r: ([r.normal(2, 150), r.normal(150)], {})),
    ("bias_gelu", "many rows", lambda r: ([r.normal(70, 3), r.normal(3)], {"exact": True})),
    ("bias_gelu", "transposed", lambda r: ([r.normal(5, 3).T, r.normal(5)], {})),
    ("bias_gelu", "strided", lambda r: ([r.normal(4, 10)[:, ::2], r.normal(10)[::2]], {})),
    ("bias_gelu", "large numbers", lambda r: ([r.normal(2, 9) * 50, r.normal(9)], {})),
    ("bias_gelu", "large numbers, exact",
     lambda r: ([r.normal(2, 9) * 50, r.normal(9)], {"exact": True})),
    ("bias_gelu", "no rows", lambda r: ([r.normal(0, 5), r.normal(5)], {})),

    ("reshape", "fold", lambda r: ([r.normal(2, 3, 4)], {"shape": (6, 4)})),
    ("reshape", "size left open", lambda r: ([r.normal(2, 6)], {"shape": (3, -1)})),
    ("reshape", "to a number", lambda r: ([r.normal(1, 1)], {"shape": ()})),
    ("reshape", "one column", lambda r: ([r.normal(6)], {"shape": (6, 1)})),
    ("reshape", "longer than a block", lambda r: ([r.normal(2, 150)], {"shape": (300,)})),
    ("reshape", "transposed", lambda r: ([r.normal(5, 3).T], {"shape": (5, 3)})),
    ("reshape", "strided", lambda r: ([r.normal(4, 6)[:, ::2]], {"shape": (2, 6)})),
    ("reshape", "no rows", lambda r: ([r.normal(0, 6)], {"shape": (0, 2, 3)})),

    ("transpose", "two axes", lambda r: ([r.normal(2, 3)], {"axes": (1, 0)})),
    ("transpose", "three axes", lambda r: ([r.normal(2, 3, 4)], {"axes": (1, 2, 0)})),
    ("transpose", "four axes", lambda r: ([r.normal(2, 3, 4, 5)], {"axes": (0, 2, 1, 3)})),
    ("transpose", "counted from the end", lambda r: ([r.normal(2, 3, 4)], {"axes": (0, -1, 1)})),
    ("transpose", "nothing moves", lambda r: ([r.normal(2, 3)], {"axes": (0, 1)})),
    ("transpose", "one row", lambda r: ([r.normal(1, 7)], {"axes": (1, 0)})),
    ("transpose", "one column", lambda r: ([r.normal(7, 1)], {"axes": (1, 0)})),
    ("transpose", "longer than a block", lambda r: ([r.normal(2, 150)], {"axes": (1, 0)})),
    ("transpose", "transposed", lambda r: ([r.normal(5, 3).T], {"axes": (1, 0)})),
    ("transpose", "no rows", lambda r: ([r.normal(0, 3, 2)], {"axes": (2, 0, 1)})),

    ("concat", "two", lambda r: ([r.normal(2, 3), r.normal(2, 4)], {})),
    ("concat", "three", lambda r: ([r.normal(2, 3), r.normal(2, 1), r.normal(2, 2)], {})),
    ("concat", "one alone", lambda r: ([r.normal(2, 3)], {})),
    ("concat", "first axis", lambda r: ([r.normal(2, 3), r.normal(4, 3)], {"axis": 0})),
    ("concat", "inner axis", lambda r: ([r.normal(2, 3, 4), r.normal(2, 1, 4)], {"axis": 1})),
    ("concat", "one row", lambda r: ([r.normal(3), r.normal(4)], {})),
    ("concat", "longer than a block", lambda r: ([r.normal(2, 150), r.normal(2, 3)], {})),
    ("concat", "transposed", lambda r: ([r.normal(3, 2).T, r.normal(2, 4)], {})),
    ("concat", "strided", lambda r: ([r.normal(2, 6)[:, ::2], r.normal(2, 4)], {})),
    ("concat", "no rows", lambda r: ([r.normal(0, 3), r.normal(0, 4)], {})),
    ("concat", "one is empty", lambda r: ([r.normal(2, 0), r.normal(2, 4)], {})),

    ("split", "halves", lambda r: ([r.normal(2, 6)], {"parts": 2})),
    ("split", "thirds", lambda r: ([r.normal(2, 3, 6)], {"parts": 3})),
    ("split", "uncut", lambda r: ([r.normal(2, 3)], {"parts": 1})),
    ("split", "columns", lambda r: ([r.normal(2, 3)], {"parts": 3})),
    ("split", "first axis", lambda r: ([r.normal(4, 3)], {"parts": 2, "axis": 0})),
    ("split", "inner axis", lambda r: ([r.normal(2, 4, 3)], {"parts": 2, "axis": 1})),
    ("split", "one row", lambda r: ([r.normal(6)], {"parts": 3})),
    ("split", "longer than a block", lambda r: ([r.normal(2, 150)], {"parts": 2})),
    ("split", "transposed", lambda r: ([r.normal(6, 3).T], {"parts": 2})),
    ("split", "no rows", lambda r: ([r.normal(0, 6)], {"parts": 2})),

    ("sum", "all", lambda r: ([r.normal(2, 3, 5)], {})),
    ("sum", "number", lambda r: ([r.normal()], {})),
    ("sum", "last axis", lambda r: ([r.normal(2, 3, 5)], {"axis": -1})),
    ("sum", "first axis", lambda r: ([r.normal(2, 3, 5)], {"axis": 0})),
    ("sum", "inner axis, kept", lambda r: ([r.normal(2, 3, 5)], {"axis": 1, "keepdims": True})),
    ("sum", "two axes", lambda r: ([r.normal(2, 3, 5)], {"axis": (0, 2)})),
    ("sum", "two axes, kept", lambda r: ([r.normal(2, 3)], {"axis": (0, -1), "keepdims": True})),
    ("sum", "one row", lambda r: ([r.normal(1, 7)], {"axis": 0})),
    ("sum", "one column", lambda r: ([r.normal(4, 1)], {"axis": 1})),
    ("sum", "longer than a block", lambda r: ([r.normal(2, 150)], {"axis": 1})),
    ("sum", "transposed", lambda r: ([r.normal(5, 3).T], {"axis": 1})),
    ("sum", "strided", lambda r: ([r.normal(4, 10)[:, ::2]], {"axis": 0})),
    ("sum", "no rows", lambda r: ([r.normal(0, 5)], {"axis": 0})),

    ("mean", "all", lambda r: ([r.normal(2, 3, 5)], {})),
    ("mean", "number", lambda r: ([r.normal()], {})),
    ("mean", "last axis", lambda r: ([r.normal(2, 3, 5)], {"axis": -1})),
    ("mean", "first axis", lambda r: ([r.normal(2, 3, 5)], {"axis": 0})),
    ("mean", "inner axis, kept", lambda r: ([r.normal(2, 3, 5)], {"axis": 1, "keepdims": True})),
    ("mean", "two axes", lambda r: ([r.normal(2, 3, 5)], {"axis": (0, 2)})),
    ("mean", "one row", lambda r: ([r.normal(1, 7)], {"axis": 0})),
    ("mean", "one column", lambda r: ([r.normal(4, 1)], {"axis": 1})),
    ("mean", "longer than a block", lambda r: ([r.normal(2, 150)], {})),
    ("mean", "transposed", lambda r: ([r.normal(5, 3).T], {"axis": 1})),
    ("mean", "strided", lambda r: ([r.normal(4, 10)[:, ::2]], {})),
    ("mean", "no rows", lambda r: ([r.normal(0, 5)], {"axis": 1})),

    ("linear", "tokens", lambda r: ([r.normal(2, 3, 5), r.normal(5, 4), r.normal(4)], {})),
    ("linear", "no bias", lambda r: ([r.normal(2, 3, 5), r.normal(5, 4), None], {})),
    ("linear", "one vector", lambda r: ([r.normal(5), r.normal(5, 4), r.normal(4)], {})),
    ("linear", "one row", lambda r: ([r.normal(1, 5), r.normal(5, 4), r.normal(4)], {})),
    ("linear", "one column in", lambda r: ([r.normal(3, 1), r.normal(1, 4), r.normal(4)], {})),
    ("linear", "one column out", lambda r: ([r.normal(3, 5), r.normal(5, 1), r.normal(1)], {})),
    ("linear", "longer than a block", lambda r: ([r.normal(2, 150), r.normal(150, 2), None], {})),
    ("linear", "many rows", lambda r: ([r.normal(70, 3), r.normal(3, 2), r.normal(2)], {})),
    ("linear", "transposed", lambda r: ([r.normal(5, 3).T, r.normal(4, 5).T, r.normal(4)], {})),
    ("linear", "strided",
     lambda r: ([r.normal(3, 10)[:, ::2], r.normal(10, 4)[::2], r.normal(8)[::2]], {})),
    ("linear", "large numbers",
     lambda r: ([r.normal(2, 5) * 1e3, r.normal(5, 4) * 1e3, r.normal(4)], {})),
    ("linear", "no rows", lambda r: ([r.normal(0, 3, 5), r.normal(5, 4), r.normal(4)], {})),

    ("matmul", "matrices", lambda r: ([r.normal(2, 3), r.normal(3, 4)], {})),
    ("matmul", "a batch", lambda r: ([r.normal(2, 3, 4), r.normal(2, 4, 5)], {})),
    ("matmul", "two batch axes", lambda r: ([r.normal(2, 3, 1, 4), r.normal(2, 3, 4, 2)], {})),
    ("matmul", "one matrix for all", lambda r: ([r.normal(2, 3, 4), r.normal(4, 5)], {})),
    ("matmul", "both repeated", lambda r: ([r.normal(2, 1, 3, 4), r.normal(3, 4, 2)], {})),
    ("matmul", "one row", lambda r: ([r.normal(1, 5), r.normal(5, 3)], {})),
    ("matmul", "one column", lambda r: ([r.normal(4, 1), r.normal(1, 3)], {})),
    ("matmul", "longer than a block", lambda r: ([r.normal(2, 150), r.normal(150, 2)], {})),
    ("matmul", "transposed", lambda r: ([r.normal(4, 2).T, r.normal(3, 4).T], {})),
    ("matmul", "strided", lambda r: ([r.normal(2, 8)[:, ::2], r.normal(8, 3)[::2]], {})),
    ("matmul", "large numbers", lambda r: ([r.whole(1e3, 2, 3), r.whole(1e3, 3, 4)], {})),
    ("matmul", "no matrices", lambda r: ([r.normal(0, 3, 4), r.normal(0, 4, 5)], {})),

    ("embedding", "tokens", lambda r: ([r.ids(7, 2, 3), r.normal(7, 5)], {})),
    ("embedding", "repeated ids", lambda r: ([r.ids(3, 4, 5), r.normal(3, 2)], {})),
    ("embedding", "one word", lambda r: ([r.ids(1, 4, 70), r.normal(1, 3)], {})),
    ("embedding", "one id", lambda r: ([r.ids(7), r.normal(7, 5)], {})),
    ("embedding", "one row", lambda r: ([r.ids(7, 6), r.normal(7, 5)], {})),
    ("embedding", "one column", lambda r: ([r.ids(7, 2, 3), r.normal(7, 1)], {})),
    ("embedding", "longer than a block", lambda r: ([r.ids(3, 2, 3), r.normal(3, 150)], {})),
    ("embedding", "many ids", lambda r: ([r.ids(65, 150), r.normal(65, 2)], {})),
    ("embedding", "transposed", lambda r: ([r.ids(7, 3, 2).T, r.normal(5, 7).T], {})),
    ("embedding", "strided", lambda r: ([r.ids(7, 2, 6)[:, ::2], r.normal(7, 10)[:, ::2]], {})),
    ("embedding", "no ids", lambda r: ([r.ids(7, 0, 3), r.normal(7, 5)], {})),

    ("positions", "tokens", lambda r: ([r.normal(2, 3, 5), r.normal(6, 5)], {})),
    ("positions", "later", lambda r: ([r.normal(2, 3, 5), r.normal(6, 5)], {"start": 2})),
    ("positions", "to the last", lambda r: ([r.normal(2, 3, 5), r.normal(6, 5)], {"start": 3})),
    ("positions", "one token", lambda r: ([r.normal(2, 1, 5), r.normal(6, 5)], {"start": 4})),
    ("positions", "one column", lambda r: ([r.normal(2, 3, 1), r.normal(3, 1)], {})),
    ("positions", "no batch axis", lambda r: ([r.normal(3, 5), r.normal(4, 5)], {})),
    ("positions", "two batch axes", lambda r: ([r.normal(2, 2, 3, 5), r.normal(3, 5)], {})),
    ("positions", "longer than a block", lambda r: ([r.normal(2, 1, 150), r.normal(2, 150)], {})),
    ("positions", "transposed", lambda r: ([r.normal(5, 3).T, r.normal(5, 4).T], {})),
    ("positions", "no rows", lambda r: ([r.normal(0, 3, 5), r.normal(6, 5)], {"start": 1})),

    ("layernorm", "tokens", lambda r: ([r.normal(2, 3, 5), r.normal(5), r.normal(5)], {})),
    ("layernorm", "no beta", lambda r: ([r.normal(2, 3, 5), r.normal(5), None], {})),
    ("layernorm", "two batch axes",
     lambda r: ([r.normal(2, 2, 3, 5), r.normal(5), r.normal(5)], {})),
    ("layernorm", "one row", lambda r: ([r.normal(7), r.normal(7), r.normal(7)], {})),
    ("layernorm", "one column", lambda r: ([r.normal(4, 1), r.normal(1), r.normal(1)], {})),
    ("layernorm", "many rows", lambda r: ([r.normal(130, 3), r.normal(3), r.normal(3)], {})),
    ("layernorm", "longer than a block",
     lambda r: ([r.normal(2, 150), r.normal(150), r.normal(150)], {})),
    ("layernorm", "large epsilon",
     lambda r: ([r.normal(2, 4), r.normal(4), r.normal(4)], {"eps": 0.1})),
    ("layernorm", "large numbers",
     lambda r: ([r.normal(2, 4) * 1e3, r.normal(4), r.normal(4)], {})),
    ("layernorm", "transposed", lambda r: ([r.normal(5, 3).T, r.normal(5), r.normal(5)], {})),
    ("layernorm", "strided",
     lambda r: ([r.normal(3, 10)[:, ::2], r.normal(10)[::2], r.normal(10)[::2]], {})),
    ("layernorm", "no rows", lambda r: ([r.normal(0, 5), r.normal(5), r.normal(5)], {})),

    ("residual_layernorm", "tokens",
     lambda r: ([r.normal(2, 3, 5), r.normal(2, 3, 5), r.normal(5), r.normal(5)], {})),
    ("residual_layernorm", "no beta",
     lambda r: ([r.normal(2, 3, 5), r.normal(2, 3, 5), r.normal(5), None], {})),
    ("residual_layernorm", "one row",
     lambda r: ([r.normal(7), r.normal(7), r.normal(7), r.normal(7)], {})),
    ("residual_layernorm", "one column",
     lambda r: ([r.normal(4, 1), r.normal(4, 1), r.normal(1), r.normal(1)], {})),
    ("residual_layernorm", "many rows",
     lambda r: ([r.normal(130, 3), r.normal(130, 3), r.normal(3), r.normal(3)], {})),
    ("residual_layernorm", "longer than a block",
     lambda r: ([r.normal(2, 150), r.normal(2, 150), r.normal(150), r.normal(150)], {})),
    ("residual_layernorm", "large epsilon",
     lambda r: ([r.normal(2, 4), r.normal(2, 4), r.normal(4), r.normal(4)], {"eps": 0.1})),
    ("residual_layernorm", "large numbers",
     lambda r: ([r.whole(1e3, 2, 4), r.whole(1e3, 2, 4), r.normal(4), r.normal(4)], {})),
    ("residual_layernorm", "transposed",
     lambda r: ([r.normal(5, 3).T, r.normal(3, 5), r.normal(5), r.normal(5)], {})),
    ("residual_layernorm", "strided",
     lambda r: ([r.normal(3, 5), r.normal(3, 10)[:, ::2], r.normal(10)[::2], r.normal(5)], {})),
    ("residual_layernorm", "no rows",
     lambda r: ([r.normal(0, 5), r.normal(0, 5), r.normal(5), r.normal(5)], {})),

    ("softmax", "tokens", lambda r: ([r.normal(2, 3, 5)], {})),
    ("softmax", "one row", lambda r: ([r.normal(7)], {})),
    ("softmax", "one row of a matrix", lambda r: ([r.normal(1, 7)], {})),
    ("softmax", "one column", lambda r: ([r.normal(4, 1)], {})),
    ("softmax", "longer than a block", lambda r: ([r.normal(2, 150)], {})),
    ("softmax", "transposed", lambda r: ([r.normal(5, 3).T], {})),
    ("softmax", "strided", lambda r: ([r.normal(4, 10)[:, ::2]], {})),
    ("softmax", "huge scores", lambda r: ([r.normal(2, 3) * 1e3], {})),
    ("softmax", "huge scores for float32", lambda r: ([r.whole(1, 4, 5) + 200], {})),
    ("softmax", "huge scores, some equal", lambda r: ([r.whole(1, 4, 5) + 1e4], {})),
    ("softmax", "hugely negative scores", lambda r: ([r.whole(1, 4, 5) - 1e4], {})),
    ("softmax", "huge scores, rows far apart",
     lambda r: ([r.normal(3, 4) + 2000 * np.arange(-1, 2, dtype=r.dtype)[:, None]], {})),
    ("softmax", "no rows", lambda r: ([r.normal(0, 5)], {})),

    ("logsumexp", "tokens", lambda r: ([r.normal(2, 3, 5)], {})),
    ("logsumexp", "one row", lambda r: ([r.normal(7)], {})),
    ("logsumexp", "one column", lambda r: ([r.normal(4, 1)], {})),
    ("logsumexp", "longer than a block", lambda r: ([r.normal(2, 150)], {})),
    ("logsumexp", "transposed", lambda r: ([r.normal(5, 3).T], {})),
    ("logsumexp", "strided", lambda r: ([r.normal(4, 10)[:, ::2]], {})),
    ("logsumexp", "huge scores", lambda r: ([r.normal(2, 3) * 1e3], {})),
    ("logsumexp", "huge scores for float32", lambda r: ([r.whole(1, 4, 5) + 200], {})),
    ("logsumexp", "huge scores, some equal", lambda r: ([r.whole(1, 4, 5) + 1e3], {})),
    ("logsumexp", "hugely negative scores", lambda r: ([r.whole(1, 4, 5) - 1e3], {})),
    ("logsumexp", "huge scores, rows far apart",
     lambda r: ([r.normal(3, 4) + 2000 * np.arange(-1, 2, dtype=r.dtype)[:, None]], {})),
    ("logsumexp", "no rows", lambda r: ([r.normal(0, 5)], {})),

    ("cross_entropy", "tokens", lambda r: ([r.normal(2, 3, 5), r.ids(5, 2, 3)], {})),
    ("cross_entropy", "one row", lambda r: ([r.normal(7), r.ids(7)], {})),
    ("cross_entropy", "one word", lambda r: ([r.normal(4, 1), r.ids(1, 4)], {})),
    ("cross_entropy", "longer than a block", lambda r: ([r.normal(2, 150), r.ids(150, 2)], {})),
    ("cross_entropy", "many rows", lambda r: ([r.normal(70, 3), r.ids(3, 70)], {})),
    ("cross_entropy", "some ignored",
     lambda r: ([r.normal(2, 4, 5), r.targets(5, 2, 4, ignore=-1)], {})),
    ("cross_entropy", "padding ignored",
     lambda r: ([r.normal(2, 4, 5), r.targets(5, 2, 4, ignore=0)], {"ignore": 0})),
    ("cross_entropy", "ignored with another id",
     lambda r: ([r.normal(2, 4, 5), r.targets(5, 2, 4, ignore=-100)], {"ignore": -100})),
    ("cross_entropy", "all ignored", lambda r: ([r.normal(3, 5), r.ids(1, 3)], {"ignore": 0})),
    ("cross_entropy", "transposed", lambda r: ([r.normal(5, 3).T, r.ids(5, 3)], {})),
    ("cross_entropy", "strided", lambda r: ([r.normal(4, 10)[:, ::2], r.ids(5, 8)[::2]], {})),
    ("cross_entropy", "huge scores for float32",
     lambda r: ([r.whole(1, 4, 5) + 200, r.ids(5, 4)], {})),
    ("cross_entropy", "huge scores", lambda r: ([r.whole(1e3, 4, 5), r.ids(5, 4)], {})),
    ("cross_entropy", "huge scores, some equal",
     lambda r: ([r.whole(1, 4, 5) + 1e3, r.ids(5, 4)], {})),
    ("cross_entropy", "no rows", lambda r: ([r.normal(0, 5), r.ids(5, 0)], {})),

    ("attention", "tokens", lambda r: ([r.normal(2, 3, 4), r.normal(2, 3, 4), r.normal(2, 3, 4),
                                        None], {})),
    ("attention", "heads", lambda r: ([r.normal(2, 3, 6), r.normal(2, 3, 6), r.normal(2, 3, 6),
                                       None], {"heads": 3})),
    ("attention", "as many heads as columns",
     lambda r: ([r.normal(2, 3, 4), r.normal(2, 3, 4), r.normal(2, 3, 4), None], {"heads": 4})),
    ("attention", "another source", lambda r: ([r.normal(2, 3, 4), r.normal(2, 5, 4),
                                                r.normal(2, 5, 4), None], {"heads": 2})),
    ("attention", "causal", lambda r: ([r.normal(2, 5, 4), r.normal(2, 5, 4), r.normal(2, 5, 4),
                                        None], {"heads": 2, "causal": True})),
    ("attention", "the last of more keys, causal",
     lambda r: ([r.normal(2, 2, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), None],
                {"heads": 2, "causal": True})),
    ("attention", "one query, causal",
     lambda r: ([r.normal(2, 1, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), None],
                {"heads": 2, "causal": True})),
    ("attention", "one query, many keys",
     lambda r: ([r.normal(1, 1, 4), r.normal(1, 150, 4), r.normal(1, 150, 4), None],
                {"heads": 2, "causal": True})),
    ("attention", "one token", lambda r: ([r.normal(1, 1, 4), r.normal(1, 1, 4), r.normal(1, 1, 4),
                                           None], {"heads": 2, "causal": True})),
    ("attention", "padding mask",
     lambda r: ([r.normal(2, 3, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), r.keep(2, 1, 5)],
                {"heads": 2})),
    ("attention", "a mask for each sequence",
     lambda r: ([r.normal(2, 3, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), r.keep(2, 3, 5)],
                {"heads": 2})),
    ("attention", "one mask for all",
     lambda r: ([r.normal(2, 3, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), r.keep(3, 5)],
                {"heads": 2})),
    ("attention", "one row of mask for all",
     lambda r: ([r.normal(2, 3, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), r.keep(5)],
                {"heads": 2})),
    ("attention", "queries masked",
     lambda r: ([r.normal(2, 3, 4), r.normal(2, 5, 4), r.normal(2, 5, 4),
                 ~r.keep(2, 3)[..., None]], {})),
    ("attention", "padding and causal",
     lambda r: ([r.normal(2, 5, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), r.keep(2, 1, 5)],
                {"heads": 2, "causal": True})),
    ("attention", "masked everywhere",
     lambda r: ([r.normal(2, 3, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), r.future(3, 5)],
                {"heads": 2})),
    ("attention", "everything masked",
     lambda r: ([r.normal(2, 3, 4), r.normal(2, 3, 4), r.normal(2, 3, 4), np.zeros((1, 3), bool)],
                {"heads": 2, "causal": True})),
    ("attention", "weights",
     lambda r: ([r.normal(2, 3, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), None],
                {"heads": 2, "weights": True})),
    ("attention", "weights, masked everywhere",
     lambda r: ([r.normal(2, 3, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), r.future(3, 5)],
                {"heads": 2, "weights": True})),
    ("attention", "weights, causal",
     lambda r: ([r.normal(2, 5, 4), r.normal(2, 5, 4), r.normal(2, 5, 4), r.keep(2, 1, 5)],
                {"heads": 2, "causal": True, "weights": True})),
    ("attention", "no batch axis",
     lambda r: ([r.normal(3, 4), r.normal(5, 4), r.normal(5, 4), r.keep(3, 5)], {"heads": 2})),
    ("attention", "no batch axis, weights",
     lambda r: ([r.normal(3, 4), r.normal(3, 4), r.normal(3, 4), None],
                {"heads": 2, "causal": True, "weights": True})),
    ("attention", "two batch axes",
     lambda r: ([r.normal(2, 2, 3, 4), r.normal(2, 2, 5, 4), r.normal(2, 2, 5, 4),
                 r.keep(2, 1, 5)], {"heads": 2})),
    ("attention", "two batch axes, a mask for each",
     lambda r: ([r.normal(2, 2, 3, 4), r.normal(2, 2, 3, 4), r.normal(2, 2, 3, 4),
                 r.keep(2, 1, 3, 3)], {"heads": 2, "causal": True})),
    ("attention", "one column", lambda r: ([r.normal(2, 3, 1), r.normal(2, 3, 1), r.normal(2, 3, 1),
                                            None], {})),
    ("attention", "wide head",
     lambda r: ([r.normal(1, 2, 150), r.normal(1, 2, 150), r.normal(1, 2, 150), None],
                {"causal": True})),
    ("attention", "65 tokens, causal",
     lambda r: ([r.normal(65, 2), r.normal(65, 2), r.normal(65, 2), None],
                {"heads": 2, "causal": True})),
    ("attention", "130 tokens, causal",
     lambda r: ([r.normal(130, 2), r.normal(130, 2), r.normal(130, 2), None], {"causal": True})),
    ("attention", "130 tokens, masked",
     lambda r: ([r.normal(130, 1), r.normal(130, 1), r.normal(130, 1), r.future(130, 130)],
                {"causal": True})),
    ("attention", "the last 66 of 130, causal",
     lambda r: ([r.normal(66, 2), r.normal(130, 2), r.normal(130, 2), None],
                {"heads": 2, "causal": True})),
    ("attention", "70 tokens, all of them",
     lambda r: ([r.normal(70, 2), r.normal(70, 2), r.normal(70, 2), None], {})),
    ("attention", "transposed",
     lambda r: ([r.normal(4, 3).T, r.normal(4, 5).T, r.normal(4, 5).T, r.keep(5, 3).T],
                {"heads": 2})),
    ("attention", "strided",
     lambda r: ([r.normal(2, 3, 8)[..., ::2], r.normal(2, 6, 4)[:, ::2], r.normal(4, 3, 4)[::2],
                 r.keep(2, 1, 6)[..., ::2]], {"heads": 2})),
    ("attention", "huge scores",
     lambda r: ([r.whole(30, 2, 3, 4), r.whole(30, 2, 5, 4), r.normal(2, 5, 4), None], {})),
    ("attention", "huge scores, causal",
     lambda r: ([r.whole(30, 5, 4), r.whole(30, 5, 4), r.normal(5, 4), None], {"causal": True})),
    ("attention", "no sequences",
     lambda r: ([r.normal(0, 3, 4), r.normal(0, 3, 4), r.normal(0, 3, 4), None],
                {"heads": 2, "causal": True})),

    ("self_attention", "tokens", lambda r: ([r.normal(2, 3, 12), None], {})),
    ("self_attention", "heads", lambda r: ([r.normal(2, 3, 12), None], {"heads": 2})),
    ("self_attention", "causal",
     lambda r: ([r.normal(2, 5, 12), None], {"heads": 2, "causal": True})),
    ("self_attention", "padding mask",
     lambda r: ([r.normal(2, 5, 12), r.keep(2, 1, 5)], {"heads": 2})),
    ("self_attention", "padding and causal",
     lambda r: ([r.normal(2, 5, 12), r.keep(2, 1, 5)], {"heads": 2, "causal": True})),
    ("self_attention", "masked everywhere",
     lambda r: ([r.normal(2, 5, 12), r.future(5, 5)], {"heads": 2})),
    ("self_attention", "one token",
     lambda r: ([r.normal(1, 1, 12), None], {"heads": 2, "causal": True})),
    ("self_attention", "one column", lambda r: ([r.normal(2, 3, 3), None], {})),
    ("self_attention", "no batch axis",
     lambda r: ([r.normal(5, 12), None], {"heads": 2, "causal": True})),
    ("self_attention", "two batch axes",
     lambda r: ([r.normal(2, 2, 3, 12), r.keep(2, 1, 3)], {"heads": 2})),
    ("self_attention", "wide head", lambda r: ([r.normal(2, 450), None], {"causal": True})),
    ("self_attention", "65 tokens, causal",
     lambda r: ([r.normal(65, 6), None], {"heads": 2, "causal": True})),
    ("self_attention", "130 tokens, causal",
     lambda r: ([r.normal(130, 3), None], {"causal": True})),
    ("self_attention", "70 tokens, masked",
     lambda r: ([r.normal(70, 6), r.future(70, 70)], {"heads": 2, "causal": True})),
    ("self_attention", "transposed", lambda r: ([r.normal(12, 5).T, None], {"heads": 2})),
    ("self_attention", "strided", lambda r: ([r.normal(5, 24)[:, ::2], None], {"heads": 2})),
    ("self_attention", "huge scores", lambda r: ([r.whole(30, 5, 12), None], {"causal": True})),
    ("self_attention", "no sequences",
     lambda r: ([r.normal(0, 3, 12), None], {"heads": 2, "causal": True})),

    ("dropout", "tokens", lambda r: ([r.normal(2, 3, 5), r.keep(2, 3, 5)], {"rate": 0.3})),
    ("dropout", "nothing to drop",
     lambda r: ([r.normal(2, 3), np.ones((2, 3), bool)], {"rate": 0})),
    ("dropout", "all dropped", lambda r: ([r.normal(2, 3), np.zeros((2, 3), bool)], {"rate": 0.9})),
    ("dropout", "one row", lambda r: ([r.normal(7), r.keep(7)], {"rate": 0.1})),
    ("dropout", "one column", lambda r: ([r.normal(4, 1), ~r.keep(4, 1)], {"rate": 0.5})),
    ("dropout", "longer than a block",
     lambda r: ([r.normal(2, 150), r.keep(2, 150)], {"rate": 0.3})),
    ("dropout", "transposed", lambda r: ([r.normal(5, 3).T, r.keep(5, 3).T], {"rate": 0.3})),
    ("dropout", "strided",
     lambda r: ([r.normal(4, 10)[:, ::2], r.keep(8, 5)[::2]], {"rate": 0.3})),
    ("dropout", "large numbers", lambda r: ([r.normal(2, 5) * 1e3, r.keep(2, 5)], {"rate": 0.3})),
    ("dropout", "no rows", lambda r: ([r.normal(0, 5), r.keep(0, 5)], {"rate": 0.3})),

    *recurrences(),
    ("gru", "only the first bias",
     lambda r: (recurrence(r, 2, 3, 2, 3, gates=3)[:4] + [r.normal(9), None, None], {})),
    ("gru", "only the second bias",
     lambda r: (recurrence(r, 2, 3, 2, 3, gates=3)[:4] + [None, r.normal(9), None], {})),
    *alignments(),
]

# One row an op, big enough that its rows are shared among threads and its arrays come from a pool.
LARGE = [
    ("add", "large", lambda r: ([r.normal(400, 500), r.normal(500)], {})),
    ("mul", "large", lambda r: ([r.normal(400, 500), r.normal(400, 500)], {})),
    ("relu", "large", lambda r: ([r.away(400, 500)], {})),
    ("tanh", "large", lambda r: ([r.normal(400, 500)], {})),
    ("sigmoid", "large", lambda r: ([r.normal(400, 500)], {})),
    ("gelu", "large", lambda r: ([r.normal(400, 500)], {})),
    ("gelu", "large, exact", lambda r: ([r.normal(400, 500)], {"exact": True})),
    ("bias_gelu", "large", lambda r: ([r.normal(400, 500), r.normal(500)], {})),
    ("reshape", "large", lambda r: ([r.normal(400, 500)], {"shape": (1000, 200)})),
    ("transpose", "large", lambda r: ([r.normal(400, 500)], {"axes": (1, 0)})),
    ("concat", "large", lambda r: ([r.normal(400, 300), r.normal(400, 200)], {})),
    ("split", "large", lambda r: ([r.normal(400, 600)], {"parts": 3})),
    ("sum", "large", lambda r: ([r.normal(400, 500)], {"axis": 1})),
    ("mean", "large", lambda r: ([r.normal(400, 500)], {"axis": 0})),
    ("linear", "large", lambda r: ([r.normal(500, 100), r.normal(100, 300), r.normal(300)], {})),
    ("matmul", "large", lambda r: ([r.normal(4, 150, 150), r.normal(4, 150, 150)], {})),
    ("embedding", "large", lambda r: ([r.ids(700, 20, 100), r.normal(700, 100)], {})),
    ("embedding", "large, one word", lambda r: ([r.ids(1, 2000), r.normal(1, 100)], {})),
    ("positions", "large", lambda r: ([r.normal(8, 100, 250), r.normal(128, 250)], {"start": 3})),
    ("layernorm", "large", lambda r: ([r.normal(400, 500), r.normal(500), r.normal(500)], {})),
    ("residual_layernorm", "large",
     lambda r: ([r.normal(400, 500), r.normal(400, 500), r.normal(500), r.normal(500)], {})),
    ("softmax", "large", lambda r: ([r.normal(400, 500)], {})),
    ("logsumexp", "large", lambda r: ([r.normal(400, 500)], {})),
    ("cross_entropy", "large",
     lambda r: ([r.normal(400, 500), r.targets(500, 400, ignore=-1)], {})),
    ("attention", "large",
     lambda r: ([r.normal(3, 100, 64), r.normal(3, 150, 64), r.normal(3, 150, 64),
                 r.keep(3, 1, 150)], {"heads": 4})),
    ("attention", "large, causal",
     lambda r: ([r.normal(3, 150, 64), r.normal(3, 150, 64), r.normal(3, 150, 64), None],
                {"heads": 4, "causal": True})),
    ("self_attention", "large",
     lambda r: ([r.normal(3, 200, 192), None], {"heads": 4, "causal": True})),
    ("dropout", "large", lambda r: ([r.normal(400, 500), r.keep(400, 500)], {"rate": 0.3})),
    *[(op, "large", lambda r, cell=cell: (
        recurrence(r, 9, 20, 40, 70, lengths=[20, 3, 0, 20, 11, 20, 1, 19, 7], **cell), {}))
      for op, cell in CELLS.items()],
    *[(op, "large, reverse", lambda r, cell=cell: (
        recurrence(r, 6, 20, 40, 96, **cell), {"reverse": True})) for op, cell in CELLS.items()],
    *[(op, "large, rows in parts", lambda r, cell=cell: (       # kernels/cpu/rnn.py cuts 32 rows
        recurrence(r, 32, 2, 16, 320, **cell), {})) for op, cell in CELLS.items()],
    ("additive_attention", "large",
     lambda r: (aligned(r, 5, 30, 40, 100, 64, True, r.keep(5, 40)), {})),
    ("multiplicative_attention", "large",
     lambda r: (aligned(r, 5, 100, 140, 16, 64, False, r.keep(5, 140)), {})),
]

# The steps of optimizers and of decoding have no backward: (step, label, make), run several times.
STEPS = [
    ("sgd_", "matrix", lambda r: ([r.normal(2, 3), r.normal(2, 3)], {"lr": 0.1})),
    ("sgd_", "clipped", lambda r: ([r.normal(2, 3), r.normal(2, 3)], {"lr": 0.05, "scale": 0.3})),
    ("sgd_", "number", lambda r: ([r.normal(), r.normal()], {"lr": 0.1})),
    ("sgd_", "long", lambda r: ([r.normal(150), r.normal(150)], {"lr": 0.1})),
    ("sgd_", "large", lambda r: ([r.normal(400, 500), r.normal(400, 500)], {"lr": 0.1})),
    ("sgd_", "nothing", lambda r: ([r.normal(0), r.normal(0)], {"lr": 0.1})),

    ("momentum_", "matrix",
     lambda r: ([r.normal(2, 3), r.normal(2, 3), r.normal(2, 3)], {"lr": 0.1})),
    ("momentum_", "clipped, little memory",
     lambda r: ([r.normal(2, 3), r.normal(2, 3), r.normal(2, 3)],
                {"lr": 0.05, "mu": 0.3, "scale": 0.3})),
    ("momentum_", "number", lambda r: ([r.normal(), r.normal(), r.normal()], {"lr": 0.1})),
    ("momentum_", "long", lambda r: ([r.normal(150), r.normal(150), r.normal(150)], {"lr": 0.1})),
    ("momentum_", "large",
     lambda r: ([r.normal(400, 500), r.normal(400, 500), r.normal(400, 500)], {"lr": 0.1})),
    ("momentum_", "nothing", lambda r: ([r.normal(0), r.normal(0), r.normal(0)], {"lr": 0.1})),

    ("adam_", "matrix",
     lambda r: ([r.normal(2, 3), r.normal(2, 3), r.normal(2, 3), r.normal(2, 3) ** 2],
                {"lr": 0.1})),
    ("adam_", "clipped, other settings",
     lambda r: ([r.normal(2, 3), r.normal(2, 3), r.normal(2, 3), r.normal(2, 3) ** 2],
                {"lr": 0.05, "beta1": 0.5, "beta2": 0.7, "eps": 1e-3, "scale": 0.3})),
    ("adam_", "no gradient",
     lambda r: ([r.normal(3), 0 * r.normal(3), 0 * r.normal(3), 0 * r.normal(3)], {"lr": 0.1})),
    ("adam_", "tiny gradients",
     lambda r: ([r.normal(3), 1e-6 * r.normal(3), 0 * r.normal(3), 0 * r.normal(3)],
                {"lr": 0.1})),
    ("adam_", "number",
     lambda r: ([r.normal(), r.normal(), r.normal(), r.normal() ** 2], {"lr": 0.1})),
    ("adam_", "long",
     lambda r: ([r.normal(150), r.normal(150), r.normal(150), r.normal(150) ** 2], {"lr": 0.1})),
    ("adam_", "large",
     lambda r: ([r.normal(400, 500), r.normal(400, 500), r.normal(400, 500),
                 r.normal(400, 500) ** 2], {"lr": 0.1})),
    ("adam_", "nothing",
     lambda r: ([r.normal(0), r.normal(0), r.normal(0), r.normal(0)], {"lr": 0.1})),

    ("adamw_", "matrix",
     lambda r: ([r.normal(2, 3), r.normal(2, 3), r.normal(2, 3), r.normal(2, 3) ** 2],
                {"lr": 0.1})),
    ("adamw_", "clipped, other settings",
     lambda r: ([r.normal(2, 3), r.normal(2, 3), r.normal(2, 3), r.normal(2, 3) ** 2],
                {"lr": 0.05, "beta1": 0.5, "beta2": 0.7, "eps": 1e-3, "decay": 0.3, "scale": 0.3})),
    ("adamw_", "no gradient",
     lambda r: ([r.normal(3), 0 * r.normal(3), 0 * r.normal(3), 0 * r.normal(3)],
                {"lr": 0.1, "decay": 0.5})),
    ("adamw_", "number",
     lambda r: ([r.normal(), r.normal(), r.normal(), r.normal() ** 2], {"lr": 0.1})),
    ("adamw_", "long",
     lambda r: ([r.normal(150), r.normal(150), r.normal(150), r.normal(150) ** 2], {"lr": 0.1})),
    ("adamw_", "large",
     lambda r: ([r.normal(400, 500), r.normal(400, 500), r.normal(400, 500),
                 r.normal(400, 500) ** 2], {"lr": 0.1})),
    ("adamw_", "nothing",
     lambda r: ([r.normal(0), r.normal(0), r.normal(0), r.normal(0)], {"lr": 0.1})),

    ("squared_norm", "matrix", lambda r: ([r.normal(3, 5)], {})),
    ("squared_norm", "number", lambda r: ([r.normal()], {})),
    ("squared_norm", "long", lambda r: ([r.normal(150)], {})),
    ("squared_norm", "large", lambda r: ([r.normal(400, 500)], {})),
    ("squared_norm", "great and small", lambda r: ([r.normal(3, 50) * 10 ** r.normal(50)], {})),
    ("squared_norm", "nothing", lambda r: ([r.normal(0)], {})),

    ("clip_factor", "above the limit", lambda r: ([9 + r.normal() ** 2], {"limit": 1.5})),
    ("clip_factor", "below the limit", lambda r: ([r.normal() ** 2], {"limit": 1e6})),
    ("clip_factor", "mean of four",
     lambda r: ([99 + r.normal() ** 2], {"limit": 1.5, "most": 0.25})),
    ("clip_factor", "mean of four below the limit",
     lambda r: ([9 + r.normal() ** 2], {"limit": 1.5, "most": 0.25})),
    ("clip_factor", "sum and mean of four below the limit",
     lambda r: ([4 + 0.1 * r.normal() ** 2], {"limit": 3, "most": 0.25})),
    ("clip_factor", "no gradient", lambda r: ([0 * r.normal()], {"limit": 1})),
    ("clip_factor", "no gradient, mean of four",
     lambda r: ([0 * r.normal()], {"limit": 1, "most": 0.25})),
    ("clip_factor", "limit 0", lambda r: ([r.normal() ** 2], {"limit": 0})),
    ("clip_factor", "no limit", lambda r: ([r.normal() ** 2], {"limit": None})),
    ("clip_factor", "no limit, mean of four",
     lambda r: ([r.normal() ** 2], {"limit": None, "most": 0.25})),

    ("attention_step_", "first tokens", lambda r: (attention_block(r, 4, 9), {"heads": 2})),
    ("attention_step_", "no biases", lambda r: (attention_block(r, 4, 9, False), {"heads": 2})),
    ("attention_step_", "one head, large epsilon",
     lambda r: (attention_block(r, 5, 6), {"heads": 1, "eps": 0.1})),
    ("attention_step_", "heads of one column", lambda r: (attention_block(r, 3, 5), {"heads": 3})),
    ("attention_step_", "longer than a block",
     lambda r: (attention_block(r, 150, 200), {"heads": 3})),
    ("attention_step_", "large", lambda r: (attention_block(r, 600, 30), {"heads": 6})),

    ("mlp_step", "one token", lambda r: (mlp_block(r, 4, 9), {})),
    ("mlp_step", "exact", lambda r: (mlp_block(r, 4, 9), {"exact": True})),
    ("mlp_step", "no biases", lambda r: (mlp_block(r, 4, 9, False), {})),
    ("mlp_step", "no biases, exact", lambda r: (mlp_block(r, 4, 9, False), {"exact": True})),
    ("mlp_step", "large epsilon", lambda r: (mlp_block(r, 5, 3), {"eps": 0.1})),
    ("mlp_step", "one column", lambda r: (mlp_block(r, 3, 1), {})),
    ("mlp_step", "longer than a block", lambda r: (mlp_block(r, 150, 600), {})),
    ("mlp_step", "large", lambda r: (mlp_block(r, 500, 2000), {})),
    ("mlp_step", "large, exact", lambda r: (mlp_block(r, 500, 2000), {"exact": True})),
]
