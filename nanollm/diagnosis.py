"""What a wrong gradient tells: compare it with the right one and name the likely mistake.

Most wrong derivations leave a fingerprint: every sign flipped, one constant factor, two axes
exchanged, only the last of many contributions. gradcheck.py finds that a gradient is wrong; here
are the fingerprints, in the order in which they are looked for.
"""

import inspect
import re

import numpy as np

from nanollm.ops.elementwise import unbroadcast

NEAR = 1e-5       # "equal" for a fingerprint, relative to the largest entry
FEW = 3           # as many entries are listed one by one


def near(a, b):
    """Are a and b equal up to rounding? (Never if they are zero: that would prove nothing.)"""
    largest = np.abs(b).max(initial=0)
    return a.shape == b.shape and largest > 0 and np.abs(a - b).max() <= NEAR * largest


def of_shape(got, expected):
    """Evidence from a gradient of the wrong shape or dtype."""
    if got.shape == expected.shape:
        return [f"a {expected.dtype} gradient went in: look for an array made without a dtype, or "
                "a cast"]
    if got.size == expected.size:
        if expected.ndim > 1 and near(got, expected.swapaxes(-1, -2)):
            return ["its values are right, but transposed: exchange the factors of the product, or "
                    "move a .T"]
        if near(got.reshape(expected.shape), expected):
            return ["its values are right: only a reshape (or keepdims) is missing"]
    if got.ndim < expected.ndim:
        return ["an axis is gone that the input has: look at axis= and keepdims= of the sums"]
    try:
        summed = unbroadcast(got, expected.shape)
    except (ValueError, IndexError):
        return []
    if near(summed, expected) or got.ndim > expected.ndim:
        return ["a sum is missing: over every axis along which the input was repeated"]
    return []


def of_values(got, expected, parts, dys, inputs, sizes):
    """Evidence from a gradient of the right shape: a list of lines, the first that fits.

    parts    (x.size, y.size): what each entry of y contributes to each entry of expected
    dys      the incoming gradients, one for each output
    sizes    [(number, what it is)] that could be a forgotten factor
    """
    if not got.any():
        return ["it is zero everywhere: the gradient is never filled in, or dy is not used"]
    if near(got, expected):
        return ["it agrees to five digits: look for a float32 on the way, or a constant with too "
                "few digits"]
    ratio = (got * expected).sum() / max((expected ** 2).sum(), np.finfo(float).tiny)
    if near(got, ratio * expected):
        return factor(ratio, sizes)
    if expected.ndim > 1 and near(got, expected.swapaxes(-1, -2)):
        return ["it equals the right gradient transposed: exchange the factors, or move a .T"]
    for n, dy in enumerate(dys):
        which = "dy" if len(dys) == 1 else f"dy[{n}]"
        if dy.shape == expected.shape and near(expected - got, dy):
            return [f"what is missing is exactly {which}: a path from the input to the output has "
                    "been forgotten"]
    lost = contribution_lost(got, parts, dys, inputs)
    if lost:
        return [lost]
    return pattern(got, expected)


def factor(ratio, sizes):
    """Evidence from got = ratio × expected in every entry."""
    if abs(ratio + 1) < NEAR:
        return ["every entry has the opposite sign: a sign is flipped"]
    sign = "the sign is flipped, and " if ratio < 0 else ""
    lines = [f"got = {ratio:.6g} × expected in every entry: {sign}a constant factor is wrong"]
    ratio = abs(ratio)
    many, few = equal_to(ratio, sizes), equal_to(1 / ratio, sizes)
    if many:
        lines.append(f"{ratio:.6g} is {many}: a division by it is missing (a sum for a mean), or a "
                     "factor is there once too often")
    if few:
        lines.append(f"{ratio:.6g} is 1 / {1 / ratio:.6g}, which is {few}: a division by it too "
                     "many (a mean for a sum), or a factor is missing")
    if not many and not few:
        for value, text in (2, "2"), (2 ** 0.5, "√2"):
            if abs(ratio / value - 1) < NEAR:
                lines.append(f"{text} is a factor too many, or a division by {text} is missing")
            elif abs(ratio * value - 1) < NEAR:
                lines.append(f"a factor {text} is missing, or {text} divides once too often")
    return lines


def equal_to(number, sizes):
    """What `number` could be, in words: "a, b or c"; "" if it is none of `sizes`.

    Of several inputs with such an axis or number (q.shape[1], k.shape[1]) the first stands for all.
    """
    listed, first = [], {}
    for value, words in sizes:
        name, _, shape = words.partition(".shape")
        what = "a shape" if shape else re.sub(r" of \w+$", "", words)
        for text, of in {words: value, f"√({words})": value ** 0.5 if shape else 0}.items():
            if of and abs(number / of - 1) < NEAR and (
                    first.setdefault((what, of == value), name) == name):
                listed.append(text)
    if listed and abs(number - 2) < NEAR:
        listed.append("just 2")
    return ", ".join(listed[:-1]) + " or " * (len(listed) > 1) + "".join(listed[-1:])


def contribution_lost(got, parts, dys, inputs):
    """One line if `got` holds only some of the contributions that should add up, else None."""
    used = parts != 0
    if not used.size:
        return None
    last = parts.shape[1] - 1 - used[:, ::-1].argmax(axis=1)
    kept = {"last": last, "first": used.argmax(axis=1)}
    for which, column in kept.items():
        alone = np.take_along_axis(parts, column[:, None], axis=1).reshape(got.shape)
        if near(got, alone):
            repeated = any(x is not None and x.dtype.kind in "iu" and
                           np.unique(x).size < x.size for x in inputs)
            return (f"only the {which} contribution to each entry is kept: " + (
                "an index repeats, so use += (np.add.at) in place of =" if repeated else
                "a sum over the other rows is missing"))
    if len(dys) > 1:
        return None
    block = parts.reshape(*got.shape, *dys[0].shape)
    for axis in range(dys[0].ndim):
        for which, index in ("last", -1), ("first", 0):
            one = block.take(index, axis=got.ndim + axis)
            if near(got, one.reshape(*got.shape, -1).sum(axis=-1)):
                return (f"only the {which} index of dy's axis {axis} contributes: the sum over "
                        "that axis is missing")
    return None


def pattern(got, expected):
    """Evidence when no fingerprint fits: which entries are wrong, and what rows sum to."""
    scale = np.abs(expected).max()
    wrong = np.abs(got - expected) > NEAR * max(scale, NEAR)
    lines = positions(wrong)
    if expected.ndim and expected.shape[-1] > 1:
        right, ours = (np.abs(g.sum(axis=-1)).max() for g in (expected, got))
        if right < NEAR * scale < ours:
            lines.append("the right gradient's rows sum to zero and these do not: a mean along the "
                         "row is not subtracted")
    return lines


def positions(wrong):
    """Which entries of a bool array are True, in lines: how many, and where they lie together."""
    count = np.count_nonzero(wrong)
    lines = [f"{count} of {wrong.size} entries are wrong"]
    if wrong.ndim and 0 < count <= FEW:
        return [f"{lines[0]}: {entries(wrong)}"]
    if 0 < wrong.size - count <= FEW:
        return [f"{lines[0]}, all but {entries(~wrong)}"]
    for axis in range(wrong.ndim):
        bad = np.flatnonzero(wrong.any(axis=tuple(i for i in range(wrong.ndim) if i != axis)))
        if 0 < len(bad) < wrong.shape[axis]:
            listed = ", ".join(map(str, bad[:6])) + (" ..." if len(bad) > 6 else "")
            lines.append(f"all of them at {listed} of axis {axis} (of {wrong.shape[axis]})")
    return lines


def entries(chosen):
    """Where a bool array is True, as text: "[0, 2], [1, 2]"."""
    return ", ".join(str(at) for at in np.argwhere(chosen).tolist())


def sizes(forward, names, inputs, settings):
    """Numbers that are often forgotten as a factor, with words for each."""
    found = []
    defaults = {name: p.default for name, p in inspect.signature(forward).parameters.items()
                if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}
    settings = {**defaults, **settings}
    for name, x in zip(names, inputs):
        if x is None:
            continue
        found += [(n, f"{name}.shape[{i}]") for i, n in enumerate(x.shape)]
        if x.ndim > 1 and x.size:
            found += [(x.size, f"the number of entries of {name}")]
        if x.ndim > 2 and x.size:
            found += [(x.size // x.shape[-1], f"the number of rows of {name}")]
        if x.dtype == bool:
            found.append((np.count_nonzero(x), f"the number of True in {name}"))
        elif x.dtype.kind in "iu":
            found.append((np.count_nonzero(x != settings.get("ignore")),
                          f"the number of {name} that count"))
        if settings.get("heads", 1) > 1 and x.ndim:
            found.append((x.shape[-1] / settings["heads"], f"{name}.shape[-1] / heads"))
    for name, value in settings.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found += [(value, name)]
            found += [(1 - value, f"1 - {name}")] if 0 < value < 1 else []      # a rate
    return [(number, words) for number, words in found if number > 1 or 0 < number < 1]


def named(forward, inputs):
    """(names, inputs) from forward's signature: xs[0], xs[1], ... for *xs; defaults filled in."""
    names, inputs = [], list(inputs)
    for name, p in inspect.signature(forward).parameters.items():
        if p.kind is p.VAR_POSITIONAL:
            names += [f"{name}[{i}]" for i in range(len(inputs) - len(names))]
        elif p.kind is not p.KEYWORD_ONLY:
            names.append(name)
            if len(names) > len(inputs) and p.default is not p.empty:
                inputs.append(p.default)
    return names, inputs


def entry(name, at):
    """How one writes the entry `at` of the array `name`."""
    return f"{name}[{', '.join(map(str, map(int, at)))}]" if len(at) else name
