"""What the tests have in common: a backend's pair, run on a case and held against the reference.

The judge is better than the judged: the reference runs in float64, on the very numbers the kernel
saw. test_ops.py asks these questions of the backends, test_planted_bugs.py of broken ops.
"""

import inspect
from contextlib import contextmanager

import numpy as np

from cases import Draw, seed
from nanollm import backend, gradcheck, ops

CLOSE = {"float32": 2e-6, "float64": 1e-12}     # relative to the largest entry
FLOOR = 0.1                                     # or to this, if the largest entry is smaller
WRITTEN = {"w", "m", "v", "u", "keys", "values"}    # what a step, whose name ends in _, writes into


class Arrays:
    """How arrays reach a backend and come back: on a CPU they are left as they are."""

    def __init__(self, name):
        device = name == "cuda"
        module = backend.module(name)
        self._put = module.array if device else lambda x: x
        self._get = module.numpy if device else np.asarray

    def put(self, x):
        return each(self._put, x)

    def get(self, y):
        """A list of NumPy arrays: the results in a row (None stays None)."""
        return [None if a is None else self._get(a) for a in flat(y)]


def pair(name, op):
    """The pair (forward, backward) of a backend."""
    with backend.use(name):
        return backend.lookup(op)


def check_gradient(case, judged=None):
    """The float64 gradient of a pair (the reference) agrees with central differences."""
    op, _, make = case
    r = Draw(seed(case))
    inputs, settings = make(r)
    return gradcheck.check(*(judged or pair("numpy", op)), inputs, settings, r.rng)


@contextmanager
def poisoned(name):
    """Inside, all memory that cuda's `empty` lends is full of NaN: what is not written shows.

    (Other backends: nothing; the buffers of kernels.cpu are poisoned by its own tests.)
    """
    if name != "cuda":
        yield
        return
    from kernels.cuda import arrays as memory
    take = memory.take

    def take_poisoned(size):
        piece = take(size)
        piece.copy_to_device(np.full(size, 0xff, np.uint8))
        return piece

    memory.take = take_poisoned
    try:
        yield
    finally:
        memory.take = take


def check_numbers(case, dtype, judged, arrays, again=0):
    """y and all gradients agree with the reference's, and keep dtype and shape: the worst error."""
    op, _, make = case
    forward, backward = judged
    exact_forward, exact_backward = getattr(ops, op), getattr(ops, op + "_backward")
    inputs, settings, dy = situation(case, dtype, again)
    y, saved = forward(*map(arrays.put, inputs), **settings)
    dxs = backward(arrays.put(dy), saved)
    exact_y, exact_saved = exact_forward(*map(exact, inputs), **settings)
    exact_dxs = exact_backward(each(exact, dy), exact_saved)
    assert isinstance(y, tuple) == isinstance(exact_y, tuple)
    return max(agree(f"{op}'s y", arrays.get(y), flat(exact_y), dtype),
               agree(f"{op}'s gradient", arrays.get(dxs), list(exact_dxs), dtype))


def check_step(step, dtype, judged, arrays, again=0, times=5):
    """After several steps, all results and all written agree with the reference's: worst error."""
    name, _, make = step
    r = Draw(seed(step) + again, np.dtype(dtype))
    start, settings = make(r)
    start = [None if x is None else np.array(x) for x in start]
    ours, reference = list(arrays.put(tuple(copies(start)))), copies(list(map(exact, start)))
    parameters = inspect.signature(getattr(ops, name)).parameters
    for t in range(1, times + 1):
        if t > 1 and "length" in parameters:            # another token: equal keys would hide much
            start[0] = r.normal(*start[0].shape)
            ours[0], reference[0] = arrays.put(start[0].copy()), exact(start[0])
        for counter, value in ("t", t), ("length", t - 1):
            if counter in parameters:
                settings[counter] = value
        got, want = judged(*ours, **settings), getattr(ops, name)(*reference, **settings)
        if isinstance(got, float | np.generic):         # a host's number is Python's: all digits
            assert isinstance(got, float) and isinstance(want, float)
            assert abs(got - want) <= CLOSE["float64"] * want
        elif isinstance(want, float):               # on a device, in the arrays' own dtype
            agree(f"{name}'s number", arrays.get(got), [np.array(want)], dtype)
        else:
            agree(f"{name}'s y", arrays.get(got), flat(want), dtype)
    worst = agree(f"{name}'s arrays", arrays.get(ours), reference, dtype)
    for p, x, before in zip(parameters, arrays.get(ours), start):
        assert p in WRITTEN or same_bits([x], [before]), f"{name} modified {p}"
    return worst


def counters(name, arrays):
    """What a step counts with: t, or the length at which its arrays are nearly full."""
    parameters = inspect.signature(getattr(ops, name)).parameters
    return {"t": 1} if "t" in parameters else (
        {"length": arrays[-1].shape[0] - 1} if "length" in parameters else {})


def agree(what, got, want, dtype):
    """Arrays got (of `dtype`) are close to want (float64), None where it is: the worst error."""
    assert len(got) == len(want), f"{what}: {len(got)} arrays, expected {len(want)}"
    worst = 0.0
    for i, (g, w) in enumerate(zip(got, want)):
        if w is None or g is None:
            assert g is None and w is None, f"{what}[{i}]: got {g}, expected {w}"
            continue
        assert g.shape == w.shape, f"{what}[{i}]: shape {g.shape}, expected {w.shape}"
        assert g.dtype == dtype, f"{what}[{i}]: dtype {g.dtype}, expected {dtype}"
        error = np.abs(g - w).max(initial=0) / max(np.abs(w).max(initial=0), FLOOR)
        assert error <= CLOSE[dtype], f"{what}[{i}]: off by {error:.1e}, allowed {CLOSE[dtype]}"
        worst = max(worst, float(error))
    return worst


def situation(case, dtype, again=0):
    """(inputs, settings, dy) of a row in `dtype`; `again` = 1, 2, ... draws other numbers."""
    op, _, make = case
    r = Draw(seed(case) + again, np.dtype(dtype))
    inputs, settings = make(r)
    y, _ = getattr(ops, op)(*inputs, **settings)
    return inputs, settings, each(lambda a: r.normal(*a.shape), y)


def exact(x):
    """x in float64, if it holds real numbers."""
    return x.astype(np.float64) if x is not None and x.dtype.kind == "f" else x


def check_signatures(name):
    """Every name that the reference has, this backend has, with the same signature."""
    module = backend.module(name)
    for op, reference in public(ops).items():
        assert hasattr(module, op), f"{name} has no {op}"
        got, want = (inspect.signature(f) for f in (getattr(module, op), reference))
        assert got == want, f"{name}'s {op}{got}, expected {want}"


def public(module):
    """{name: function} of a backend module."""
    return {name: f for name, f in vars(module).items()
            if inspect.isfunction(f) and not name.startswith("_")}


def copies(xs):
    return [None if x is None else x.copy() for x in flat(xs)]


def same_bits(xs, ys):
    return len(xs) == len(ys) and all(
        (x is None and y is None) or (x is not None and y is not None and x.dtype == y.dtype
                                      and x.shape == y.shape and x.tobytes() == y.tobytes())
        for x, y in zip(xs, ys))


def each(f, y):
    """f of y, or of each array if y is a tuple; None stays None."""
    return tuple(each(f, a) for a in y) if isinstance(y, tuple) else None if y is None else f(y)


def flat(y):
    return list(y) if isinstance(y, tuple | list) else [y]
