"""Arrays on the device, in memory that is lent and comes back.

Asking the driver for memory stops the device and takes longer than most kernels, and a training
step makes the same few hundred arrays over and over. So memory that was asked for once is kept:
`empty` lends a piece of it to an array, and it comes back when the array and all its views are
gone. Python's reference counts say when that is: the array adopts its memory from a `Loan`, by the
(CUDA) array interface, under whose rules it and each view of it hold on to the Loan.

The device runs kernels in the order of their launch, so memory may be lent again while the last
kernel to read it is still waiting: whoever writes there, waits behind it.

Whole numbers (token ids, targets) that come from the host keep their original there: to check them
or to sort them, `host` need not wait for the device.
"""

import math
from collections import defaultdict

import numpy as np

from kernels.cuda.block import by_entry, flat
from kernels.cuda.device import FAILURE, SIMULATED, cuda, failed, out_of_memory

INTERFACE = "__array_interface__" if SIMULATED else "__cuda_array_interface__"
idle = defaultdict(list)                         # size in bytes → pieces of memory of that size


class Loan:
    """`memory` in use; it goes back to `shelf` when nobody refers to this any more."""

    def __init__(self, memory, shelf, shape, dtype):
        self.memory, self.shelf = memory, shelf
        setattr(self, INTERFACE, {"shape": shape, "typestr": dtype.str, "version": 3,
                                  "data": (getattr(memory, INTERFACE)["data"][0], False)})

    def __del__(self):
        self.shelf.append(self.memory)


def take(size):
    """`size` bytes of device memory: idle ones, or new ones, for which idle ones may have to go."""
    try:
        return idle[size].pop()
    except IndexError:
        pass
    try:
        return cuda.device_array(size, np.uint8)
    except FAILURE as error:
        if not out_of_memory(error):
            raise failed(error) from None
        release()
    try:
        return cuda.device_array(size, np.uint8)
    except FAILURE as error:
        raise failed(error) from None


def release():
    """Give the memory that is idle back to the driver."""
    for shelf in idle.values():
        shelf.clear()


def rounded(size):
    """The next of eight sizes an octave, so that arrays of nearly the same size can share."""
    step = 1 << max(9, (size - 1).bit_length() - 4)
    return -(-size // step) * step


def adopt(loan):
    """The array that lives in the memory of `loan`."""
    if SIMULATED:
        return cuda.devicearray.FakeCUDAArray(np.asarray(loan))
    return cuda.as_cuda_array(loan)


def empty(shape, dtype=np.float32):
    shape = tuple(int(n) for n in (shape if np.iterable(shape) else (shape,)))
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size == 0:
        return cuda.device_array(shape, dtype)
    size = rounded(size)
    return adopt(Loan(take(size), idle[size], shape, dtype))


def activate():
    """Called when this backend is chosen: here, nothing has to be set."""


def array(x):
    """The device's array with the numbers of x; x itself if it is one."""
    if getattr(x, "__cuda_ndarray__", False):
        return x
    x = np.asarray(x, order="C")
    if x.size and 0 in x.strides:                # as x[:, None] has, though nothing is repeated
        x = x.copy()
    y = empty(x.shape, x.dtype)
    try:
        y.copy_to_device(x)
    except FAILURE as error:
        raise failed(error) from None
    if x.dtype.kind in "iu":
        y.original = x.copy()                    # a view of y has none
    return y


def host(x):
    """A NumPy array with the numbers of x, for reading. Waits only where no original is kept."""
    original = getattr(x, "original", None)
    return numpy(x) if original is None else original


def numpy(x):
    """A NumPy array with the numbers of the device's array x. Waits for the kernels before it.

    A NumPy array is returned as it is. Raises InputError if a kernel failed: a device does not say
    so before it is waited for.
    """
    if isinstance(x, np.ndarray | np.generic):
        return x
    try:
        return x.copy_to_host()
    except FAILURE as error:
        raise failed(error) from None


@cuda.jit
def _fill(y, value):                             # (N,)  one thread an entry
    i = cuda.grid(1)
    if i < y.size:
        y[i] = value


def full(shape, dtype, value):
    y = empty(shape, dtype)
    by_entry(_fill, y.size, flat(y), y.dtype.type(value))
    return y


def zeros(shape, dtype=np.float32):
    return full(shape, dtype, 0)


def ones(shape, dtype=np.float32):
    return full(shape, dtype, 1)
