"""Attention with a key-value cache."""

import numpy as np

from nanollm import ops
from nanollm.errors import InputError
from nanollm.exercises.spec import Exercise, Wrong, call, expect

C, ROOM = 4, 8


def sequence(T, seed=0, dtype="float64"):
    q, k, v = np.random.default_rng(seed).standard_normal((3, T, C)).astype(dtype)
    return q, k, v


def room(dtype="float64", fill=0.0):
    return np.full((ROOM, C), fill, dtype), np.full((ROOM, C), fill, dtype)


def in_portions(student, arrays, sizes, heads=1, fill=0.0):
    """y (T, C) of the student's function, `sizes` tokens at a time; and the cache."""
    keys, values = room(arrays[0].dtype, fill)
    parts, start = [], 0
    for n in sizes:
        part = [a[start:start + n].copy() for a in arrays]
        parts.append(call(student.attention_step_, *part, keys, values, start, heads=heads))
        start += n
    return np.concatenate(parts), keys, values


def check_one(student):
    "one token alone sees itself"
    q, k, v = sequence(1)
    y, *_ = in_portions(student, (q, k, v), [1])
    expect("y of the first token", y, v, tried={"q": q, "k": k, "v": v, "length": 0},
           likely="one key has weight 1, so y is its value: is v written before it is read? are "
                  "rows\nthat nothing was written to left out?")


def check_written(student):
    "the new keys and values are in their rows, the others untouched"
    q, k, v = sequence(3)
    keys, values = room(fill=7.0)
    call(student.attention_step_, q[:2], k[:2], v[:2], keys, values, 0)
    call(student.attention_step_, q[2:], k[2:], v[2:], keys, values, 2)
    for name, cache, new in ("keys", keys, k), ("values", values, v):
        want = np.full((ROOM, C), 7.0)
        want[:3] = new
        if not np.array_equal(cache, want):
            rows = np.flatnonzero((cache != want).any(axis=1)).tolist()
            raise Wrong(f"row {rows[0]} of `{name}` is wrong after 2 tokens and 1 more",
                        got=cache[rows[0]], expected=want[rows[0]],
                        likely="the new rows are length ... length + T - 1, written in place: "
                               f"{name}[length:end] = ...")


def check_steps(student):
    "token by token is causal attention at once"
    arrays = sequence(6)
    y, *_ = in_portions(student, arrays, [1] * 6)
    want, _ = ops.attention(*arrays, causal=True)
    for t in range(6):
        expect(f"y of token {t}, token by token", y[t], want[t], tried={"length": t},
               likely=f"token {t} looks at rows 0 to {t}: itself too, and no row that is not "
                      f"filled")


def check_unfilled(student):
    "rows that are not filled are not read"
    arrays = sequence(3)
    y, *_ = in_portions(student, arrays, [1, 2], fill=np.nan)
    if not np.isfinite(y).all():
        raise Wrong("what stands in unfilled rows gets into y", got=y,
                    tried="a cache full of nan, of which 3 rows are then written",
                    likely="take keys[:end] and values[:end]; a weight of 0 does not help: 0 · nan "
                           "is nan")


def check_prompt(student):
    "several tokens at once: none sees a later one"
    arrays = sequence(5)
    want, _ = ops.attention(*arrays, causal=True)
    y, *_ = in_portions(student, arrays, [5])
    expect("y of a prompt of 5 tokens", y, want,
           tried=f"q, k, v (5, {C}), length=0, heads=1",
           likely="token t of the new ones may not look at those after it: causal")
    y, *_ = in_portions(student, arrays, [2, 3])
    expect("y of 2 tokens and then 3", y, want,
           tried=f"q, k, v (2, {C}) with length=0, then (3, {C}) with length=2",
           likely="new token t stands at row length + t, and sees rows 0 to length + t: the mask "
                  "is shifted\nby length")


def check_heads(student):
    "heads"
    arrays = sequence(6, seed=1)
    want, _ = ops.attention(*arrays, heads=2, causal=True)
    y, *_ = in_portions(student, arrays, [2, 1, 3], heads=2)
    expect("y with 2 heads", y, want, likely="each head has C / heads columns, and its own softmax "
                                             "with scale\n1 / sqrt(C / heads)")


def check_room(student):
    "the bounds of the room"
    q, k, v = sequence(ROOM + 1)
    y, *_ = in_portions(student, (q[:ROOM], k[:ROOM], v[:ROOM]), [ROOM - 1, 1])
    for length, n in ((ROOM, 1), (ROOM - 1, 2), (0, ROOM + 1), (-1, 1)):
        keys, values = room(fill=7.0)
        tried = f"{n} token{'s' * (n > 1)}, with {length} of {ROOM} rows filled"
        try:
            y = student.attention_step_(q[:n], k[:n], v[:n], keys, values, length)
        except InputError:
            if (keys != 7).any() or (values != 7).any():
                raise Wrong("the cache was written to before the error was raised", tried=tried,
                            likely="look at the room first, then write") from None
        except Exception as error:
            raise Wrong("there is no room, and the error does not say so", tried=tried,
                        got=f"{type(error).__name__}: {error}", expected="InputError",
                        likely="compare length + T with len(keys) first") from None
        else:
            raise Wrong("there is no room, and no error", tried=tried,
                        got=f"y of shape {np.shape(y)}", expected="InputError",
                        likely="a slice beyond the end is cut short without an error: compare "
                               "length + T\nwith len(keys)")


def check_untouched(student):
    "q, k and v stay as they are"
    arrays, (keys, values) = sequence(3), room()
    call(student.attention_step_, *(given := [a.copy() for a in arrays]), keys, values, 0)
    for name, array, kept in zip("qkv", given, arrays):
        if not np.array_equal(array, kept):
            raise Wrong(f"attention_step_ changes its input {name}", tried=f"q, k, v (3, {C})",
                        got=array, expected=kept,
                        likely=f"`{name} /= ...` and `{name}[...] = ...` write into the caller's "
                               f"array; only\nthe cache is written into")


def check_float32(student):
    "float32 in, float32 out"
    y, *_ = in_portions(student, sequence(3, dtype="float32"), [2, 1])
    expect("y from float32", y, y, dtype=np.float32)


EXERCISE = Exercise(
    name="kv_cache", title="Attention with a key-value cache", group="pieces",
    notebook="12_gpt", page="nanollm/exercises/pages/kv_cache.py", blanks=("attention_step_",),
    checks=(check_one, check_written, check_steps, check_unfilled, check_prompt, check_heads,
            check_room, check_untouched, check_float32),
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
