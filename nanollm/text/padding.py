"""A batch of sequences of different lengths: one rectangle, filled up, and how long each row is.

Shapes      B rows of 1 to T ids  →  ids (B, T), lengths (B,) int64
"""

import numpy as np

from nanollm.errors import InputError


def pad(sequences, value=0, length=None):
    """Sequences of different lengths as one array: ids (B, T) int64, lengths (B,) int64.

    Each row begins with its sequence and is filled with `value`; T is `length`, or the longest.
    """
    rows = [np.asarray(row) for row in sequences]
    if not rows:
        raise InputError("there is no sequence to pad: expected at least one")
    for b, row in enumerate(rows):
        if row.ndim != 1 or not row.size or row.dtype.kind not in "iu":
            raise InputError(f"sequence {b} has shape {row.shape} and dtype {row.dtype}: expected "
                             f"a row of at least one token id; leave empty texts out")
        if length is not None and len(row) > length:
            raise InputError(f"sequence {b} has {len(row)} tokens, more than the length {length}: "
                             f"cut it, or give a greater length")
    lengths = np.array([len(row) for row in rows], np.int64)                    # (B,)
    ids = np.full((len(rows), length or lengths.max()), value, np.int64)        # (B, T)
    for row, given in zip(ids, rows):
        row[:len(given)] = given
    return ids, lengths
