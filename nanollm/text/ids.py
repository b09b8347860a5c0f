"""Token ids on their way back to text: a row of whole numbers in [0, vocab)."""

import numpy as np

from nanollm.errors import InputError


def checked(ids, vocab):
    """`ids` as an int64 array (T,); InputError names the first that is no id."""
    ids = np.asarray(ids)
    if ids.size == 0:
        return np.empty(0, np.int64)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise InputError(f"cannot decode an array of dtype {ids.dtype} and shape {ids.shape}: "
                         f"expected one row of whole numbers")
    bad = np.flatnonzero((ids < 0) | (ids >= vocab))
    if bad.size:
        raise InputError(f"token id {ids[bad[0]]} at position {bad[0]} is out of range: the "
                         f"vocabulary has ids 0 to {vocab - 1}; was the text encoded by another "
                         f"tokenizer?")
    return ids.astype(np.int64)
