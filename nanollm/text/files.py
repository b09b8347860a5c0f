"""A tokenizer is one JSON file, readable by people, written whole or not at all.

    {"format": "nanollm tokenizer", "kind": "characters", ...}
"""

import json
import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from nanollm.errors import InputError

FORMAT = "nanollm tokenizer"


@contextmanager
def replacing(path):
    """A temporary name beside `path`: renamed to it when the block ends, removed if it fails."""
    path = Path(path)
    part = path.with_name(f"{path.name}.{os.urandom(4).hex()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write(path, kind, **content):
    """Save a tokenizer's `content`. A lone surrogate, which UTF-8 lacks, becomes JSON's \\ud800."""
    content = json.dumps({"format": FORMAT, "kind": kind, **content}, ensure_ascii=False, indent=1)
    try:
        with replacing(path) as part:
            part.write_bytes(content.encode("utf-8", "backslashreplace") + b"\n")
    except OSError as error:
        raise InputError(f"cannot save the tokenizer as {path}: {error.strerror}: choose another "
                         f"place") from None


def read(path, kind=None):
    """The content of a saved tokenizer, of this `kind` if one is named."""
    try:
        content = json.loads(Path(path).read_bytes().decode("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the tokenizer {path}: {error.strerror}: expected a file "
                         f"that save() wrote") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not whole JSON (cut short or overwritten?): save or train "
                         f"the tokenizer again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a tokenizer: expected a JSON object with "
                         f'"format": "{FORMAT}", as save() writes it')
    if kind is not None and content.get("kind") != kind:
        raise InputError(f"{path} holds a tokenizer of kind {content.get('kind')!r}, expected "
                         f"{kind!r}: nanollm.text.load reads every kind")
    return content


def strings(path, content, key):
    """content[key], a list of distinct, non-empty strings."""
    found = content.get(key)
    if not isinstance(found, list) or not all(isinstance(s, str) and s for s in found):
        raise InputError(f'{path} is damaged: "{key}" must be a list of strings: save or train '
                         f"the tokenizer again")
    if len(set(found)) < len(found):
        twice, _ = Counter(found).most_common(1)[0]
        raise InputError(f'{path} is damaged: {twice!r} is twice in "{key}": save or train the '
                         f"tokenizer again")
    return found
