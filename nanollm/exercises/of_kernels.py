"""The checks of the CPU kernels: what they compute, and what the compiler has made of them.

Numba's compiler passes through LLVM, whose text says how a loop was compiled: an addition of
<16 x float> is SIMD, one of double is float64, a call of tanh is one number at a time. So these
checks need no clock, nor does the search for races, which is in turns.py.
"""

import re

import numpy as np

from nanollm.exercises.spec import Wrong, expect, wrapped

THREADS = 4
ENVIRONMENT = {"NUMBA_DISABLE_JIT": "0", "NUMBA_NUM_THREADS": str(THREADS)}
NOTHING = -77                                    # what y holds before the kernel runs
CLOSE = {np.float32: 2e-6, np.float64: 1e-12}
MATH = re.compile(r"call [^@\n]*@(?:llvm\.)?(exp|expm1|tanh|erf|log|powi?|sin|cos)(?:f|\.\w+)?\(")
ALLOCATES = re.compile(r"call [^@\n]*@NRT_(?:MemInfo_alloc|Allocate)\w*\(")
SIMD_ADDITION = re.compile(r"= fadd [^\n]*<\d+ x float>")
IN_FLOAT64 = re.compile(r"= (?:fadd|fsub|fmul|fdiv|fpext)\b[^\n]*\bdouble\b")


def run(student, name, x):
    """y of kernel(x, y), a new array; Wrong if the kernel is none, or changes x."""
    kernel = compiled(student, name)
    kept, y = x.copy(), np.full_like(x, NOTHING)
    try:
        kernel(x, y)
    except KeyError as error:                    # of Numba, if there is an option it doesn't know
        words = str(error.args[0]).partition(". Known")[0]
        raise Wrong(f"Numba refuses the options of @njit: {words}") from None
    except ZeroDivisionError:
        raise Wrong(f"{name} divides by 0", tried=tried(x), likely=wrapped(
            "which sum can be 0, and with which x? (Numba raises here, unless OPTIONS says "
            "error_model=\"numpy\"; then a nan comes out)")) from None
    if not np.array_equal(x, kept, equal_nan=True):
        raise Wrong(f"{name} changes its input x", tried=tried(x), likely="write into y only")
    return y


def compiled(student, name):
    kernel = getattr(student, name)
    if not hasattr(kernel, "inspect_llvm"):
        raise Wrong(f"{name} is not compiled", likely="the line @njit(...) above `def` is missing")
    return kernel


def tried(x):
    if x.size <= 8:
        return f"x = {np.array2string(x, precision=4, separator=', ')}  ({x.dtype})"
    return f"x {x.dtype} {x.shape}"


def compare(student, name, answer, arrays):
    """Wrong unless the kernel's y is the answer's, in both types, for each of `arrays`."""
    for x in arrays:
        for dtype, close in CLOSE.items():
            given = x.astype(dtype)
            y, want = run(student, name, given), answer(given.astype(np.float64))
            if (y == NOTHING).any():
                raise Wrong(f"{name} does not write all of y", tried=tried(given), got=y,
                            expected=want, likely=wrapped(
                                f"an entry that is still {NOTHING} was never written: does the "
                                "loop reach it? The result goes into y, entry by entry; `y = ...` "
                                "would only make a new array"))
            likely = None
            if compiled(student, name).targetoptions.get("fastmath") is True:
                likely = ("fastmath=True promises that no inf and no nan occurs on the way, and "
                          "the compiler relies on it")
            elif near(y, want, dtype):
                likely = ("it is right to about seven digits: a constant has too few digits, or is "
                          "float32 where x is float64, make it with x.dtype.type(...)")
            expect(f"{name}'s y", y, want, tried=tried(given), tol=close,
                   likely=likely and wrapped(likely))


def near(y, want, dtype):
    """Is a float64 result as exact as float32 would be?"""
    return dtype == np.float64 and np.isfinite(y).all() and (
        np.abs(y - want).max(initial=0) < 1e-5 * max(np.abs(want).max(initial=0), 0.1))


def expect_single(student, name, x):
    """Wrong if the kernel, compiled for float32, computes in float64."""
    found = IN_FLOAT64.search(text(student, name, x))
    if found:
        raise Wrong(f"{name} computes in float64, though x is float32",
                    got=" ".join(found[0].split())[:76] + "   (LLVM's line)",
                    expected="arithmetic of float only",
                    likely=wrapped(
                        "a literal such as 0.5 or a constant of math is float64, and float32 times "
                        "float64 is float64: half the numbers at a time, and conversions. Make "
                        "constants with x.dtype.type(...), start sums from x.dtype.type(0)"))


def expect_simd(student, name, x, options):
    """Wrong unless the kernel's loop for float32 adds many numbers at a time.

    options    {what the student's OPTIONS must have: what to say if not}, asked in this order
    """
    llvm = text(student, name, x)
    call = MATH.search(llvm)
    if call and "__svml" not in getattr(student, name).inspect_asm(signature(student, name, x)):
        raise Wrong(f"{name} calls {call[1]} of the C library in its loop, one number a call",
                    likely=wrapped("a loop that makes calls is not SIMD. exp of kernels/scalar.py "
                                   "is made of multiplications and additions"))
    if not SIMD_ADDITION.search(llvm):
        given = getattr(student, name).targetoptions
        likely = next((line for has, line in options.items() if not has(given)),
                      "look for a branch that leaves the loop, or an entry that needs the one "
                      "before it")
        raise Wrong(f"the loop of {name} is not SIMD: it adds one number at a time",
                    got="no addition of <16 x float> (or 4, or 8) in LLVM's text",
                    likely=wrapped(likely))


def expect_no_arrays(student, name, x):
    if ALLOCATES.search(text(student, name, x)):
        raise Wrong(f"{name} makes an array on the way", tried=tried(x), likely=wrapped(
            "an expression over a whole row, such as np.exp(x[n] - m), stores its result "
            "somewhere; a loop over k needs one number at a time, and writes it into y"))


def text(student, name, x):
    """What LLVM has made of the kernel for arrays like x."""
    run(student, name, x)
    return compiled(student, name).inspect_llvm(signature(student, name, x))


def signature(student, name, x):
    from numba import typeof
    return next(s for s in compiled(student, name).signatures if s[0] == typeof(x))


def errors_like_numpy(given):
    return given.get("error_model") == "numpy"


def reorders(given):
    flags = given.get("fastmath") or set()
    return flags is True or "reassoc" in flags or "fast" in flags

