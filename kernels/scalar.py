"""exp, tanh, erf and sigmoid by arithmetic alone, so that loops over them become SIMD.

math.exp is a call into the C library, one number a call, and a loop that makes calls is not
vectorized. In float32 a dozen multiplications and additions do, for up to 16 numbers at once.

Equations   x = k ln2 + r with k whole and |r| ≤ ½ ln2, so that e^x = 2^k e^r.
            e^r - 1 = r + r²/2! + ... + r⁷/7!, Taylor's series, is exact to 5e-9 there.
            2^k: a float is eight bits e above 23 bits of fraction, and stands for 2^(e - 127)
                times 1.fraction. So the integer e << 23, read as a float, is a power of two.
            k is x / ln2 rounded: add ½ and cut the fraction off. Adding 126 as well keeps the sum
                positive, where cutting off rounds down, and makes it e = k + 126.

            e^x = 2^(k-1) 2 e^r. The halved power reaches as far as float32 does: e = 254 for
                results above 2^127, and e = 0 is zero itself: e^x = 0 below -87, so for -inf.
            e^x - 1 = 2^k (e^r - 1) + (2^k - 1): near 0, where k = 0, nothing cancels.
            tanh x = m / (m + 2) with m = e^(2x) - 1.
            erf x = 1 - e^(-x Q(x)) for x ≥ 0, and erf(-x) = -erf x. Q = -ln(1 - erf x) / x runs
                smoothly from 1.13 at 0 to 4.50 at 4, beyond which erf is 1: a polynomial of
                degree 8, fitted by least squares, reweighted until the largest error is smallest.

Error       at most 1e-7 for exp and 3e-7 for the others, relative, also near 0 and where they
            vanish. Every other type, float64 for one, goes to the C library.

Source      the two parts of ln2: W. Cody and W. Waite, Software Manual for the Elementary
            Functions (1980), chapter 6

Kernels may reorder sums; these functions may not (`AS_WRITTEN`), and keep to it where LLVM inlines
them. Reordered, ln2 in two parts is ln2 in one, and exp(0) was 1.000003.
"""

import math

import numpy as np
from numba import njit, types
from numba.extending import overload

AS_WRITTEN = {"fastmath": {"contract"}, "error_model": "numpy", "forceinline": True}

LOG2E = np.float32(1.4426950408889634)           # 1 / ln2
LN2_HIGH = np.float32(0.693145751953125)         # ln2 in two parts, the first so short that
LN2_LOW = np.float32(1.428606765330187e-06)      # k times it is exact: x - k ln2 loses no digits
LOWEST, HIGHEST = np.float32(-87.5), np.float32(89)      # e = 0 and 254: there exp is 0 and inf
BIAS, HALF, ONE, TWO, FOUR, TEN = map(np.float32, (126, 0.5, 1, 2, 4, 10))
FRACTION = np.int32(23)                          # bits
C3, C4, C5, C6, C7 = (np.float32(1 / math.factorial(n)) for n in range(3, 8))
Q0, Q1, Q2, Q3, Q4, Q5, Q6, Q7, Q8 = map(np.float32, (
    1.12837917, 0.636619389, 0.102777774, -0.0191528786, -0.000160711175,
    0.00166732251, -0.000632989772, 0.000117682191, -9.26065748e-06))


@njit(**AS_WRITTEN)
def _split(x):
    """x = k ln2 + r  →  e^r - 1, 2^(k-1)"""
    e = np.int32(x * LOG2E + (BIAS + HALF))
    k = np.float32(e) - BIAS
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    m = r * (ONE + r * (HALF + r * (C3 + r * (C4 + r * (C5 + r * (C6 + r * C7))))))
    return m, np.int32(e << FRACTION).view(np.float32)


@njit(**AS_WRITTEN)
def _expm1(x):
    """e^x - 1 for -87 < x < 88"""
    m, half = _split(x)
    return TWO * half * m + (TWO * half - ONE)


def _exp(x):
    x = LOWEST if x < LOWEST else x              # min and max would drop a NaN
    x = HIGHEST if x > HIGHEST else x
    m, half = _split(x)
    return half * (TWO + TWO * m)


def _tanh(x):
    x = -TEN if x < -TEN else x                  # ±1 from there on
    x = TEN if x > TEN else x
    m = _expm1(TWO * x)
    return m / (m + TWO)


def _erf(x):
    a = abs(x)
    a = FOUR if a > FOUR else a
    q = Q0 + a * (Q1 + a * (Q2 + a * (Q3 + a * (Q4 + a * (Q5 + a * (Q6 + a * (Q7 + a * Q8)))))))
    return math.copysign(_expm1(-a * q), x)


def _sigmoid(x):
    return ONE / (ONE + exp(-x))


def exp(x):
    """e^x. Compiled, float32 takes the road above; this is the road of every other type."""
    return math.inf if x > 709.78 else math.exp(x)       # where math.exp raises


def tanh(x):
    """(e^x - e^-x) / (e^x + e^-x)"""
    return math.tanh(x)


def erf(x):
    """2/√π times the integral of e^(-t²) from 0 to x"""
    return math.erf(x)


def sigmoid(x):
    """1 / (1 + e^-x)"""
    return 1 / (1 + exp(-x))


def _overload(function, float32):
    """Inside a kernel, `function` of a float32 is the function `float32`."""
    @overload(function, jit_options=AS_WRITTEN)
    def choose(x):
        return float32 if x == types.float32 else function


for pair in ((exp, _exp), (tanh, _tanh), (erf, _erf), (sigmoid, _sigmoid)):
    _overload(*pair)
