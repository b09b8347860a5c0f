"""GPT-2's alphabet: every byte is one visible character, so that tokens can be read in a file.

Printable bytes are themselves, the other 68 are U+0100 onward: "Ġ" is the space, "Ċ" the newline.
Token ids 0 to 255 are the bytes in the order of this alphabet: "!" is 0, "Ġ" is 220.

Source      Radford et al. 2019; the order is that of OpenAI's encoder.json
Used by     byte_pairs.py
"""

from nanollm.errors import InputError

PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
BYTES = bytes(PRINTABLE + [b for b in range(256) if b not in PRINTABLE])        # id -> byte
IDS = bytes(BYTES.index(b) for b in range(256))                                 # byte -> id
ALPHABET = [chr(b) for b in PRINTABLE] + [chr(256 + i) for i in range(256 - len(PRINTABLE))]


def written(token):
    """The bytes of a token in the alphabet."""
    return "".join(ALPHABET[IDS[b]] for b in token)


def pairs(path, lines):
    """Merges as pairs of ids, from lines "left right" in the alphabet."""
    ids = {token: i for i, token in enumerate(ALPHABET)}
    merges = []
    for i, line in enumerate(lines):
        left, _, right = line.partition(" ")
        if left not in ids or right not in ids or left + right in ids:
            raise InputError(f"{path} is damaged: merge {i + 1} is {line!r}: expected two earlier "
                             f"tokens, and a join that is new")
        merges.append((ids[left], ids[right]))
        ids[left + right] = 256 + i
    return merges
