"""Small matrices in a thread's registers: what vectors.py has for one outer product, and more.

A tuple of tuples is a matrix whose entries are registers. Here are the product a bᵀ of rows that
were read in vectors, rows times factors, and the way back to memory; and functions that read such
matrices, built from a function that reads a part: numbers side by side or rows one below the other.

As in vectors.py there are two forms: what it does, in Python, for the simulator; and the
instructions, in LLVM's language.
"""

from kernels.cuda.device import SIMULATED, cuda
from kernels.cuda.vectors import load, width

if SIMULATED:

    def device(function):
        """A function that kernels call. (The simulator's own way costs 30 microseconds a call.)"""
        return function

    def add_inner(c, a, b):
        """c + a bᵀ, where a and b are tuples of rows."""
        return tuple(tuple(inner(c_ij, a_i, b_j) for c_ij, b_j in zip(row, b))
                     for row, a_i in zip(c, a))

    def inner(total, a, b):
        for x, y in zip(a, b):
            total += x * y
        return total

    def scale_rows(c, factors):
        """Row i of c times factor i."""
        return tuple(tuple(c_ij * f for c_ij in row) for row, f in zip(c, factors))

    def putter(down, across, together):
        """put(x, i, j, c): c's rows to rows i, i + down, ... of x; of their numbers as many as
        `together` from column j on, as many from j + across on, and so on."""
        def put(x, i, j, c):
            for m, row in enumerate(c):
                for n, value in enumerate(row):
                    x[i + m * down, j + n // together * across + n % together] = value
        return put

else:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.cuda.extending import intrinsic

    device = cuda.jit(device=True)

    def unpack_rows(builder, c):
        return [cgutils.unpack_tuple(builder, row) for row in cgutils.unpack_tuple(builder, c)]

    def make_rows(context, builder, kind, rows):
        return context.make_tuple(builder, kind,
                                  [context.make_tuple(builder, kind[0], row) for row in rows])

    @intrinsic
    def add_inner(typing, c, a, b):
        def write(context, builder, sig, args):
            rows, a_rows, b_rows = (unpack_rows(builder, x) for x in args)
            for row, a_i in zip(rows, a_rows):
                for j, b_j in enumerate(b_rows):
                    for x, y in zip(a_i, b_j):
                        row[j] = builder.fma(x, y, row[j])
            return make_rows(context, builder, c, rows)
        return c(c, a, b), write

    @intrinsic
    def scale_rows(typing, c, factors):
        def write(context, builder, sig, args):
            rows, numbers = unpack_rows(builder, args[0]), cgutils.unpack_tuple(builder, args[1])
            return make_rows(context, builder, c, [
                [builder.fmul(c_ij, f) for c_ij in row] for row, f in zip(rows, numbers)])
        return c(c, factors), write

    def putter(down, across, together):
        @intrinsic
        def put(typing, x, i, j, c):
            def write(context, builder, sig, args):
                array = context.make_array(x)(context, builder, args[0])
                for m, row in enumerate(unpack_rows(builder, args[3])):
                    for n, value in enumerate(row):
                        far = n // together * across + n % together
                        at = [builder.add(args[1], ir.Constant(args[1].type, m * down)),
                              builder.add(args[2], ir.Constant(args[2].type, far))]
                        builder.store(value, cgutils.get_item_pointer(context, builder, x, array,
                                                                      at))
                return context.get_dummy_value()
            return types.void(x, types.intp, types.intp, c), write
        return put


@device
def single(x, i, j):
    return (x[i, j],)


def beside(one, count, step):
    """A device function: one(x, i, j) + one(x, i, j + step) + ..., `count` tuples joined."""
    if count == 1:
        return one
    half, rest = beside(one, count // 2, step), beside(one, count - count // 2, step)
    far = count // 2 * step

    def numbers(x, i, j): return half(x, i, j) + rest(x, i, j + far)
    return device(numbers)


def below(one, count, step):
    """A device function: the tuple one(x, i, j), one(x, i + step, j), ..., `count` of them."""
    if count == 1:
        def rows(x, i, j): return (one(x, i, j),)
    else:
        half, rest = below(one, count // 2, step), below(one, count - count // 2, step)
        far = count // 2 * step

        def rows(x, i, j): return half(x, i, j) + rest(x, i + far, j)
    return device(rows)


def row_of(count, dtype):
    """A device function that reads `count` numbers from x[i, j] on, in vectors if they fit."""
    WIDTH = width(dtype)
    if count % WIDTH:
        return beside(single, count, 1)
    return beside(load, count // WIDTH, WIDTH)
