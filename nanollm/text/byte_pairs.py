"""Byte pairs: tokens are bytes, and what the most frequent pairs of tokens were joined into.

Every text is bytes, so every text has tokens: no character is unknown and nothing is lost. Common
words become one token, rare ones a few.

Ids         0 to 255 the bytes, in GPT-2's order (alphabet.py); then the merges, in the order
            learned (merges.py); then the special tokens (special.py).
Special     a token such as <|endoftext|> is not text: `encode` reads its name as ordinary
            characters unless it is told special=True, so that no text can end a document.
Shapes      text  ↔  ids (T,) int64

Source      Sennrich et al. 2016 (arXiv 1508.07909); bytes: Radford et al. 2019, section 2.2
"""

from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np

from nanollm.errors import InputError
from nanollm.text import saved
from nanollm.text.alphabet import BYTES, IDS, pairs, written
from nanollm.text.ids import checked
from nanollm.text.merges import apply, learn
from nanollm.text.pattern import pieces
from nanollm.text.special import checked_names, cut
from nanollm.text.stream import Stream


class BytePairs:
    """`BytePairs.train(text, vocab=1000)`; `vocab` is the number of tokens, special ones too."""

    kind = "byte pairs"

    def __init__(self, merges, special=()):
        self.merges = [tuple(pair) for pair in merges]
        self.ranks = {pair: 256 + i for i, pair in enumerate(self.merges)}      # pair -> its join
        self.bytes = [bytes([b]) for b in BYTES]                                # id -> its bytes
        for a, b in self.merges:
            self.bytes.append(self.bytes[a] + self.bytes[b])
        self.special = {name: len(self.bytes) + i for i, name in enumerate(special)}
        self.bytes += [name.encode() for name in special]
        self.vocab = len(self.bytes)
        self.tokens = Words(self.ranks)

    @classmethod
    def train(cls, text, vocab, special=("<|endoftext|>",), *, quiet=False):
        """Learn the merges of `text` (str or bytes) that fill a vocabulary of `vocab` tokens.

        Names of special tokens in the text separate documents, and are not learned from.
        """
        from tqdm import tqdm

        special = checked_names(special)
        wanted = vocab - 256 - len(special)
        if wanted < 0:
            raise InputError(f"a vocabulary of {vocab} is too small: expected at least "
                             f"{256 + len(special)}, 256 bytes and {len(special)} special tokens")
        words = Counter(chain.from_iterable(map(pieces, cut(normal(text), special)[::2])))
        words = {to_bytes(word).translate(IDS): n for word, n in words.items()}
        with tqdm(total=wanted, desc="byte pairs", unit="merge", delay=1, disable=quiet) as bar:
            merges = learn(words, wanted, first=256, bar=bar)
        if len(merges) < wanted:
            raise InputError(f"the text does not fill a vocabulary of {vocab}: no pair of tokens "
                             f"is left that occurs twice; give more text, or a vocabulary "
                             f"of at most {vocab - wanted + len(merges)}")
        return cls(merges, special)

    def encode(self, text, special=False):
        """The ids (T,) of a text, str or bytes; special=True reads the names of special tokens."""
        documents = cut(normal(text), self.special if special else ())
        ids = []
        for i, part in enumerate(documents):
            if i % 2:
                ids.append([self.special[part]])
            else:
                ids += map(self.tokens.__getitem__, pieces(part))
        return np.fromiter(chain.from_iterable(ids), np.int64)                  # (T,)

    def decode_bytes(self, ids):
        """The bytes that were encoded, exactly."""
        return b"".join(map(self.bytes.__getitem__, checked(ids, self.vocab).tolist()))

    def decode(self, ids):
        """The text that was encoded, exactly; bytes that are no text become U+FFFD."""
        data = self.decode_bytes(ids)
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "replace")

    def stream(self):
        """Decodes one id at a time: see stream.py."""
        return Stream(self)

    def save(self, path):
        merges = [f"{written(self.bytes[a])} {written(self.bytes[b])}" for a, b in self.merges]
        saved.save(path, self.kind, vocab=self.vocab, special=list(self.special), merges=merges)

    @classmethod
    def load(cls, path):
        content = saved.read(path, cls.kind)
        merges = pairs(path, saved.strings(path, content, "merges"))
        made = cls(merges, checked_names(saved.strings(path, content, "special")))
        if content.get("vocab") != made.vocab:
            raise InputError(f'{path} is damaged: "vocab" is {content.get("vocab")} but there are '
                             f"{made.vocab} tokens: {saved.AGAIN}")
        return made

    @classmethod
    def gpt2(cls, path):
        """GPT-2's own tokenizer, 50,257 tokens, from its list of merges."""
        try:
            header, *lines = Path(path).read_bytes().decode("utf-8").rstrip("\n").split("\n")
        except OSError as error:
            raise InputError(f"cannot read GPT-2's merges {path}: {error.strerror}: get the file "
                             f"as the data set gpt2-merges") from None
        except UnicodeDecodeError:
            header, lines = "", []
        if not header.startswith("#version: 0.2") or len(lines) != 50_000:
            raise InputError(f"{path} is not GPT-2's whole list of merges: expected the line "
                             f"'#version: 0.2' and 50,000 merges; get the data set gpt2-merges")
        return cls(pairs(path, lines), ["<|endoftext|>"])


class Words(dict):
    """piece -> its tokens. Remembers the pieces it met, up to `most` of up to `longest` characters.

    Text repeats its words, so nearly every look-up is a hit; when full it forgets all and goes on.
    """

    most, longest = 2 ** 16, 64

    def __init__(self, ranks):
        self.ranks = ranks

    def __missing__(self, piece):
        tokens = apply(to_bytes(piece).translate(IDS), self.ranks)
        if len(piece) <= self.longest:
            if len(self) >= self.most:
                self.clear()
            self[piece] = tokens
        return tokens


def normal(text):
    """str or bytes as one str: what is not UTF-8 stands as a surrogate U+DC80 to U+DCFF a byte."""
    if isinstance(text, str):
        try:
            text.encode("utf-8")
            return text
        except UnicodeEncodeError:                          # has lone surrogates
            text = text.encode("utf-8", "surrogatepass")
    if not isinstance(text, bytes):
        raise InputError(f"expected text (str) or bytes, got {type(text).__name__}")
    return text.decode("utf-8", "surrogateescape")


def to_bytes(piece):
    """What `normal` made into a str, as bytes again."""
    return piece.encode("utf-8", "surrogateescape")
