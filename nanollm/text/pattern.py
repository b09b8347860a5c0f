"""GPT-2's pieces: text is cut into words, numbers, marks and spaces before bytes are paired.

No pair crosses a cut, so "dog", "dog." and "dog!" share one token for dog. A space goes with the
piece after it: " dog" is one piece.

Pattern     's 't 'm 'd 're 've 'll  |  ?letters  |  ?numbers  |  ?others  |  spaces
            in that order; a run of spaces leaves its last one to the piece that follows.

Letters are Unicode's \\p{L}, numbers \\p{N}, spaces White_Space: classes that Python's `re` lacks.
So every character outside ASCII is first replaced by an ASCII character of its class, the pattern
runs on this shadow of the text, and the cuts it finds are made in the text itself. What counts as
a letter is the Unicode version of the running Python: a letter that was added to Unicode later
falls among the others, and is cut differently, never lost.

Source      Radford et al. 2019, section 2.2; the pattern is the one in OpenAI's encoder.py
Used by     byte_pairs.py
"""

import re
import sys
from functools import cache
from itertools import accumulate, pairwise
from unicodedata import category

import numpy as np

PIECES = re.compile(r"'(?:[stmd]|re|ve|ll)"
                    r"| ?[A-Za-z]+"
                    r"| ?[0-9]+"
                    r"| ?[^\t-\r A-Za-z0-9]+"
                    r"|[\t-\r ]+(?![^\t-\r ])"                  # all of a run but its last one
                    r"|[\t-\r ]+")

SPACES = "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" \
         "\u2028\u2029\u202f\u205f\u3000"                       # White_Space outside ASCII


def pieces(text):
    """The pieces of `text`, in order; joined they are the text again."""
    if text.isascii():
        return PIECES.findall(text)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")     # (T,)
    shadow = shadows()[codes].tobytes().decode("ascii")                         # T characters
    cuts = accumulate(map(len, PIECES.findall(shadow)), initial=0)
    return [text[start:end] for start, end in pairwise(cuts)]


@cache
def shadows():
    """For each code point, the ASCII character that stands for it (1114112,) uint8."""
    classes = "".join(map(category, map(chr, range(sys.maxunicode + 1))))[::2]  # "L" of "Lu"
    table = np.full(len(classes), ord("!"), np.uint8)
    classes = np.frombuffer(classes.encode("ascii"), np.uint8)
    table[classes == ord("L")] = ord("a")
    table[classes == ord("N")] = ord("0")
    table[[ord(c) for c in SPACES]] = ord("\t")
    table[:128] = np.arange(128)
    return table
