"""Byte-pair encoding: join the most frequent pair of neighbors into a new token, and repeat.

Learning    words are rows of byte tokens. Count every pair of neighbors, weighed by how often its
            word occurs; join the most frequent pair everywhere; count again. The list of joins,
            in order, is all that is learned. Equal counts: the pair with the smaller ids first
            (left id, then right id), so the same text always gives the same merges.
Applying    to a new word: of the merges that fit, do the one learned first, leftmost first.

Both walk a linked list: token[p] is the token that starts at position p, right[p] and left[p] the
positions of its neighbors. Joining touches two neighbors and never moves the rest, so learning
costs as much as there are joins, and a word of n bytes is encoded in O(n log n).

A token that was swallowed becomes GONE; END, at both ends of each word, pairs with nothing.

Source      Sennrich et al. 2016, algorithm 1 (arXiv 1508.07909)
Used by     byte_pairs.py
"""

from collections import defaultdict
from heapq import heapify, heappop, heappush
from itertools import pairwise

END, GONE = -1, -2


def learn(words, wanted, first, bar):
    """Up to `wanted` pairs, in the order learned; fewer when no pair is left that occurs twice.

    words   {word: how often}, each word a row of token ids
    first   id of the first new token; the i-th pair becomes token first + i
    bar     its `update()` is called after each merge
    """
    token, weight = [END], [0]                      # all words in one row
    for word, times in words.items():
        token += [*word, END]
        weight += [times] * (len(word) + 1)
    left = list(range(-1, len(token) - 1))
    right = list(range(1, len(token) + 1))
    count = defaultdict(int)                        # pair -> how often
    where = defaultdict(list)                       # pair -> positions, ascending; some are stale
    for p, pair in enumerate(pairwise(token)):
        if END not in pair:
            count[pair] += weight[p]
            where[pair].append(p)
    heap = [(-n, pair) for pair, n in count.items()]
    heapify(heap)

    merges = []
    while heap and len(merges) < wanted:
        n, pair = heappop(heap)
        if n != -count[pair]:                       # counts only fall: put it back where it belongs
            heappush(heap, (-count[pair], pair))
            continue
        if n > -2:
            break
        (a, b), new = pair, first + len(merges)
        fresh = set()
        for p in where.pop(pair):
            q = right[p]
            if token[p] != a or token[q] != b:      # stale: joined with something else since
                continue
            l, r, times = left[p], right[q], weight[p]
            if token[l] != END:
                count[token[l], a] -= times
                count[token[l], new] += times
                where[token[l], new].append(l)
                fresh.add((token[l], new))
            if token[r] != END:
                count[b, token[r]] -= times
                count[new, token[r]] += times
                where[new, token[r]].append(p)
                fresh.add((new, token[r]))
            token[p], token[q] = new, GONE
            right[p], left[r] = r, p
        count[pair] = 0
        merges.append(pair)
        for pair in fresh:
            heappush(heap, (-count[pair], pair))
        bar.update()
    return merges


def apply(word, ranks):
    """The tokens of one word, given as token ids of its bytes; ranks is {pair: id of the join}."""
    token = [*word, END]
    n = len(token)
    left, right = list(range(-1, n)), list(range(1, n + 1))
    joins = map(ranks.get, pairwise(token))
    heap = [new * n + p for p, new in enumerate(joins) if new is not None]  # (new, p) as one number
    heapify(heap)
    while heap:
        new, p = divmod(heappop(heap), n)
        q = right[p]
        if ranks.get((token[p], token[q])) != new:  # stale: joined with something else since
            continue
        l, r = left[p], right[q]                    # l = -1 before the first: token[-1] is END too
        token[p], token[q] = new, GONE
        right[p], left[r] = r, p
        if (join := ranks.get((token[l], new))) is not None:
            heappush(heap, join * n + l)
        if (join := ranks.get((new, token[r]))) is not None:
            heappush(heap, join * n + p)
    return [t for t in token if t >= 0]
