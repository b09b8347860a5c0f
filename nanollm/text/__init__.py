"""Text as numbers, and back: tokenizers, each with the same few methods.

    tokenizer = Characters.train(text)   or   BytePairs.train(text, vocab=1000)
                                         or   Words.train(texts), which forgets spaces and case
    ids = tokenizer.encode(text)         text of any length  →  (T,) int64
    text = tokenizer.decode(ids)         decode_bytes, stream() for text as it is generated
    tokenizer.save(path); load(path)     one JSON file
    tokenizer.vocab, tokenizer.special   number of tokens; {name: id} of those that are not text

    pad(sequences)                       rows of different lengths as one array and their lengths
"""

from nanollm.errors import InputError
from nanollm.text import saved
from nanollm.text.byte_pairs import BytePairs
from nanollm.text.characters import Characters
from nanollm.text.cleaning import Cleaning
from nanollm.text.padding import pad
from nanollm.text.words import Words

KINDS = {cls.kind: cls for cls in (Characters, BytePairs)}          # those that lose nothing
READABLE = {**KINDS, Words.kind: Words}


def load(path):
    """The tokenizer that save() wrote to `path`, of whichever kind."""
    kind = saved.read(path).get("kind")
    if kind not in list(READABLE):                  # a list: kind may be anything JSON holds
        raise InputError(f"{path} holds a tokenizer of kind {kind!r}: expected one of "
                         f"{', '.join(READABLE)}")
    return READABLE[kind].load(path)
