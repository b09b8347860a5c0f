"""The museum: a loss that falls too low."""

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call

CIRCLE = np.array([0, 1, 2, 3] * 6)             # after each token there is only one
FORK = np.array([0, 1, 0, 2] * 12)              # after 0 come 1 and 2, equally often


def check_write(student):
    "it continues a text"
    table, _ = call(student.train, CIRCLE, 4)
    got, want = call(student.write, table, 0, 6), [1, 2, 3, 0, 1, 2]
    if got == want:
        return
    what, likely = "it does not continue the text", None
    if got == [0] * 6:
        what = "it writes one token, over and over"
        likely = "print what the model reads and what it is to say, side by side"
    elif got[:3] == [3, 2, 1]:
        what, likely = "it writes backward", "it has learned the token that came before"
    elif got[:3] == [2, 0, 2]:
        what, likely = "it skips a token each time", "the target is the next token, not a later one"
    raise Wrong(what, tried="trained on 0 1 2 3 0 1 2 3 ..., then write(table, 0, 6)",
                got=str(got), expected=str(want), likely=likely)


def check_floor(student):
    "the loss ends where it must"
    _, losses = call(student.train, FORK, 3)
    counts = np.zeros((3, 3))
    np.add.at(counts, (FORK[:-1], FORK[1:]), 1)
    p = counts / counts.sum(axis=1, keepdims=True)
    floor = -(counts[counts > 0] * np.log(p[counts > 0])).sum() / counts.sum()
    tried = "0 1 0 2 0 1 0 2 ...: after 0 come 1 and 2, and nobody can know which"
    if losses[-1] < floor - 1e-6:
        raise Wrong("the loss falls below what any table can reach", tried=tried, got=losses[-1],
                    expected=f"at least {floor:.4f}",
                    likely="it is asked for something that it has been told")
    if losses[-1] > floor + 0.05:
        raise Wrong("the loss stays too high", tried=tried, got=losses[-1],
                    expected=f"about {floor:.4f}",
                    likely="inputs and targets that do not belong together cannot be learned")


def check_pairs(student):
    "each token with its successor, and no other pair"
    inputs, targets = call(student.pairs, np.array([5, 6, 7, 8]))
    got = list(zip(map(int, inputs), map(int, targets)))
    if got != [(5, 6), (6, 7), (7, 8)]:
        raise Wrong("the pairs of 5 6 7 8 are wrong", got=str(got),
                    expected="[(5, 6), (6, 7), (7, 8)]",
                    likely="the last token has no successor in the text" if (8, 5) in got else None)


EXERCISE = Exercise(
    name="museum_shift", title="A loss that falls too low", group="museum", notebook="12_gpt",
    page="nanollm/exercises/pages/museum_shift.py", broken=(("ids[:-1], ids[1:]", "ids, ids"),),
    checks=(check_write, check_pairs, check_floor),
    hints=(
        ("A loss near 0 says: the model always knows the answer. How can it, if the text forks?",
         "损失接近 0 意味着模型总是知道答案。文本有分叉时，它怎么可能知道？"),
        ("Print inputs and targets for a text of five tokens. What does the model have to do to be "
         "right every time?",
         "取一个五个词元的文本，把 inputs 和 targets 打印出来。模型只要做什么就能每次都答对？"),
        ("A language model says the token that comes next: the target of position t is ids[t + 1], "
         "and the last token has none.",
         "语言模型要说出下一个词元：位置 t 的目标是 ids[t + 1]，最后一个词元没有目标。")),
    thread="https://github.com/KempnerInstitute/KempnerForge/issues/154",
    explanation="""\
Cause     The targets are the inputs: the loss compares what the model says at a token with that
          very token, which it has just read. It learns to copy.
Hidden    Nothing fails. The loss falls smoothly, faster than it should, which looks like success.
Found     By generating: a model that copies writes its last token over and over. And by a floor: a
          text that forks cannot be predicted with loss 0.
Repair    ids[:-1], ids[1:]: what is said at token t is compared with token t + 1.
Thread    KempnerInstitute/KempnerForge#154: captioning losses fall from 8.6 to 0.0000, with labels
          not shifted for the next token; text pretraining in the same project shifts them.
          huggingface/transformers#3711: TransfoXLLMHead compares with unshifted labels, although
          the documentation says that they are shifted.
          The GPT-2 program of Doc 2 §5.2 has it too: notebooks/equations.md#p2-gpt2.""")
