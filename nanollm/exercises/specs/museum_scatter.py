"""The museum: frequent tokens learn too slowly."""

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call, expect


def check_distinct(student):
    "tokens that occur once"
    dy = np.random.default_rng(0).standard_normal((2, 2, 3))
    ids = np.array([[4, 0], [2, 1]])
    want = np.zeros((5, 3))
    want[ids] = dy
    expect("dw", call(student.embed_backward, dy, ids, 5), want, tried={"ids": ids},
           likely="each look-up's gradient goes, whole, to the row that was looked up")


def check_counts(student):
    "how often each token occurs"
    for ids in np.array([[0, 1, 0]]), np.array([[0, 1], [0, 2]]), np.array([[3, 3], [3, 3]]):
        got, want = call(student.count, ids, 4), np.bincount(ids.ravel(), minlength=4)
        if not np.array_equal(got, want):
            raise Wrong("the counts of the tokens are wrong", tried={"ids": ids}, got=got,
                        expected=want.astype(float),
                        likely="compare a token that occurs once with one that occurs twice" + (
                            "" if len(ids) == 1 else ", in one row and\nin two"))


def check_repeated(student):
    "different gradients at two places of one token"
    dy = np.array([[[1.0], [10.0]], [[100.0], [1000.0]]])
    for ids, want in (([[0, 0], [1, 1]], [11.0, 1100]), ([[0, 1], [0, 1]], [101.0, 1010])):
        expect("dw", call(student.embed_backward, dy, np.array(ids), 2), np.array(want)[:, None],
               tried={"ids": np.array(ids), "dy": dy[..., 0]},
               likely="contributions add up: no mean, none lost")


def check_kept(student):
    "dy stays as it is, and the dtype too"
    dy, ids = np.ones((1, 2, 3), np.float32), np.array([[1, 1]])
    dw = call(student.embed_backward, dy, ids, 2)
    expect("dw from float32", dw, np.array([[0.0] * 3, [2] * 3]), dtype=np.float32)
    expect("dy afterwards", dy, np.ones((1, 2, 3)))


EXERCISE = Exercise(
    name="museum_scatter", title="Frequent tokens learn too slowly", group="museum",
    notebook="03_embeddings", page="nanollm/exercises/pages/museum_scatter.py",
    broken=(("np.add.at(dw, ids, dy)", "dw[ids] += dy"),),
    checks=(check_distinct, check_counts, check_repeated, check_kept),
    hints=(
        ("Try ids = [[0, 0]] and dy of ones. What should row 0 of dw be, and what is it?",
         "试试 ids = [[0, 0]]、dy 全为 1。dw 的第 0 行应该是多少，实际是多少？"),
        ("dw[ids] += dy reads dw[ids], adds, and writes back: all of it once. What does the second "
         "writing to the same row do?",
         "dw[ids] += dy 会先读出 dw[ids]，相加，再整体写回一次。对同一行的第二次写入会怎样？"),
        ("np.add.at(dw, ids, dy) adds one after the other, repeated indices too.",
         "np.add.at(dw, ids, dy) 逐个相加，重复的下标也不会丢。")),
    thread="https://github.com/karpathy/nn-zero-to-hero/issues/57",
    explanation="""\
Cause     dw[ids] += dy is dw[ids] = dw[ids] + dy: the rows are read, added to and written back all
          at once. A row that is named twice is written twice, and the last writing wins.
Hidden    It is right for every batch without a repetition, and a small test often has none.
Found     By counting by hand: a token that occurs twice must get two contributions. A gradient
          check whose ids repeat finds it at once.
Repair    np.add.at(dw, ids, dy), or a loop over every single place.
Thread    karpathy/nn-zero-to-hero#57: a student's loop over the rows, dC[Xb[k]] += demb[k], is
          wrong, the loop over all places is right.
          HIPS/autograd PR #136: replacing np.add.at by += for speed makes tests fail; the library
          had used += before and left it because people indexed an element more than once.""")
