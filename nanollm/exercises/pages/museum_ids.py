"""The bug museum: a text as a file of token ids.

Program     `pack` writes the ids as whole numbers of as few bytes as will do, but two at least;
            `unpack` reads them.
            A vocabulary of V tokens has the ids 0 ... V - 1.
Symptom     With an English vocabulary of 30,522 all is well. With a multilingual one of 119,547 the
            file has the right size, training runs, and nearly half of the vocabulary is never seen.
"""

import numpy as np


def dtype_of(V):
    """The unsigned whole numbers of the fewest bytes, two at least, that hold every id below V."""
    return np.dtype(np.uint16 if V <= 2 ** 16 else np.uint32)


def pack(ids, V):
    """The bytes of a file that holds these ids."""
    return np.asarray(ids, np.int64).astype(dtype_of(V)).tobytes()


def unpack(data, V):
    """The ids (T,) int64 of such a file."""
    return np.frombuffer(data, dtype_of(V)).astype(np.int64)
