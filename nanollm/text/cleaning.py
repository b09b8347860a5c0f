"""Cleaning: from text as it is found to a list of words, with everything else left out.

    Cleaning()("<p>Don't PANIC&nbsp;!</p>")             ["don't", "panic", "!"]
    Cleaning(punctuation=False, stop_words=["en"])("It is the end.")        ["end"]

In this order; each step can be left out, except the normal form and the cutting:

tags            HTML tags and comments become a space, scripts and styles whole, if they have an
                end; then entities become their characters: &lt;b&gt; is text about a tag, and
                stays. "a < b" is no tag
normal form     Unicode's NFKC: one way to write each character (é, not e and an accent), and one
                character for each meaning (full-width ａ is a, the ligature ﬁ is fi). Curly quotes
                become straight, invisible characters (soft hyphen, zero-width space) nothing
lower           the same word at the start of a sentence and within it
words           letters, with an apostrophe or a hyphen inside (don't, well-known); digits, with a
                point, comma or colon inside (3.14, 10:30); a Chinese character or a Japanese kana
                is a word of its own, since no space says where words end
punctuation     any other visible character: a word of its own each, or left out
stop_words      languages whose stop words (stop_words.py) are left out

Shapes      text  →  list of words
Source      Manning, Raghavan & Schütze 2008, "Introduction to Information Retrieval", section 2.2
Used by     words.py
"""

import re
from dataclasses import dataclass
from html import unescape
from unicodedata import normalize

from nanollm.errors import InputError
from nanollm.text.stop_words import LISTS

START = re.compile(r"<!--|<(?:script|style)\b|<[/!]?[a-z]", re.IGNORECASE)
TAG = re.compile(r"<[/!]?[a-z][^<>]*>", re.IGNORECASE)
ENDS = {start: re.compile(end, re.IGNORECASE) for start, end in (
    ("<!--", "-->"), ("<script", r"</script\s*>"), ("<style", r"</style\s*>"))}
NO_CHARACTER = re.compile(r"&#\d{1000,};?")     # with 4,301 digits html.unescape would fail
SIGNS = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "‐": "-", "‑": "-",
                       **dict.fromkeys("\u00ad\u200b\u2060\ufeff")})
ALONE = "々〇\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
MARKS = "\u0300-\u036f\u0900-\u0903\u093a-\u094f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u064b-\u065f"
LETTERS = rf"[^\W\d_{ALONE}](?:[^\W\d_{ALONE}]|[{MARKS}])*"
WORDS = re.compile(rf"{LETTERS}(?:['-]{LETTERS})*|\d+(?:[.,:]\d+)*|[{ALONE}]|\S")


@dataclass(frozen=True)
class Cleaning:
    """What is left out; a Cleaning is called with a text and returns its words."""

    tags: bool = True                   # take HTML tags out
    lower: bool = True
    punctuation: bool = True            # keep it, each sign as a word
    stop_words: tuple = ()              # of these languages: "en", "zh"

    def __post_init__(self):
        for name in ("tags", "lower", "punctuation"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is {getattr(self, name)!r}: expected True or False")
        chosen = self.stop_words
        if not isinstance(chosen, (tuple, list)) or not all(name in list(LISTS) for name in chosen):
            raise InputError(f"stop_words is {chosen!r}: expected a list of languages out of "
                             f"{', '.join(LISTS)}")
        object.__setattr__(self, "stop_words", tuple(chosen))

    def __call__(self, text):
        found = WORDS.findall(self.clean(text))
        if not self.punctuation:
            found = [word for word in found if word[0].isalnum() or word in "々〇"]
        if self.stop_words:
            stops = frozenset().union(*(LISTS[name] for name in self.stop_words))
            found = [word for word in found if word.lower() not in stops]
        return found

    def clean(self, text):
        """The text before it is cut into words, each run of spaces as one space."""
        if not isinstance(text, str):
            raise InputError(f"expected text (str), got {type(text).__name__}: decode it first")
        if self.tags:
            text = unescape(NO_CHARACTER.sub("\ufffd", without_tags(text)))
        text = normalize("NFKC", text).translate(SIGNS)
        if self.lower:
            text = normalize("NFKC", text.lower())
        return " ".join(text.split())


def without_tags(text):
    """The text with a space for each tag, and for each comment, script and style with its end.

    Where one has no end, no later one of its kind has: each end is missed once, in linear time.
    """
    kept, at, read, missing = [], 0, 0, set()
    while start := START.search(text, read):
        kind, end = start[0].lower(), None
        if kind in ENDS and kind not in missing:
            end = ENDS[kind].search(text, start.end())
            if end is None:
                missing.add(kind)
        end = end or TAG.match(text, start.start())
        read = (end or start).end()
        if end:
            kept.append(text[at:start.start()])
            at = read
    return " ".join([*kept, text[at:]])
