"""GELU as a compiled loop: one walk over memory, many numbers at a time.

Task        y[i] = ½ x[i] (1 + tanh u),   u = √(2/π) (x[i] + 0.044715 x[i]³)
            written into y. NumPy walks over memory nine times for this; a compiled loop walks
            once. It is fast only if the compiler makes it SIMD: one instruction for up to 16
            numbers. For that
            - all arithmetic must be in x's own type. A literal like 0.5 is float64, and float32
              times float64 is float64: make constants with x.dtype.type(...);
            - the loop must not call the C library, one number a call, as math.tanh does. `exp` of
              kernels/scalar.py is made of arithmetic alone:  tanh u = 1 - 2 / (exp(2 u) + 1);
            - the loop must not stop halfway. By default Numba raises where a divisor is 0; with
              error_model="numpy" the result is inf, as in NumPy.
Shapes      x (N,)  →  y (N,), float32 or float64
Saved       nothing: the kernel writes into y and returns nothing
"""

import math

from numba import njit

from kernels.scalar import exp

OPTIONS = {"error_model": "numpy"}              # what the compiler may take for granted


@njit(**OPTIONS)
def gelu(x, y):
    of = x.dtype.type
    half, one, two = of(0.5), of(1), of(2)
    scale, cubic = of(math.sqrt(2 / math.pi)), of(0.044715)
    for i in range(x.size):
        u = scale * (x[i] + cubic * x[i] * x[i] * x[i])
        tanh = one - two / (exp(two * u) + one)
        y[i] = half * x[i] * (one + tanh)
