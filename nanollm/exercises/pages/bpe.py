"""Byte-pair encoding the plain way. nanollm/text/merges.py gives the same merges and tokens, fast.

Differs     from that page in two things: a word is a list that is built anew at each join, not a
            linked list; and all pairs are counted again after each merge, not only those that
            changed.

Learning    Words are rows of token ids. Count every pair of neighbors, weighed by how often its
            word occurs, overlapping ones too: (1, 1, 1) has (1, 1) twice. Join the most frequent
            pair everywhere into a new token; count again.
            Equal counts: the pair with the smaller ids first (left id, then right id).
            Stop when no pair occurs twice.
Encoding    a new word: of the merges that fit, do the one learned first, leftmost first; repeat.
Decoding    the other way: a token is the two it was joined from, until only old ids are left.

Ids         0 ... first - 1 are given (256 bytes, say); merges[i] becomes the token first + i
Source      Sennrich et al. 2016, algorithm 1 (arXiv 1508.07909)
"""

from collections import Counter
from itertools import pairwise


def count(words):
    """{pair: how often}; words is {tuple of ids: how often}. Pairs that overlap count each."""
    counts = Counter()
    for word, times in words.items():
        for pair in pairwise(word):
            counts[pair] += times
    return counts


def join(word, pair, new):
    """The tuple of ids `word` with each `pair` in it joined into `new`, leftmost first."""
    joined, p = [], 0
    while p < len(word):
        if tuple(word[p:p + 2]) == pair:
            joined.append(new)
            p += 2
        else:
            joined.append(word[p])
            p += 1
    return tuple(joined)


def learn(words, wanted, first):
    """The list of up to `wanted` pairs, in the order learned."""
    merges = []
    while len(merges) < wanted:
        counts = count(words)
        pair = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if pair is None or counts[pair] < 2:
            break
        new = first + len(merges)
        joined = Counter()
        for word, times in words.items():
            joined[join(word, pair, new)] += times
        words = joined
        merges.append(pair)
    return merges


def encode(word, merges, first):
    """The list of tokens of one word, a row of given ids."""
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    word = tuple(word)
    while fits := [pair for pair in pairwise(word) if pair in ranks]:
        pair = min(fits, key=ranks.get)
        word = join(word, pair, first + ranks[pair])
    return list(word)


def decode(ids, merges, first):
    """The list of given ids that these tokens stand for."""
    given = []
    for id in ids:
        given += [id] if id < first else decode(merges[id - first], merges, first)
    return given
