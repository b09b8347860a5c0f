"""Words: every word of the training texts is one token, if it is frequent enough.

    words = Words.train(["a good film", "a bad film"], least=2)     a is 4, film is 5
    words.encode("a good film", end=True)                           [4 1 5 3]
    words.decode([4, 1, 5, 3])                                      "a <unknown> film"

The oldest vocabulary and still the plainest: short sequences, a large table, and every word never
seen is the same <unknown>. What is given as a list is taken as it is, so phonemes, actions and
letters have a vocabulary in the same way; what is given as text is cut by a Cleaning (cleaning.py)
that is saved with the words.

Ids         0 <pad> fills a batch, 1 <unknown>, 2 <start>, 3 <end>; then the words, the most
            frequent first and in alphabetical order among equals
Shapes      T words  ↔  ids (T,) int64
Source      Bengio et al. 2003, "A Neural Probabilistic Language Model", section 4 (rare words
            become one symbol); <start>, <end>: Sutskever et al. 2014 (arXiv 1409.3215), section 3
"""

from collections import Counter
from dataclasses import asdict

import numpy as np

from nanollm.errors import InputError
from nanollm.text import saved
from nanollm.text.cleaning import Cleaning
from nanollm.text.ids import checked

SPECIAL = ("<pad>", "<unknown>", "<start>", "<end>")
PAD, UNKNOWN, START, END = range(len(SPECIAL))


class Words:
    """`Words.train(texts)`; `vocab` is the number of tokens, the four special ones too."""

    kind = "words"

    def __init__(self, words, cleaning=None):
        self.words = [*SPECIAL, *words]                                 # id -> word
        self.cleaning = Cleaning() if cleaning is None else cleaning
        self.vocab = len(self.words)
        self.special = {name: id for id, name in enumerate(SPECIAL)}
        self.ids = {word: len(SPECIAL) + i for i, word in enumerate(words)}

    @classmethod
    def train(cls, texts, *, least=1, most=None, cleaning=None):
        """The words of `texts`, a list of texts or of lists of words.

        least       how often a word must occur
        most        the size of the vocabulary at most, special tokens included
        """
        if isinstance(texts, str):
            raise InputError("expected a list of texts, got one text: put it in a list")
        if least < 1 or most is not None and most <= len(SPECIAL):
            raise InputError(f"least is {least} and most is {most}: expected at least 1, and more "
                             f"than the {len(SPECIAL)} special tokens")
        made = cls([], cleaning)
        counts = Counter()
        for text in texts:
            counts.update(made.cut(text))
        taken = [name for name in SPECIAL if name in counts]
        if taken:
            raise InputError(f"{taken[0]} is among the words, but it is a special token: rename it")
        ranked = sorted((word for word, n in counts.items() if n >= least),
                        key=lambda word: (-counts[word], word))
        if not ranked:
            raise InputError(f"there is no word that occurs {least} times: give more text, or a "
                             f"lower least")
        return cls(ranked[:None if most is None else most - len(SPECIAL)], made.cleaning)

    def cut(self, text):
        """The words of a text; of a list, its own entries."""
        if isinstance(text, str):
            return self.cleaning(text)
        found = list(text) if hasattr(text, "__iter__") else [text]
        if not all(isinstance(word, str) and word for word in found):
            raise InputError(f"expected text, or a list of words, got {text!r:.80}")
        return found

    def encode(self, text, *, start=False, end=False, strict=False):
        """The ids (T,) of a text or a list of words.

        start, end      put <start> before it, <end> after it
        strict          a word that has no id is an InputError, not <unknown>
        """
        words = self.cut(text)
        ids = [self.ids.get(word, UNKNOWN) for word in words]
        if strict and UNKNOWN in ids:
            t = ids.index(UNKNOWN)
            raise InputError(f"word {words[t]!r} at position {t} is not among the {self.vocab} of "
                             f"this vocabulary: replace it, or train on text that has it")
        return np.array([START] * start + ids + [END] * end, np.int64)              # (T,)

    def tokens(self, ids):
        """The words up to the first <end>, without <pad> and <start>: what a decoder has said."""
        ids = checked(ids, self.vocab).tolist()
        ids = ids[:ids.index(END)] if END in ids else ids
        return [self.words[i] for i in ids if i not in (PAD, START)]

    def decode(self, ids):
        """The same as one text: the words with spaces between."""
        return " ".join(self.tokens(ids))

    def decode_bytes(self, ids):
        """The same text as UTF-8."""
        return self.decode(ids).encode("utf-8", "surrogatepass")

    def stream(self):
        """Decodes one id at a time."""
        return WordStream(self)

    def save(self, path):
        saved.save(path, self.kind, cleaning=asdict(self.cleaning),
                   words=self.words[len(SPECIAL):])

    @classmethod
    def load(cls, path):
        content = saved.read(path, cls.kind)
        words = saved.strings(path, content, "words")
        if not words or set(words) & set(SPECIAL):
            raise InputError(f'{path} is damaged: "words" is empty or has a special token: '
                             f"{saved.AGAIN}")
        try:
            cleaning = Cleaning(**content["cleaning"])
        except (KeyError, TypeError, InputError) as error:
            raise InputError(f'{path} is damaged: "cleaning" is not as save() writes it ({error}): '
                             f"{saved.AGAIN}") from None
        return cls(words, cleaning)


class WordStream:
    """Words as they are generated, a space before each but the first; nothing after <end>."""

    def __init__(self, words):
        self.words, self.said, self.ended = words, False, False

    def feed(self, id):
        """The text that token `id` adds."""
        text = "" if self.ended else self.words.decode([id])
        self.ended |= id == END
        between = " " if text and self.said else ""
        self.said |= bool(text)
        return between + text

    def end(self):
        """What is left at the end: a word is never half said."""
        return ""
