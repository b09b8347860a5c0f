"""How good are answers? Counts of right and wrong ones, made into a few numbers.

Classes     one label for each example; all is read off the confusion matrix
Sequences   edits from what was said to what is right: word and phoneme error rates
Text        how surprised a language model is: perplexity, bits per character

Equation    M_ij = examples of class i that were called j                   confusion_matrix
            accuracy = Σ_i M_ii / Σ_ij M_ij
            precision_j = M_jj / Σ_i M_ij       of those called j, how many are
            recall_i = M_ii / Σ_j M_ij          of those that are i, how many were called so
            F1 = 2 precision recall / (precision + recall)
            error rate = Σ edits / Σ length of the reference; it can exceed 1
            perplexity = e^L, bits per character = L · tokens / (characters · ln 2), L nats a token
            0/0 is 0: a class that was never called has precision 0.
Average     macro: the mean over the classes that occur in targets or predictions, so that a rare
            class counts as much as a frequent one; macro F1 is the mean of the F1s.
            micro: from the sums over all classes. With one label an example, every wrong one is
            once too many in a column and once too few in a row, so micro precision, recall and F1
            are all the accuracy.

Source      van Rijsbergen 1979, "Information Retrieval", chapter 7 (precision, recall, F);
            Levenshtein 1966 (edits)
"""

import math

import numpy as np

from nanollm import figures
from nanollm.errors import InputError

# classes

def confusion_matrix(targets, predictions, classes=None):
    """M (K, K) of labels 0 to K - 1, (N,) each; K is `classes`, or one more than the largest."""
    targets, predictions = (labels(x, name) for x, name in
                            ((targets, "targets"), (predictions, "predictions")))
    if len(targets) != len(predictions):
        raise InputError(f"there are {len(targets)} targets and {len(predictions)} predictions: "
                         f"expected one prediction for each target")
    largest = max(targets.max(), predictions.max())
    if classes is not None and largest >= classes:
        raise InputError(f"label {largest} is out of range: {classes} classes are 0 to "
                         f"{classes - 1}")
    K = int(largest) + 1 if classes is None else classes
    return np.bincount(targets * K + predictions, minlength=K * K).reshape(K, K)        # (K, K)


def labels(x, name):
    """`x` as labels (N,) int64, if it holds some."""
    x = np.asarray(x)
    if x.ndim != 1 or not x.size or x.dtype.kind not in "iu" or x.min() < 0:
        raise InputError(f"{name} has shape {x.shape} and dtype {x.dtype}: expected a row of "
                         f"labels, at least one, whole numbers from 0")
    return x.astype(np.int64)


def counts(matrix):
    """`matrix` as a confusion matrix (K, K), if it is one and has an example."""
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or len(set(matrix.shape)) != 1 or not matrix.any():
        raise InputError(f"the matrix has shape {matrix.shape} and {matrix.sum()} examples: "
                         f"expected a confusion matrix, true by predicted class, of at least one")
    return matrix


def accuracy(matrix):
    """The share of examples that are right."""
    matrix = counts(matrix)
    return float(np.trace(matrix) / matrix.sum())


def precision(matrix, average=None):
    """Per class (K,), or their "macro" or "micro" average."""
    matrix = counts(matrix)
    return averaged(share(np.diag(matrix), matrix.sum(axis=0)), matrix, average)


def recall(matrix, average=None):
    """Per class (K,), or their "macro" or "micro" average."""
    matrix = counts(matrix)
    return averaged(share(np.diag(matrix), matrix.sum(axis=1)), matrix, average)


def f1(matrix, average=None):
    """Per class (K,), or their "macro" or "micro" average."""
    matrix = counts(matrix)
    called, true = matrix.sum(axis=0), matrix.sum(axis=1)                   # (K,)
    return averaged(share(2 * np.diag(matrix), called + true), matrix, average)


def share(part, whole):
    """part / whole, and 0 for 0/0 (K,)."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def averaged(scores, matrix, average):
    """scores (K,) as they are, or one number."""
    if average is None:
        return scores
    if average == "micro":
        return accuracy(matrix)
    if average == "macro":
        return float(scores[matrix.sum(axis=0) + matrix.sum(axis=1) > 0].mean())
    raise InputError(f"average is {average!r}: expected None, 'macro' or 'micro'")


def report(matrix, names=None):
    """One line a class: its name, precision, recall, F1, examples; then the averages."""
    matrix, scores = counts(matrix), (precision, recall, f1)
    classes = zip(class_names(matrix, names), *(score(matrix) for score in scores),
                  matrix.sum(axis=1))
    averages = [(name, *(score(matrix, name) for score in scores), matrix.sum())
                for name in ("macro", "micro")]
    rows = [("", "precision", "recall", "F1", "examples")]
    rows += [(name, f"{p:.3f}", f"{r:.3f}", f"{f:.3f}", str(n))
             for name, p, r, f, n in [*classes, *averages]]
    wide = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join([row[0].ljust(wide[0]), *(x.rjust(w) for x, w in zip(row[1:], wide[1:]))])
        for row in rows)


def draw_confusion(matrix, path, names=None):
    """Write the confusion matrix as a picture: a row is a class, shaded by where it went."""
    matrix, names = counts(matrix), class_names(matrix, names)
    K = len(names)
    side = min(4 + 0.3 * K, 30)                                             # inches
    small = min(12, 1200 / K)                                               # points
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)      # (K, K), rows sum to 1
    with figures.picture(path, figsize=(side, side)) as axes:
        figures.matrix(axes, shares, names, names, most=1, bar=False)
        axes.tick_params(labelsize=small)
        axes.set(xlabel="predicted", ylabel="true", title=f"accuracy {accuracy(matrix):.1%}")
        if K <= 30:                                     # the counts, where they can be read
            for i, j in np.argwhere(matrix):
                axes.text(j, i, matrix[i, j], ha="center", va="center", fontsize=small,
                          color="black" if shares[i, j] > 0.5 else "white")


def class_names(matrix, names):
    """The names of the classes as text; their numbers if they have none."""
    if names is None:
        return [str(k) for k in range(len(matrix))]
    if len(names) != len(matrix):
        raise InputError(f"there are {len(names)} names for {len(matrix)} classes: expected one "
                         f"for each")
    return [str(name) for name in names]


# sequences

def edit_distance(a, b):
    """The fewest entries to put in, take out or replace that make sequence `a` into `b`.

    d_ij, for the first i entries of a and the first j of b, is the least of
        d_(i-1)j + 1        take a_i out
        d_i(j-1) + 1        put b_j in
        d_(i-1)(j-1)        + 1 where a_i and b_j differ
    Only one row of d is kept.
    """
    row = list(range(len(b) + 1))                                           # d_0j = j
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i                                        # d_(i-1)0, d_i0
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def error_rate(references, hypotheses):
    """Edits for each entry of the references: phonemes of words, words of sentences.

    references[n] is the list of the right answers to n, a sequence each, also where there is only
    one. The closest to the hypothesis counts, the longest of equally close ones, and its length is
    what is divided by.
    """
    edits = length = 0
    for right, said in paired(references, hypotheses):
        distance, shorter = min((edit_distance(said, r), -len(r)) for r in right)
        edits, length = edits + distance, length - shorter
    if not length:
        raise InputError("every reference is empty: expected at least one entry")
    return edits / length


def word_error_rate(references, hypotheses):
    """The share of examples whose answer is none of the right ones, exactly.

    For words and how they sound, this is what papers call the word error rate; for other tasks, 1
    minus the exact matches. (In speech recognition that name is `error_rate` over words.)
    """
    wrong = [tuple(said) not in set(map(tuple, right))
             for right, said in paired(references, hypotheses)]
    return sum(wrong) / len(wrong)


def paired(references, hypotheses):
    """[(right answers, hypothesis)], if they fit each other."""
    references, hypotheses = list(references), list(hypotheses)
    if len(references) != len(hypotheses) or not references:
        raise InputError(f"there are {len(references)} references and {len(hypotheses)} "
                         f"hypotheses: expected at least one, and as many of each")
    for n, right in enumerate(references):
        if isinstance(right, str) or not len(right):
            raise InputError(f"references[{n}] is {right!r}: expected the list of the right "
                             f"answers, at least one")
    return list(zip(references, hypotheses))


# text

def perplexity(nats):
    """e^L for a loss of L nats a token: among so many equally likely tokens the model chooses."""
    return math.inf if nats > 709 else math.exp(nats)       # e^710 is beyond a float


def bits_per_character(nats, tokens, characters):
    """Bits a character for a loss of `nats` a token, over a text of so many tokens and characters.

    It does not depend on what a token is, so models with different tokenizers can be compared.
    """
    if tokens < 1 or characters < 1:
        raise InputError(f"the text has {tokens} tokens and {characters} characters: expected at "
                         f"least one of each")
    return nats * tokens / (characters * math.log(2))
