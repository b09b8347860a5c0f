"""A tokenizer is one JSON file that people can read.

    {"format": "nanollm tokenizer", "kind": "characters", ...}
"""

from collections import Counter

from nanollm.errors import InputError
from nanollm.files import read_json, write_json

FORMAT = "nanollm tokenizer"
AGAIN = "save or train the tokenizer again"


def save(path, kind, **content):
    """Write a tokenizer's content, whole or not at all."""
    try:
        write_json(path, {"format": FORMAT, "kind": kind, **content})
    except OSError as error:
        raise InputError(f"cannot save the tokenizer as {path} ({error}): choose another "
                         f"place") from None


def read(path, kind=None):
    """The content of a saved tokenizer, of this `kind` if one is named."""
    content = read_json(path)
    if content.get("format") != FORMAT:
        raise InputError(f'{path} is not a tokenizer: expected "format": "{FORMAT}", as save() '
                         f"writes it")
    if kind is not None and content.get("kind") != kind:
        raise InputError(f"{path} holds a tokenizer of kind {content.get('kind')!r}, expected "
                         f"{kind!r}: nanollm.text.load reads every kind")
    return content


def strings(path, content, key):
    """content[key], a list of distinct, non-empty strings."""
    found = content.get(key)
    if not isinstance(found, list) or not all(isinstance(s, str) and s for s in found):
        raise InputError(f'{path} is damaged: "{key}" must be a list of strings: {AGAIN}')
    if len(set(found)) < len(found):
        twice, _ = Counter(found).most_common(1)[0]
        raise InputError(f'{path} is damaged: {twice!r} is twice in "{key}": {AGAIN}')
    return found
