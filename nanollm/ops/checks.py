"""One clear line for arrays that do not fit, the same on every backend."""

from nanollm.errors import InputError


def expect(op, name, array, shape):
    """Raise InputError unless `array` has `shape`."""
    if array.shape != shape:
        raise InputError(f"{op}: {name} has shape {tuple(array.shape)}, expected {shape}")


def expect_dtype(op, name, array, dtype):
    """Raise InputError unless `array` holds fractions of `dtype`, which is x's."""
    if array.dtype != dtype or array.dtype.kind != "f":
        raise InputError(f"{op}: {name} has dtype {array.dtype} and x {dtype}, expected one for "
                         "both, float32 or float64: convert with astype")


def expect_ids(op, ids, V, ignore=None):
    """Raise InputError unless every id is a whole number in [0, V), or `ignore`."""
    if ids.dtype.kind not in "iu":
        raise InputError(f"{op}: token ids have dtype {ids.dtype}, expected whole numbers (int64)")
    if ids.size == 0 or (ids.min() >= 0 and ids.max() < V):
        return
    bad = ids[(ids < 0) | (ids >= V)]
    bad = bad if ignore is None else bad[bad != ignore]
    if bad.size:
        raise InputError(f"{op}: token id {bad[0]} is out of range; the vocabulary has {V} "
                         f"entries, 0 to {V - 1}: was the text encoded by another tokenizer?")


def broadcast_shape(op, *arrays):
    """The common shape of `arrays` under NumPy's broadcasting; InputError if there is none."""
    rank = max(a.ndim for a in arrays)
    padded = [(1,) * (rank - a.ndim) + tuple(a.shape) for a in arrays]
    shape = []
    for sizes in zip(*padded):
        wide = {n for n in sizes if n != 1}
        if len(wide) > 1:
            shapes = " and ".join(str(tuple(a.shape)) for a in arrays)
            raise InputError(f"{op}: shapes {shapes} do not broadcast together")
        shape.append(wide.pop() if wide else 1)
    return tuple(shape)
