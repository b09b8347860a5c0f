"""Characters: every character of the training text is one token.

The vocabulary is the sorted list of the characters that occur, so id order is code point order.
A text becomes long (one token a character) and the vocabulary stays small (65 for Shakespeare).

Shapes      text of T characters  ↔  ids (T,) int64
Source      Karpathy 2015, "The Unreasonable Effectiveness of Recurrent Neural Networks"
"""

import numpy as np

from nanollm.errors import InputError
from nanollm.text import saved
from nanollm.text.ids import checked
from nanollm.text.stream import Stream


class Characters:
    """`Characters.train(text)`; `vocab` is the number of tokens."""

    kind = "characters"

    def __init__(self, codes):
        self.codes = np.asarray(codes, "<u4")                   # (V,)  id -> code point, ascending
        self.vocab = len(self.codes)
        self.special = {}                                       # there is none: see byte_pairs.py
        self.table = np.full(int(self.codes[-1]) + 2, -1)       # code point -> id; the last: unseen
        self.table[self.codes] = np.arange(self.vocab)

    @classmethod
    def train(cls, text):
        if not text:
            raise InputError("cannot train a tokenizer on empty text: give some text")
        return cls(np.unique(code_points(text)))

    def encode(self, text):
        """The ids (T,) of a text of T characters."""
        codes = code_points(text)                                        # (T,)
        ids = self.table[np.minimum(codes, len(self.table) - 1)]         # (T,)
        if ids.size and ids.min() < 0:
            t = int(ids.argmin())
            raise InputError(f"character {text[t]!r} (U+{codes[t]:04X}) at position {t} is not "
                             f"among the {self.vocab} characters of this vocabulary: replace it, "
                             f"or train the tokenizer on text that has it")
        return ids

    def decode(self, ids):
        codes = self.codes[checked(ids, self.vocab)]                     # (T,)
        return codes.tobytes().decode("utf-32-le", "surrogatepass")

    def decode_bytes(self, ids):
        """The same text as UTF-8."""
        return self.decode(ids).encode("utf-8", "surrogatepass")

    def stream(self):
        """Decodes one id at a time: see stream.py."""
        return Stream(self)

    def save(self, path):
        saved.save(path, self.kind, characters=[chr(c) for c in self.codes])

    @classmethod
    def load(cls, path):
        found = saved.strings(path, saved.read(path, cls.kind), "characters")
        if not found or any(len(c) != 1 for c in found) or found != sorted(found):
            raise InputError(f'{path} is damaged: "characters" must be single characters in '
                             f"ascending order: {saved.AGAIN}")
        return cls([ord(c) for c in found])


def code_points(text):
    """One number a character (T,)."""
    if not isinstance(text, str):
        raise InputError(f"expected text (str), got {type(text).__name__}: decode it first")
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
