"""The museum: half of the vocabulary is never seen."""

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call


def check_small(student):
    "a vocabulary of 30,522"
    back(student, [0, 1, 30_521], 30_522)


def check_large(student):
    "a vocabulary of 119,547"
    back(student, [0, 65_535, 65_536, 119_546], 119_547)


def check_between(student):
    "vocabularies around 2¹⁵ and 2¹⁶"
    for V in 2 ** 15 + 1, 40_000, 2 ** 16 - 1, 2 ** 16, 2 ** 16 + 1, 2 ** 16 + 2:
        back(student, [0, V - 1], V)


def check_huge(student):
    "a vocabulary of 2²⁵"
    back(student, [2 ** 24 + 1, 2 ** 25 - 1], 2 ** 25)


def check_size(student):
    "as few bytes as will do"
    for V, each in (257, 2), (50_257, 2), (2 ** 16, 2), (2 ** 16 + 1, 4):
        got = len(call(student.pack, [0, 1, 2], V))
        if got != 3 * each:
            raise Wrong("the file has the wrong size", tried=f"3 ids of a vocabulary of {V:,}",
                        got=f"{got} bytes", expected=f"{3 * each}: {each} bytes an id",
                        likely="2 bytes hold 0 ... 65535, which is a vocabulary of 65,536")


def back(student, ids, V):
    got = np.asarray(call(student.unpack, call(student.pack, ids, V), V))
    tried = f"ids {ids} of a vocabulary of {V:,}"
    if got.shape != (len(ids),):
        raise Wrong("another number of ids comes back", tried=tried, got=f"{got.size} ids",
                    expected=len(ids), likely="pack and unpack must agree on the bytes of an id")
    if (got < 0).any():
        raise Wrong("an id comes back negative", tried=tried, got=got, expected=np.array(ids),
                    likely="half of the range of signed numbers is below 0")
    if not np.array_equal(got, ids):
        raise Wrong("an id comes back as another one", tried=tried, got=got, expected=np.array(ids),
                    likely="what is the difference between the id and what came back?")
    if got.dtype != np.int64:
        raise Wrong("the ids have the wrong dtype", tried=tried, got=str(got.dtype),
                    expected="int64")


EXERCISE = Exercise(
    name="museum_ids", title="Half of the vocabulary is never seen", group="museum",
    notebook="02_tokens", page="nanollm/exercises/pages/museum_ids.py",
    broken=(("np.dtype(np.uint16 if V <= 2 ** 16 else np.uint32)", "np.dtype(np.uint16)"),),
    checks=(check_small, check_large, check_between, check_huge, check_size),
    hints=(
        ("Pack and unpack the largest id of each vocabulary.",
         "对每个词表，把最大的 id 打包再解包。"),
        ("119546 comes back as 54010. What is the difference, as a power of two?",
         "119546 回来变成了 54010。两者之差是 2 的几次方？"),
        ("16 bits hold 65,536 ids; astype drops the rest without a word. Choose the dtype by V.",
         "16 位只能存 65,536 个 id；astype 会不声不响地丢掉高位。要根据 V 选择 dtype。")),
    thread="https://github.com/huggingface/transformers/issues/2825",
    explanation="""\
Cause     ids are cast to 16 bits, which hold 0 ... 65535. Larger ones lose their upper bits: id
          minus 65536, another token of the same vocabulary.
Hidden    The cast says nothing, and every number in the file is a valid id.
Found     By reading the cast and counting: 54,012 of 119,547 ids, 45 %, do not fit.
Repair    Choose the dtype by the size of the vocabulary.
Thread    huggingface/transformers#2825: the distillation script and a multilingual vocabulary.
          princeton-nlp/LLM-Shearing#65 asks for uint32 for the same reason. urvashik/knnlm#6:
          int16, whose large ids become negative; the perplexity hardly changes, about 0.02.""")
