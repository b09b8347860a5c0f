"""A CPU kernel: softmax, a row at a time."""

import numpy as np

from nanollm import ops
from nanollm.exercises.of_kernels import ENVIRONMENT, compare, errors_like_numpy, expect_no_arrays
from nanollm.exercises.of_kernels import compiled, expect_simd, expect_single, reorders, run
from nanollm.exercises.spec import Exercise, Wrong, wrapped

X = np.random.default_rng(1).standard_normal((4, 1001), np.float32)


def answer(x):
    return ops.softmax(x)[0]


def values(student):
    "values, in both types"
    rng = np.random.default_rng(0)
    compare(student, "softmax", answer, [rng.normal(size=shape) for shape in (
        (1, 2), (3, 1), (2, 5), (3, 40))])


def extremes(student):
    "large scores, and masked ones"
    row = np.array([[1.0, 2.0, 0.5]])
    compare(student, "softmax", answer, [row + 1000, row - 1000, *(
        np.array([far]) for far in ([0.0, 1000], [1000.0, 0], [0.0, 1000, 0]))])
    y = run(student, "softmax", np.array([[0, -np.inf, 0]], np.float32))
    if not np.array_equal(y, [[0.5, 0, 0.5]]):
        raise Wrong("a masked score, -inf, must get the probability 0", tried="x = [[0, -inf, 0]]",
                    got=y, expected=np.array([[0.5, 0, 0.5]]),
                    likely="fastmath=True promises that no inf occurs; and begin the maximum with "
                           "an entry of the row")
    flags = compiled(student, "softmax").targetoptions.get("fastmath") or set()
    if flags is True or {"fast", "nnan", "ninf"} & set(flags):
        raise Wrong(f"OPTIONS promises too much: \"fastmath\": {flags}", likely=wrapped(
            "that no inf and no nan occurs, and a masked score is -inf: what comes out is up to "
            "the compiler, right today and perhaps not tomorrow. Permit what you need, "
            "{\"reassoc\", \"nsz\"}"))


def single(student):
    "float32 arithmetic where x is float32"
    expect_single(student, "softmax", X)


def no_arrays(student):
    "nothing is stored but y"
    expect_no_arrays(student, "softmax", X)


def simd(student):
    "the loops are SIMD"
    expect_simd(student, "softmax", X, {
        reorders: "a sum in its written order is a chain of additions: OPTIONS must permit the "
        "compiler to reorder, \"fastmath\": {\"reassoc\", \"nsz\"}",
        errors_like_numpy: "a division may raise, unless OPTIONS says error_model=\"numpy\", and a "
        "loop that may raise is never SIMD"})


EXERCISE = Exercise(
    name="kernel_softmax", title="Softmax, a row at a time", group="kernels", notebook="13_numba",
    page="nanollm/exercises/pages/kernel_softmax.py", blanks=("softmax",), environment=ENVIRONMENT,
    broken=(('OPTIONS = {"error_model": "numpy", "fastmath": {"reassoc", "nsz"}}    # what the '
             "compiler may do", "OPTIONS = {}                # what the compiler may do"),),
    checks=(values, extremes, no_arrays, single, simd), limit=60,
    hints=(
        ("A row of a few thousand numbers stays in the processor's cache. Three short loops over\n"
         "it cost little more than one; whole-array operations would carry it to memory and\n"
         "back.",
         "一行几千个数可以一直留在处理器缓存里。对它走三遍短循环，代价和一遍差不多；整块数组的\n"
         "运算则要反复读写内存。"),
        ("For each n: m = largest of x[n, k]; then e = exp(x[n, k] - m) into y[n, k], and total\n"
         "+= e; then y[n, k] *= 1 / total. Every number in x's own type.",
         "对每个 n：m 是 x[n, k] 的最大值；再把 e = exp(x[n, k] - m) 写入 y[n, k]，同时 total\n"
         "+= e；最后 y[n, k] *= 1 / total。所有数都用 x 的类型。"),
        ("total = x.dtype.type(0), scale = x.dtype.type(1) / total. OPTIONS needs\n"
         "\"error_model\": \"numpy\" for the division and \"fastmath\": {\"reassoc\",\n"
         "\"nsz\"} for the sum.",
         "total = x.dtype.type(0)，scale = x.dtype.type(1) / total。OPTIONS 里，除法需要\n"
         "\"error_model\": \"numpy\"，求和需要 \"fastmath\": {\"reassoc\", \"nsz\"}。")))
