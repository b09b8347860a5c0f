"""`empty(shape, dtype)` from a pool of used buffers."""

import math
import threading
from sys import getrefcount

import numpy as np

_local = threading.local()
_probe = [np.empty(1, np.uint8)]
FREE = getrefcount(_probe[0])


def empty(shape, dtype=np.float32):
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    size = math.prod(shape) * dtype.itemsize
    if size < 4096:
        return np.empty(shape, dtype)
    try:
        pools = _local.pools
    except AttributeError:
        pools = _local.pools = {}
    pool = pools.get(size)
    if pool is None:
        pool = pools[size] = [[], 0]
    buffers, start = pool
    for i in range(start, len(buffers)):
        if getrefcount(buffers[i]) == FREE:
            pool[1] = i
            return np.ndarray(shape, dtype, buffers[i])
    for i in range(start):
        if getrefcount(buffers[i]) == FREE:
            pool[1] = i
            return np.ndarray(shape, dtype, buffers[i])
    buffers.append(np.empty(size, np.uint8))
    pool[1] = len(buffers) - 1
    return np.ndarray(shape, dtype, buffers[-1])


def release():
    for pool in getattr(_local, "pools", {}).values():
        pool[0] = [b for b in pool[0] if getrefcount(b) > FREE + 1]
        pool[1] = 0


def held():
    return sum(b.nbytes for buffers, _ in getattr(_local, "pools", {}).values() for b in buffers)
