"""Data: what there is, where it is from, its license and sha256; windows and batches of it.

    text("tinyshakespeare")             a registered data set, downloaded once and checked
    text("my/own.txt")                  any UTF-8 file
    get("gpt2-merges")                  the path of a registered file
    split, sample, windows              ids to train on, in pieces a model can take
    pronunciations, scan, names         registered sets as plain Python: pairs of sequences,
    sentiment, intents                  sentences with a label
    numbers, dates                      embedded and without end: drawn by rule, with a generator
"""

from nanollm.datasets.catalog import details, rows, text
from nanollm.datasets.dates import dates
from nanollm.datasets.fetch import get, sha256
from nanollm.datasets.labels import intents, sentiment
from nanollm.datasets.pairs import names, pronunciations, scan
from nanollm.datasets.registry import REGISTRY, Dataset
from nanollm.datasets.spoken import number_words, numbers
from nanollm.datasets.windows import IGNORED, sample, split, windows
