"""Philox: random numbers by counting, so that every thread can make its own.

A generator that goes from one state to the next makes its numbers one after another. Philox has no
state: it scrambles a count of 128 bits under a key of 64, and each count gives four numbers of 32
bits that look as random as any. Who has the count i needs nobody's numbers to make the i-th.

One round multiplies two of the four words by constants, each into 64 bits; the low halves are two
of the next words, and the high halves, mixed by exclusive or with the other two words and the key,
the other two. There are ten rounds, and the key moves on by a constant before each but the first.
The products are those of int64, whose overflow leaves the lower 64 bits right; all words are kept
below 2^32 by a mask.

Source      Salmon, Moraes, Dror & Shaw 2011, Parallel random numbers: as easy as 1, 2, 3,
            Philox4x32-10
"""

from kernels.cuda.device import cuda

WORD = 0xffffffff
M0, M1 = 0xd2511f53, 0xcd9e8d57                  # the multipliers
W0, W1 = 0x9e3779b9, 0xbb67ae85                  # the key's steps: golden ratio - 1, √3 - 1


@cuda.jit(device=True)
def philox(low, high, key):
    """Four numbers in [0, 2^32) for the count high · 2^64 + low, under `key`, of 64 bits each."""
    a, b, c, d = low & WORD, low >> 32 & WORD, high & WORD, high >> 32 & WORD
    k0, k1 = key & WORD, key >> 32 & WORD
    for _ in range(10):
        p, q = a * M0, c * M1
        a, b, c, d = (q >> 32 & WORD) ^ b ^ k0, q & WORD, (p >> 32 & WORD) ^ d ^ k1, p & WORD
        k0, k1 = k0 + W0 & WORD, k1 + W1 & WORD
    return a, b, c, d
