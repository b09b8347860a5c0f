"""Broadcasting on the GPU: where an entry of the result finds its entry in a stretched array.

A stretched array is not copied: along a stretched axis its step is 0. Axes that all arrays pass
in step are folded into one before the launch, so that arrays of one shape need no division at all
and a bias one.
"""

from kernels.cuda.device import cuda


def steps(shape, wide):
    """How far to move in an array of `shape` for one step along each axis of `wide`."""
    moves, move = [], 1
    for size in reversed((1,) * (len(wide) - len(shape)) + tuple(shape)):
        moves.append(0 if size == 1 else move)
        move *= size
    return moves[::-1]


def fold(wide, *shapes):
    """The sizes of `wide`, and each shape's steps, with as few axes as possible (one at least)."""
    return merge(wide, *(steps(shape, wide) for shape in shapes))


def merge(sizes, *moves):
    """The same walks over memory, with as few axes as possible (one at least)."""
    axes = [(1, *(0 for move in moves))]
    for size, *move in zip(sizes, *moves):
        if size == 1:
            continue
        if axes[-1][0] == 1 or list(axes[-1][1:]) == [m * size for m in move]:
            axes[-1] = (axes[-1][0] * size, *move)
        else:
            axes.append((size, *move))
    return tuple(zip(*axes))


@cuda.jit(device=True)
def place(i, sizes, steps):
    """Where entry i of the result, counted flat, stands in an array with these steps, flat."""
    at = 0
    for axis in range(len(sizes) - 1, 0, -1):
        at += i % sizes[axis] * steps[axis]
        i //= sizes[axis]
    return at + i * steps[0]
