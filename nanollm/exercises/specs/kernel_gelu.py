"""A CPU kernel: GELU, many numbers at a time."""

import numpy as np

from nanollm import ops
from nanollm.exercises.of_kernels import ENVIRONMENT, compare, errors_like_numpy, expect_simd
from nanollm.exercises.of_kernels import expect_single, run
from nanollm.exercises.spec import Exercise, Wrong

X = np.linspace(-4, 4, 1001, dtype=np.float32)


def answer(x):
    return ops.gelu(x)[0]


def values(student):
    "values, in both types"
    rng = np.random.default_rng(0)
    compare(student, "gelu", answer, [
        np.array([-1.0, 0.5, 2.0]), rng.normal(size=7), rng.normal(size=100)])


def extremes(student):
    "large numbers, and nan"
    compare(student, "gelu", answer, [np.array([-200.0, -30.0, 0.0, 30.0, 200.0])])
    x = np.array([1, np.nan, 1], np.float32)
    if not np.array_equal(np.isnan(run(student, "gelu", x)), np.isnan(x)):
        raise Wrong("gelu hides a nan", tried="x = [1, nan, 1]", likely="a nan in must be a nan "
                    "out: fastmath=True promises that there is none")


def single(student):
    "float32 arithmetic where x is float32"
    expect_single(student, "gelu", X)


def simd(student):
    "the loop is SIMD"
    expect_simd(student, "gelu", X, {errors_like_numpy:
        "a division may raise, unless OPTIONS says error_model=\"numpy\", and a loop that may "
        "raise is never SIMD"})


EXERCISE = Exercise(
    name="kernel_gelu", title="GELU, many numbers at a time", group="kernels", notebook="13_numba",
    page="nanollm/exercises/pages/kernel_gelu.py", blanks=("gelu",), environment=ENVIRONMENT,
    broken=(('OPTIONS = {"error_model": "numpy"}              # what the compiler may take for '
             'granted', "OPTIONS = {}                                    # what the compiler may "
             "take for granted"),),
    checks=(values, extremes, single, simd), limit=60,
    hints=(
        ("One loop over i, one number read, one written, nothing stored in between. What keeps a\n"
         "loop from SIMD: another type on the way, a call, and anything that may stop it\n"
         "halfway.",
         "一个对 i 的循环：读一个数，写一个数，中间不存数组。妨碍 SIMD 的有三样：中途换了类\n"
         "型、函数调用、可能中途停止的操作。"),
        ("of = x.dtype.type, and of(0.5), of(1), of(2), of(math.sqrt(2 / math.pi)), of(0.044715)\n"
         "before the loop. tanh u = 1 - 2 / (exp(2 u) + 1), with exp of kernels/scalar.py.",
         "循环之前用 of = x.dtype.type 造常数：of(0.5)、of(1)、of(2)、of(math.sqrt(2 /\n"
         "math.pi))、of(0.044715)。tanh u = 1 - 2 / (exp(2 u) + 1)，exp 取自\n"
         "kernels/scalar.py。"),
        ("u = scale * (x[i] + cubic * x[i] * x[i] * x[i]); y[i] = half * x[i] * (one + (one -\n"
         "two / (exp(two * u) + one))). And OPTIONS = {\"error_model\": \"numpy\"}, for the\n"
         "division.",
         "u = scale * (x[i] + cubic * x[i] * x[i] * x[i])；y[i] = half * x[i] * (one + (one -\n"
         "two / (exp(two * u) + one)))。因为有除法，OPTIONS 里要写 \"error_model\": \"numpy\"。")))
