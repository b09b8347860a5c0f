"""Which examples are kept for the test: the example itself decides, by its sha256.

An example falls into the same fold on every machine, with every version of NumPy and in whatever
order examples come; a second stream of generated examples keeps out what the first kept out.

Equation    rank = the number that sha256(example as UTF-8) spells,    fold = rank mod folds
Used by     pairs.py, labels.py, spoken.py, dates.py
"""

import hashlib


def rank(example):
    """A number of 256 bits that looks random and never changes."""
    return int.from_bytes(hashlib.sha256(example.encode("utf-8")).digest(), "big")


def fold(example, folds):
    """The fold of an example, 0 to folds - 1, each as likely as any other."""
    return rank(example) % folds
