"""Several numbers at once: what a matrix product needs and Python has no word for.

A load fetches up to 16 bytes a thread, but x[i, j] asks for 4 of them: `load` and `store` move
WIDTH neighbors of a row in one instruction. The place must be a multiple of 16 bytes.

A number that is used again and again must stay in a register, and registers have no addresses: an
array that is indexed in a loop lies in memory, however small. A tuple's entries are values, so
tuples are the arrays of registers: `add_outer` is the loop over i and j, written out.

All three have two forms: what they do, in Python, which the simulator runs; and the instructions,
in LLVM's language, from which Numba builds the kernel.

At the edge of a matrix a vector may hang over, and in a matrix whose rows are no multiple of 16
bytes it may start anywhere: `several(entry, WIDTH)` and `put_entries` go one number at a time
there, and what lies beyond the matrix is 0, which adds nothing to a sum.
"""

from numpy import uint64

from kernels.cuda.device import SIMULATED, cuda

BYTES = 8 if SIMULATED else 16                   # of one load or store


def width(dtype):
    """How many numbers of dtype are moved at once."""
    return BYTES // dtype.itemsize


def aligned_shared(shape, dtype):
    """A device function that returns shared memory of the block, from a multiple of BYTES on."""
    if SIMULATED:
        def memory(): return cuda.shared.array(shape, dtype)
    else:
        def memory(): return cuda.shared.array(shape, dtype, alignment=BYTES)
    return cuda.jit(device=True, inline="always")(memory)


if SIMULATED:

    def load(x, i, j):
        """(x[i, j], x[i, j + 1], ...), WIDTH numbers."""
        return tuple(x[i, j + n] for n in range(width(x.dtype)))

    def store(x, i, j, values):
        """x[i, j], x[i, j + 1], ... = values"""
        for n, value in enumerate(values):
            x[i, j + n] = value

    def add_outer(c, a, b):
        """c + a bᵀ, where c is a tuple of rows, a tuple for each entry of a."""
        return tuple(tuple(c_mn + a_m * b_n for c_mn, b_n in zip(row, b)) for row, a_m in zip(c, a))

else:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.cuda.extending import intrinsic

    def number(n):
        return ir.Constant(ir.IntType(32), n)

    def place(context, builder, sig, args):
        """The vector that begins at x[i, j]: its type, and a pointer to it."""
        x = context.make_array(sig.args[0])(context, builder, args[0])
        pointer = cgutils.get_item_pointer(context, builder, sig.args[0], x, args[1:3])
        vector = ir.VectorType(pointer.type.pointee, BYTES * 8 // sig.args[0].dtype.bitwidth)
        return vector, builder.bitcast(pointer, vector.as_pointer())

    @intrinsic
    def load(typing, x, i, j):
        count = BYTES * 8 // x.dtype.bitwidth
        result = types.UniTuple(x.dtype, count)

        def write(context, builder, sig, args):
            _, pointer = place(context, builder, sig, args)
            values = builder.load(pointer, align=BYTES)
            numbers = [builder.extract_element(values, number(n)) for n in range(count)]
            return context.make_tuple(builder, result, numbers)
        return result(x, types.intp, types.intp), write

    @intrinsic
    def store(typing, x, i, j, values):
        def write(context, builder, sig, args):
            vector, pointer = place(context, builder, sig, args)
            packed = ir.Constant(vector, ir.Undefined)
            for n, value in enumerate(cgutils.unpack_tuple(builder, args[3])):
                packed = builder.insert_element(packed, value, number(n))
            builder.store(packed, pointer, align=BYTES)
            return context.get_dummy_value()
        return types.void(x, types.intp, types.intp, values), write

    @intrinsic
    def add_outer(typing, c, a, b):
        def write(context, builder, sig, args):
            rows, a_numbers, b_numbers = (cgutils.unpack_tuple(builder, x) for x in args)
            return context.make_tuple(builder, c, [context.make_tuple(builder, c[0], [
                builder.fma(a_m, b_n, c_mn)
                for c_mn, b_n in zip(cgutils.unpack_tuple(builder, row), b_numbers)])
                for row, a_m in zip(rows, a_numbers)])
        return c(c, a, b), write


def several(one, count, step=1):
    """A device function: the tuple one(x, i, j), one(x, i, j + step), ..., `count` of them."""
    if count == 1:
        def numbers(x, i, j): return (one(x, i, j),)
    else:
        half, far = several(one, count // 2, step), count // 2 * step
        def numbers(x, i, j): return half(x, i, j) + half(x, i, j + far)
    return cuda.jit(device=True)(numbers)


@cuda.jit(device=True)
def entry(x, i, j):
    """x[i, j], or 0 beyond the row's end. (A signed j could mean "from the end": more to do.)"""
    return x[uint64(i), uint64(j)] if j < x.shape[1] else x.dtype.type(0)


@cuda.jit(device=True)
def put_entries(x, i, j, values):
    """x[i, j], x[i, j + 1], ... = values, as far as they are in x."""
    for n in range(len(values)):
        if j + n < x.shape[1]:
            x[i, j + n] = values[n]
