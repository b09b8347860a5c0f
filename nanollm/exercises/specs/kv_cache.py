"""Attention with a key-value cache.

Where an answer is wrong, each suspect is planted in the solved page, then two at once; the first
that gives the student's results in all of CASES names the mistake.
"""

import functools

import numpy as np

from nanollm import ops
from nanollm.errors import InputError
from nanollm.exercises.of_ops import alike, attempt, named
from nanollm.exercises.spec import Exercise, Wrong, call, expect, kind
from nanollm.exercises.stubs import WRITE_ME

PAGE = "nanollm/exercises/pages/kv_cache.py"
C, ROOM = 4, 8
CASES = (((1, 1, 1), 1), ((3,), 1), ((2, 3), 1), ((2, 1, 3), 2))   # (tokens of each call, heads)

WRITE = "keys[length:end], values[length:end] = k, v"
ATTEND = "attention(q, keys[:end], values[:end], heads=heads, causal=True)"
THEN = "y, _ = " + ATTEND


def by_hand(mask="np.tri(T, end, length, dtype=bool)", hidden="-np.inf", axis=-1, times="1"):
    """What becomes of THEN where attention is written out."""
    return f"""import numpy as np
    T, D = len(q), q.shape[1] // heads
    Q, K, V = (a.reshape(-1, heads, D).swapaxes(0, 1) for a in (q, keys[:end], values[:end]))
    s = Q @ K.swapaxes(1, 2) / D ** 0.5
    s = np.where({mask}, s, {hidden})
    p = np.exp(s - s.max(axis={axis}, keepdims=True))
    p = p / p.sum(axis={axis}, keepdims=True) * {times}
    y = (p @ V).swapaxes(0, 1).reshape(T, -1)"""


def one_by_one(rows):
    """What becomes of THEN where each new token looks at `rows` alone."""
    return ("y = q.copy()\n    for t in range(len(q)):\n"
            f"        y[t:t + 1] = attention(q[t:t + 1], keys[{rows}], values[{rows}], "
            "heads=heads)[0]")


NOT_FILLED = "rows that nothing was written to are read: take keys[:end] and values[:end]"
CAUSAL = ("new tokens see those that come after them: new token t sees rows 0 to length + t and no "
          "more")
SHIFT = ("the mask begins at row 0: new token t stands at row length + t, and sees rows 0 to "
         "length + t")
ITSELF = "a token does not see itself: new token t sees rows 0 to length + t, its own too"
LATE = "the attention comes before the new rows are written: write first"
SUSPECTS = tuple(("attention_step_", *row) for row in (
    ("keys[:end], values[:end]", "keys, values", NOT_FILLED),
    ("keys[:end], values[:end]", "keys[:end + 1], values[:end + 1]", NOT_FILLED),
    ("causal=True", "causal=False", CAUSAL),
    ("causal=True", "causal=length == 0",
     "after a prompt the mask is missing: several new tokens may come later, too"),
    ("causal=True", "causal=length > 0",
     "for the first call the mask is missing: the first tokens must not see later ones, either"),
    *((THEN, by_hand(mask, hidden), words) for hidden in ("-1e9", "-np.inf") for mask, words in (
        ("np.tri(T, end, dtype=bool)", SHIFT),
        ("np.tri(T, end, length - 1, dtype=bool)", ITSELF),
        ("np.tri(T, end, length + 1, dtype=bool)",
         "a new token sees the one after it: new token t sees rows 0 to length + t and no more"),
        ("~np.tri(T, end, length, dtype=bool)",
         "the mask is the opposite: rows 0 to length + t are seen, those after them not"),
        ("~np.tri(T, end, length - 1, dtype=bool)",
         "each token sees itself and what comes after: new token t sees rows 0 to length + t"),
        ("np.tri(end, T, length, dtype=bool).T",
         "the mask is transposed: its rows are the T new tokens, its columns the filled rows"))),
    *((THEN, by_hand(**settings), words) for settings, words in (
        ({"hidden": "0"}, "a score of 0 hides nothing: a key that is not seen has the score -∞"),
        ({"mask": "True", "times": "np.tri(T, end, length)"},
         "the mask comes after the softmax, so that the weights no longer sum to 1: mask the "
         "scores, with -∞"),
        ({"axis": 0}, "the softmax runs along the heads: it runs along the keys, axis=-1"),
        ({"axis": 1}, "the softmax runs along the queries: it runs along the keys, axis=-1"),
        ({"axis": None},
         "the softmax is one of all scores together: each query has its own, axis=-1"))),
    (ATTEND, "attention(q, k, v, heads=heads, causal=True)",
     "only the new tokens are seen, not the past: the keys and values are those of all filled "
     "rows"),
    (ATTEND, "attention(q, keys[:length], values[:length], heads=heads)",
     "only the past is seen: the new tokens' own rows belong to it, too"),
    (THEN, one_by_one(":length + t"), ITSELF),
    (THEN, one_by_one(":length + t or 1"), ITSELF),
    (THEN, one_by_one(":t + 1"), SHIFT),
    (WRITE + "\n    " + THEN, THEN + "\n    " + WRITE, LATE),
    (WRITE, "keys[length:end], values[length:end] = v, k", "keys and values are exchanged"),
    (WRITE, "keys[length:end] = k", "the values are not written: values[length:end] = v"),
    (WRITE, "values[length:end] = v", "the keys are not written: keys[length:end] = k"),
    (WRITE, "keys[length:end], values[length:end] = q, v",
     "the queries are written in place of the keys"),
    (WRITE, "pass", "nothing is written: keys[length:end] and values[length:end] take k and v"),
    (WRITE, "keys = keys.copy(); values = values.copy(); " + WRITE,
     "copies are written, not the caller's cache: write in place, keys[length:end] = k"),
    (WRITE, "keys[length + 1:end + 1], values[length + 1:end + 1] = k, v",
     "the new rows are one too far down: the first is `length`, for rows are counted from 0"),
    (WRITE, "keys[length - 1:end - 1], values[length - 1:end - 1] = k, v",
     "the new rows are one too far up: the first is `length`, for rows are counted from 0"),
    (WRITE, "keys[end], values[end] = k, v",
     "the row behind the new ones is written: they are rows length to end - 1"),
    ("end = length + len(q)", "end = len(q)",
     "the past is not counted: after T new tokens length + T rows are filled"),
    (WRITE, "keys[:len(k)], values[:len(k)] = k, v",
     "the past is written over: the new rows begin at `length`"),
    (WRITE, "keys[-len(k):], values[-len(k):] = k, v",
     "the last rows of the room are written: the new rows begin at `length`"),
    *((WRITE, wrong, "one row is written for all new tokens: T tokens take T rows, "
                     "keys[length:end] = k")
      for wrong in ("keys[length], values[length] = k[-1], v[-1]",
                    "keys[length], values[length] = k, v",
                    "keys[length:length + 1], values[length:length + 1] = k, v")),
    (WRITE + "\n    " + THEN, "y = q.copy()\n    for t in range(len(q)):\n"
     "        keys[length], values[length] = k[t], v[t]\n"
     "        y[t:t + 1] = attention(q[t:t + 1], keys[:length + 1], values[:length + 1], "
     "heads=heads)[0]",
     "all new tokens are written into one row: new token t takes row length + t"),
    (WRITE, "keys[length], values[length] = k[0], v[0]",
     "only the first new token is written: T tokens take T rows, keys[length:end] = k"),
    (WRITE, "keys[length:end] += k; values[length:end] += v",
     "the new rows are added to what stood there: write over it, keys[length:end] = k"),
    (WRITE, WRITE + "; keys[end:] = 0; values[end:] = 0",
     "rows behind the new ones are changed: only rows length to length + T - 1 are written"),
    ("(q, keys[:end], values[:end]", "(q, values[:end], values[:end]",
     "the scores are made with the values: softmax(q kᵀ / √D) v"),
    ("(q, keys[:end], values[:end]", "(q, keys[:end], keys[:end]",
     "the weights are laid on the keys: softmax(q kᵀ / √D) v"),
    (ATTEND, ATTEND.replace("(q, ", "(k, "), "the new keys take the queries' place: q kᵀ"),
    (ATTEND, ATTEND.replace("(q, ", "(q * (q.shape[1] // heads) ** 0.5, "),
     "the scores are not scaled: q kᵀ / √D, D = C / heads"),
    (ATTEND, ATTEND.replace("(q, ", "(q / (q.shape[1] // heads) ** 0.5, "),
     "the scores are divided by D, or twice by its root: q kᵀ / √D, D = C / heads"),
    (ATTEND, ATTEND.replace("(q, ", "(q / heads ** 0.5, "),
     "the scale is 1 / √C: D is a head's width, C / heads"),
    ("heads=heads, ", "", "`heads` is not used: each head has C / heads columns and a softmax of "
                          "its own"),
    ("return y", "D = q.shape[1] // heads\n"
     "    return y.reshape(-1, heads, D).swapaxes(0, 1).reshape(y.shape)",
     "the heads stand one below the other: move them back beside each other, (H, T, D) → "
     "(T, H, D) → (T, C)"),
    (THEN, "T, D, n = len(q), q.shape[1] // heads, end\n"
     "    y = attention(q.reshape(heads, T, D), keys[:n].reshape(heads, n, D), "
     "values[:n].reshape(heads, n, D),\n                  causal=True)[0].reshape(T, -1)",
     "reshape to (H, T, D) mixes the tokens: split the columns first, (T, H, D), then swap the "
     "axes"),
    (THEN, "T, D, n = len(q), q.shape[1] // heads, end\n"
     "    y = attention(q.reshape(heads, T, D), keys[:n].reshape(heads, n, D), "
     "values[:n].reshape(heads, n, D),\n                  causal=True)[0]"
     ".swapaxes(0, 1).reshape(T, -1)",
     "reshape to (H, T, D) mixes the tokens: split the columns first, (T, H, D), then swap the "
     "axes"),
    (THEN, "import numpy as np\n"
     "    order = np.arange(q.shape[1]).reshape(-1, heads).T.ravel()\n"
     "    y, _ = attention(q[:, order], keys[:end, order], values[:end, order], heads=heads, "
     "causal=True)\n    y = y[:, order.argsort()]",
     "a head has every H-th column: it is a slice of C / heads columns side by side"),
))


def sequence(T, seed=0, dtype="float64"):
    q, k, v = np.random.default_rng(seed).standard_normal((3, T, C)).astype(dtype)
    return q, k, v


def room(dtype="float64", fill=7.0):
    return np.full((ROOM, C), fill, dtype), np.full((ROOM, C), fill, dtype)


def step(student, q, k, v, keys, values, length, *, heads=1):
    """The student's y, if it is an array (T, C)."""
    try:
        y = call(student.attention_step_, q, k, v, keys, values, length, heads=heads)
    except InputError as error:
        raise Wrong("an error is raised, and there is room", got=f"InputError: {error}",
                    tried=of(len(q), length, heads), expected=f"y ({len(q)}, {C})",
                    likely=known(student)) from None
    except (Wrong, NotImplementedError):
        raise
    except Exception as error:
        error.tried, error.likely = of(len(q), length, heads), known(student)
        raise
    if not isinstance(y, np.ndarray):
        pair = isinstance(y, tuple) and len(y) == 2 and isinstance(y[1], tuple)
        raise Wrong(f"attention_step_ returns {kind(y)}", expected=f"the array y ({len(q)}, {C})",
                    tried=of(len(q), length, heads),
                    likely="attention returns the pair (y, saved): y, _ = attention(...)" if pair
                    else "`keys` and `values` are written in place: return y alone"
                    if isinstance(y, tuple) else None)
    if y.shape != (len(q), C):
        raise Wrong("y has the wrong shape", tried=of(len(q), length, heads),
                    got=f"shape {y.shape}", expected=f"shape {(len(q), C)}, a row for each token",
                    likely="one token, too, has a row of its own" if y.shape == q.shape[1:] and
                    len(q) == 1 else "is the last token's row alone computed, or returned?"
                    if y.size == C < q.size else None)
    return y


def of(T, length, heads=1):
    return f"{T} token{'s' * (T > 1)} with length={length}, heads={heads}; C = {C}, room for {ROOM}"


def in_portions(step, arrays, sizes, heads=1, fill=7.0):
    """(y (T, C), keys, values) of step(q, k, v, ...), `sizes` tokens at a time."""
    keys, values = room(arrays[0].dtype, fill)
    parts, start = [], 0
    for n in sizes:
        part = [a[start:start + n].copy() for a in arrays]
        parts.append(step(*part, keys, values, start, heads=heads))
        start += n
    return np.concatenate(parts), keys, values


def result(module, case):
    """What a module's function gives in a case, and the cache then; text where it raises."""
    sizes, heads = case
    found = attempt(lambda module, _: in_portions(
        module.attention_step_, sequence(sum(sizes)), sizes, heads), module, case)
    refused = isinstance(found, str) and found.startswith("InputError")
    return "InputError" if refused else found           # what it says is the student's own


@functools.cache
def known(student):
    """The words of the mistake, or of two, that give the student's results; None if none does."""
    theirs = [result(student, case) for case in CASES]
    return named(PAGE, SUSPECTS, lambda module: all(
        alike(result(module, case), their) for case, their in zip(CASES, theirs)))


def portions(student, sizes, heads=1):
    """Wrong unless `sizes` tokens at a time give what causal attention gives at once."""
    arrays = sequence(sum(sizes))
    y, *_ = in_portions(functools.partial(step, student), arrays, sizes, heads)
    want, _ = ops.attention(*arrays, heads=heads, causal=True)
    start = 0
    for n in sizes:
        rows = slice(start, start + n)
        if not np.allclose(y[rows], want[rows], 0, 1e-9):
            raise Wrong("y is wrong", got=y[rows], expected=want[rows], likely=known(student),
                        tried=f"{of(n, start, heads)}\n" + (
                            f"y[t] sees rows 0 to {start} + t".replace("0 + t", "t") if n > 1 else
                            f"y[0] sees rows 0 to {start}" if start else
                            "one key has weight 1, so y is v"))
        start += n


def check_one(student):
    "one token alone sees itself"
    portions(student, [1])


def check_written(student):
    "the new keys and values are in their rows, the others untouched"
    q, k, v = sequence(3)
    keys, values = room()
    step(student, q[:2], k[:2], v[:2], keys, values, 0)
    step(student, q[2:], k[2:], v[2:], keys, values, 2)
    for name, cache, new in ("keys", keys, k), ("values", values, v):
        want = np.full((ROOM, C), 7.0)
        want[:3] = new
        if not np.array_equal(cache, want):
            row = int(np.flatnonzero((cache != want).any(axis=1))[0])
            raise Wrong(f"row {row} of `{name}` is wrong", got=cache[row], expected=want[row],
                        tried=f"2 tokens with length=0, then 1 with length=2; {name} was full of "
                              "7 before", likely=known(student))


def check_steps(student):
    "token by token is causal attention at once"
    portions(student, [1] * 6)


def check_prompt(student):
    "several tokens at once: none sees a later one"
    portions(student, [5])
    portions(student, [2, 3])


def check_unfilled(student):
    "rows that are not filled are not read"
    y, *_ = in_portions(functools.partial(step, student), sequence(3), [1, 2], fill=np.nan)
    if not np.isfinite(y).all():
        raise Wrong("what stands in unfilled rows gets into y", got=y,
                    tried="a cache full of nan, of which 3 rows are then written",
                    likely="take keys[:end] and values[:end]; a weight of 0 does not help: 0 · nan "
                           "is nan")


def check_heads(student):
    "heads"
    portions(student, [2, 1, 3], heads=2)
    portions(student, [3, 1], heads=4)


def check_caches(student):
    "what is kept is kept in the cache that is handed in"
    (q, k, v), (keys, values) = sequence(3, seed=5), room()
    want, _ = ops.attention(q, k, v, causal=True)
    keys[:2], values[:2] = k[:2], v[:2]
    y = step(student, q[2:], k[2:], v[2:], keys, values, 2)
    expect("y of a third token", y, want[2:], tried="keys and values whose first 2 rows are filled "
           "already, length=2", likely=known(student) or "the past is what stands in the `keys` "
           "and `values` that are handed in: keep nothing\nelse from one call to the next")


def check_room(student):
    "the bounds of the room"
    q, k, v = sequence(ROOM + 1)
    for sizes in (ROOM - 1, 1), (ROOM,):
        in_portions(functools.partial(step, student), (q[:ROOM], k[:ROOM], v[:ROOM]), sizes)
    for length, n in ((ROOM, 1), (ROOM - 1, 2), (0, ROOM + 1)):
        keys, values = room()
        tried = of(n, length)
        try:
            y = student.attention_step_(q[:n], k[:n], v[:n], keys, values, length)
        except InputError:
            if (keys != 7).any() or (values != 7).any():
                raise Wrong("the cache was written to before the error was raised", tried=tried,
                            likely="look at the room first, then write") from None
        except Exception as error:
            if str(error).endswith(WRITE_ME):
                raise
            ours = isinstance(error, IndexError) or "broadcast" in str(error)
            raise Wrong("there is no room, and another error is raised than InputError",
                        tried=tried, got=f"{type(error).__name__}: {error}", expected="InputError",
                        likely="compare length + T with len(keys) first" if ours else
                        "raise InputError(what is wrong): the page imports it") from None
        else:
            raise Wrong("there is no room, and no error", tried=tried,
                        got="None" if y is None else f"y of shape {np.shape(y)}",
                        expected="InputError",
                        likely="raise InputError(what is wrong) in place of a return" if y is None
                        else "a slice beyond the end is cut short without an error: compare "
                             "length + T\nwith len(keys)")


def check_untouched(student):
    "q, k and v stay as they are"
    for T in 1, 3:
        arrays, (keys, values) = sequence(T), room()
        y = step(student, *(given := [a.copy() for a in arrays]), keys, values, 0)
        for name, array, kept in zip("qkv", given, arrays):
            if not np.array_equal(array, kept):
                raise Wrong(f"attention_step_ changes its input {name}", tried=of(T, 0),
                            got=array, expected=kept,
                            likely=f"`{name} /= ...` and `{name}[...] = ...` write into the "
                                   f"caller's array; only\nthe cache is written into")
        for name, array in zip(("q", "k", "v", "keys", "values"), (*given, keys, values)):
            if np.shares_memory(y, array):
                raise Wrong(f"y is a part of `{name}`, not an array of its own", tried=of(T, 0),
                            expected="a new array: who writes into y must not change the others")


def check_float32(student):
    "float32 in, float32 out"
    arrays = sequence(3, dtype="float32")
    y, *_ = in_portions(functools.partial(step, student), arrays, [2, 1])
    expect("y from float32", y, ops.attention(*arrays, causal=True)[0], dtype=np.float32, tol=1e-5)


EXERCISE = Exercise(
    name="kv_cache", title="Attention with a key-value cache", group="pieces",
    notebook="12_gpt", page=PAGE, blanks=("attention_step_",), suspects=SUSPECTS,
    checks=(check_one, check_untouched, check_written, check_steps, check_prompt, check_unfilled,
            check_heads, check_caches, check_room, check_float32),
    hints=(
        ("Three things in this order: is there room; write the new keys and values; attend to all "
         "rows that are filled now.",
         "依次做三件事：检查空间是否够；写入新的键和值；对现在已填好的所有行做注意力。"),
        ("With end = length + T the filled rows are keys[:end]. There are more keys than queries; "
         "new token t stands at row length + t and sees rows 0 ... length + t.",
         "令 end = length + T，已填好的行是 keys[:end]。键比查询多；"
         "第 t 个新词元位于第 length + t 行，能看到第 0 到 length + t 行。"),
        ("attention in nanollm/ops/attention.py takes S keys and T queries, and with causal=True "
         "the queries are the last T positions: y, _ = attention(q, keys[:end], values[:end], "
         "heads=heads, causal=True).",
         "nanollm/ops/attention.py 里的 attention 允许 S 个键配 T 个查询；causal=True 时，"
         "查询就是最后 T 个位置：y, _ = attention(q, keys[:end], values[:end], heads=heads, "
         "causal=True)。"),
    ))
