"""The museum: a loss that depends on the padding."""

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call, expect

V = 5
SEQUENCES = [[3, 1, 4, 1, 2, 4], [2, 4]]


def scores(T, seed=0):
    return np.random.default_rng(seed).standard_normal((2, T, V))


def by_hand(x, sequences):
    each = []
    for row, ids in zip(x, sequences):
        for t, id in enumerate(ids):
            each.append(np.log(np.exp(row[t]).sum()) - row[t, id])
    return float(np.mean(each))


def check_equal(student):
    "sequences of one length"
    x, sequences = scores(3), [[1, 2, 3], [4, 4, 1]]
    expect("the loss", call(student.loss, x, call(student.batch, sequences)), by_hand(x, sequences),
           tried="two sequences of three tokens, no padding",
           likely="-log P(target), the mean over all targets that are text; 1 to 4 are text")


def check_mean(student):
    "sequences of different lengths"
    x = scores(6)
    targets = call(student.batch, SEQUENCES)
    got, want = call(student.loss, x, targets), by_hand(x, SEQUENCES)
    tried = "6 tokens of text in one row; 2 tokens and 4 of padding in the other"
    if abs(got - want) < 1e-9:
        return
    if abs(got - want * 8 / 12) < 1e-9:
        likely = "the sum of 8 tokens is divided by 12 places"
    elif abs(got - np.mean([by_hand(x[:1], SEQUENCES[:1]), by_hand(x[1:], SEQUENCES[1:])])) < 1e-9:
        likely = "each sequence counts the same, so that a token counts for more in a short one"
    elif abs(got - by_hand(x, np.array(targets)) * 12 / 8) < 1e-9:
        likely = "the sum runs over all 12 places, and is divided by 8 tokens"
    else:
        likely = "compute the loss of each row alone, by hand"
    raise Wrong("the loss of two sequences is wrong", tried=tried, got=got, expected=want,
                likely=likely)


def check_longer(student):
    "more padding changes nothing"
    x = scores(9)
    found = []
    for T in 6, 7, 9:
        targets = np.zeros((2, T), int)
        targets[:, :6] = call(student.batch, SEQUENCES)
        found.append(float(call(student.loss, x[:, :T], targets)))
    if np.ptp(found) > 1e-9:
        raise Wrong("the loss changes when padding is added", tried="0, 1 and 3 columns of padding",
                    got=", ".join(f"{loss:.6f}" for loss in found),
                    expected="the same number three times")


def check_scores_at_padding(student):
    "what the model says at padding does not matter"
    x = scores(6)
    targets = call(student.batch, SEQUENCES)
    before = float(call(student.loss, x, targets))
    x[1, 2:] += 10 * np.eye(V)[student.PAD]
    after = float(call(student.loss, x, targets))
    if abs(before - after) > 1e-9:
        raise Wrong("the loss gets better when the model says PAD at padding",
                    got=f"{before:.6f} before, {after:.6f} after", expected="no difference",
                    likely="then it will learn to")


EXERCISE = Exercise(
    name="museum_padding", title="A loss that depends on the padding", group="museum",
    notebook="09_seq2seq", page="nanollm/exercises/pages/museum_padding.py",
    broken=(("counted = targets != PAD", "counted = targets != -100"),),
    checks=(check_equal, check_mean, check_longer, check_scores_at_padding),
    hints=(
        ("Which targets count? Print `counted` for two sequences of different lengths.",
         "哪些目标被计入？对两个不同长度的序列打印 counted。"),
        ("What does `batch` fill with, and what does `loss` leave out?",
         "batch 用什么来填充，loss 又排除了什么？"),
        ("-100 is another library's mark for \"do not count\". Here padding is PAD = 0.",
         "-100 是另一个库表示“不计入”的记号。这里的填充是 PAD = 0。")),
    thread="https://github.com/mlfoundations/open_clip/pull/316",
    explanation="""\
Cause     The loss leaves out targets of -100, another library's mark, while this tokenizer fills up
          with 0. So no target is left out.
Hidden    Padding is easy to predict: the loss falls, and looks better than it is.
Found     By asking which number each side uses. A test that adds padding and expects the same loss
          finds it.
Repair    One name for the padding, used by both.
Thread    mlfoundations/open_clip PR #316, "Ignore pad tokens in captioning loss" (merged): the loss
          ignored the wrong token, the tokenizer uses 0 and not -100.
          FlagAI-Open/FlagAI#522 asks about padding of 100007 against the default of -100.""")
