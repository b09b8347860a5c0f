"""Numbers as words in English, French and Chinese: a small translation task without end.

    number_words(42, "en")      "forty-two"; "fr": "quarante-deux"; "zh": "四十二"
    numbers(rng, 1000, source="digits", target="fr", longest=4, part="longer")

Every language builds a number the same way: groups of digits (three in English and French, four
in Chinese), each read as a number of its own and followed by its name. What differs:

English     American, without "and": one hundred one. A hyphen below 100: forty-two.
French      Spelling before 1990: hyphens only below 100, and none at "et": vingt et un, deux cent
            un. 70 and 90 go on counting from 60 and 80: soixante et onze, quatre-vingt-onze.
            "cent" and "quatre-vingt" take an s where they end the number or stand before a noun
            (million, milliard): deux cents millions, but deux cent mille. "mille" never changes,
            and has no "un" before it.
Chinese     零 once for each gap of zeros inside the number: 10 010 is 一万零一十. Zeros that end a
            group are not read: 101 000 is 十万一千, though 100 100 is 十万零一百. 一十 is 十 at the
            very start only: 十五, 一百一十五. Two is always 二: 两 is left to speech.

Source      the three grammars as they are taught; Lake & Baroni 2018 (arXiv 1711.00350) for a
            test part that is longer than anything learned from
"""

from nanollm.datasets.held_out import fold
from nanollm.errors import InputError

LIMIT = 10 ** 12
LANGUAGES = ("en", "fr", "zh")
FOLDS = 10                              # one number in so many is for validation

ENGLISH = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
           "fifteen sixteen seventeen eighteen nineteen").split()
ENGLISH_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
FRENCH = ("zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze "
          "seize dix-sept dix-huit dix-neuf").split()
FRENCH_TENS = ("_ _ vingt trente quarante cinquante soixante soixante quatre-vingt "
               "quatre-vingt").split()
CHINESE = "零一二三四五六七八九"


def numbers(rng, count, *, source="digits", target="en", longest=6, part="train"):
    """`count` pairs of texts, a number as `source` and as `target`: "digits", "en", "fr" or "zh".

    part        "train"         1 to `longest` digits, each length as likely as any other
                "validation"    the same, but the tenth of the numbers that is fold 0 by its sha256
                                (held_out.py); "train" has none of them
                "longer"        `longest` + 1 digits: a length never seen
    A number can come twice; rng is a numpy.random.Generator.
    """
    if part not in ("train", "validation", "longer"):
        raise InputError(f"part is {part!r}: expected 'train', 'validation' or 'longer'")
    if longest not in range(2, 12):
        raise InputError(f"longest is {longest!r}: expected 2 to 11 digits")
    pairs = []
    while len(pairs) < count:
        digits = longest + 1 if part == "longer" else int(rng.integers(longest)) + 1
        n = int(rng.integers(10 ** (digits - 1) if digits > 1 else 0, 10 ** digits))
        if part == "longer" or (part == "validation") == (fold(str(n), FOLDS) == 0):
            pairs.append((written(n, source), written(n, target)))
    return pairs


def written(n, form):
    """A number as digits or as words."""
    return str(n) if form == "digits" else number_words(n, form)


def number_words(n, language):
    """A whole number 0 ≤ n < 10**12 as words in "en", "fr" or "zh"."""
    if language not in LANGUAGES:
        raise InputError(f"language is {language!r}: expected one of {', '.join(LANGUAGES)}")
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 0 <= n < LIMIT:
        raise InputError(f"no words for {n!r}: expected a whole number from 0 to {LIMIT - 1:,}")
    return {"en": english, "fr": french, "zh": chinese}[language](int(n))


def groups(n, size):
    """The digits of n in groups of `size`, the last group first: 1234567 is 567, 234, 1."""
    found = []
    while n:
        n, group = divmod(n, 10 ** size)
        found.append(group)
    return found


def english(n):
    if n == 0:
        return ENGLISH[0]
    words = []
    for group, name in zip(groups(n, 3), ("", "thousand", "million", "billion")):
        if group:
            words[:0] = [*english_group(group), *name.split()]
    return " ".join(words)


def english_group(n):
    """The words of 1 to 999."""
    hundreds, rest = divmod(n, 100)
    words = [ENGLISH[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        tens, ones = divmod(rest, 10)
        words.append(ENGLISH_TENS[tens] + (f"-{ENGLISH[ones]}" if ones else ""))
    elif rest:
        words.append(ENGLISH[rest])
    return words


def french(n):
    if n == 0:
        return FRENCH[0]
    words = []
    for i, (group, name) in enumerate(zip(groups(n, 3), ("", "mille", "million", "milliard"))):
        if i >= 2 and group > 1:
            name += "s"                                 # a noun; mille is none
        if group:
            counted = [] if i == 1 and group == 1 else french_group(group, plural=i != 1)
            words[:0] = [*counted, *name.split()]
    return " ".join(words)


def french_group(n, plural):
    """The words of 1 to 999; plural: an s for a cent or quatre-vingt that ends them."""
    hundreds, rest = divmod(n, 100)
    words = [FRENCH[hundreds]] if hundreds > 1 else []
    if hundreds:
        words.append("cents" if plural and hundreds > 1 and not rest else "cent")
    if rest:
        words.append(french_below_100(rest, plural))
    return words


def french_below_100(n, plural):
    if n < 20:
        return FRENCH[n]
    tens, ones = divmod(n, 10)
    if tens in (7, 9):
        ones += 10                                      # soixante-dix, quatre-vingt-dix
    if n == 80:
        return "quatre-vingts" if plural else "quatre-vingt"
    if ones == 0:
        return FRENCH_TENS[tens]
    if ones in (1, 11) and tens < 8:
        return f"{FRENCH_TENS[tens]} et {FRENCH[ones]}"
    return f"{FRENCH_TENS[tens]}-{FRENCH[ones]}"


def chinese(n):
    if n == 0:
        return CHINESE[0]
    words, gap = "", False
    for group, name in reversed(list(zip(groups(n, 4), ("", "万", "亿")))):
        if group:
            if words and (gap or group < 1000):
                words += "零"
            words += chinese_group(group) + name
        gap = not group
    return words.removeprefix("一") if words.startswith("一十") else words


def chinese_group(n):
    """The words of 1 to 9999, with 一十 for 十."""
    words, gap = "", False
    for power, name in (1000, "千"), (100, "百"), (10, "十"), (1, ""):
        digit = n // power % 10
        if digit:
            words += ("零" if gap and words else "") + CHINESE[digit] + name
        gap = not digit
    return words
