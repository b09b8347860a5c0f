"""Special tokens: signs between texts, such as <|endoftext|>, that are no text themselves."""

import re

from nanollm.errors import InputError


def cut(text, names):
    """`text` cut at the names of special tokens: text, name, text, ..., name, text."""
    if not names:
        return [text]
    longest_first = sorted(names, key=len, reverse=True)
    return re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text)


def checked_names(names):
    """The names of special tokens as a list, if they can be told apart and written as UTF-8."""
    found = list(names)
    if isinstance(names, str) or not all(isinstance(s, str) and s for s in found):
        raise InputError(f"special tokens are {names!r}: expected a list of names")
    if len(set(found)) < len(found):
        raise InputError(f"special tokens are {names!r}: expected each name once")
    if any("\ud800" <= c <= "\udfff" for c in "".join(found)):
        raise InputError(f"special tokens are {names!r}: expected names without lone surrogates")
    return found
