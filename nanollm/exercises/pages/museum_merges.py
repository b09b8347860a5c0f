"""The bug museum: encoding with byte pairs that somebody else has learned.

Program     The list of merges comes with the model, in the order in which it was learned. `encode`
            cuts a word into letters and joins pairs until no merge fits; two equal pairs side by
            side are joined one at a time, left first.
Symptom     Every word decodes to itself, so nobody looks further; but more than half of all words
            are cut otherwise than by the tokenizer that the model was trained with, and the model
            is a little worse than it should be.
Source      Sennrich et al. 2016, algorithm 1 (arXiv 1508.07909)
"""


def encode(word, merges):
    """The list of tokens (strings) of a word."""
    rank = {pair: i for i, pair in enumerate(merges)}
    tokens = list(word)
    while True:
        fits = [p for p in range(len(tokens) - 1) if (tokens[p], tokens[p + 1]) in rank]
        if not fits:
            return tokens
        p = min(fits, key=lambda p: rank[tokens[p], tokens[p + 1]])
        tokens[p:p + 2] = [tokens[p] + tokens[p + 1]]
