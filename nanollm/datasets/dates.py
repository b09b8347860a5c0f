"""Dates as people write them, to ISO form: a task of rewriting, in three languages, without end.

    dates(rng, 1000)        [("March 3rd, 2021", "2021-03-03"), ("le 3 mars 2021", ...), ...]

Years have four digits. With numbers only, a date begins with its day or with its year, never with
its month: 03/04/2021 is in April. A weekday that is written is the right one.

Source      the task of Bahdanau et al. 2015 (arXiv 1409.0473) in small: which part of the input is
            looked at can be seen in the attention
"""

from datetime import date

from nanollm.datasets.held_out import fold
from nanollm.datasets.spoken import CHINESE, chinese
from nanollm.errors import InputError

FOLDS = 10                              # one date in so many is for the test

EN_MONTHS = ("January February March April May June July August September October November "
             "December").split()
EN_SHORT = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
EN_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
FR_MONTHS = ("janvier février mars avril mai juin juillet août septembre octobre novembre "
             "décembre").split()
FR_WEEKDAYS = "lundi mardi mercredi jeudi vendredi samedi dimanche".split()
ZH_WEEKDAYS = "一二三四五六日"

FORMS = {
    "numbers": ["{d}/{m}/{y}", "{d:02}/{m:02}/{y}", "{d}.{m}.{y}", "{d:02}-{m:02}-{y}",
                "{y}/{m}/{d}", "{y}.{m:02}.{d:02}", "{y}{m:02}{d:02}"],
    "en": ["{d} {en} {y}", "{d} {en_short} {y}", "{en} {d}, {y}", "{en_short} {d}, {y}",
           "{en} {d}{th}, {y}", "the {d}{th} of {en} {y}", "{en_day}, {en} {d}, {y}",
           "{en_day} {d} {en_short} {y}", "{d}-{en_short}-{y}"],
    "fr": ["{fr_d} {fr} {y}", "le {fr_d} {fr} {y}", "{fr_day} {fr_d} {fr} {y}",
           "le {fr_day} {fr_d} {fr} {y}"],
    "zh": ["{y}年{m}月{d}日", "{zh_y}年{zh_m}月{zh_d}日", "{y}年{m}月{d}日星期{zh_day}",
           "{y}年{m}月{d}号"],
}


def dates(rng, count, *, languages=("numbers", "en", "fr", "zh"), years=(1900, 2099), part="train"):
    """`count` pairs of texts: a date in one of the forms of `languages`, and in ISO form.

    years       the first and the last; each day of them is as likely as any other
    part        "test": the tenth of all days that is fold 0 by its sha256 (held_out.py); "train":
                the others, so that no day is in both
    A pair can come twice; rng is a numpy.random.Generator.
    """
    if part not in ("train", "test"):
        raise InputError(f"part is {part!r}: expected 'train' or 'test'")
    unknown = [name for name in languages if name not in FORMS]
    if isinstance(languages, str) or unknown or not languages:
        raise InputError(f"languages is {languages!r}: expected a list of {', '.join(FORMS)}")
    first, last = years
    if not 1000 <= first <= last <= 9998:
        raise InputError(f"years is {years}: expected first and last, between 1000 and 9998")
    forms = [form for name in languages for form in FORMS[name]]
    start, end = date(first, 1, 1).toordinal(), date(last + 1, 1, 1).toordinal()
    pairs = []
    while len(pairs) < count:
        day = date.fromordinal(int(rng.integers(start, end)))
        if (part == "test") == (fold(day.isoformat(), FOLDS) == 0):
            form = forms[int(rng.integers(len(forms)))]
            pairs.append((form.format(**fields(day)), day.isoformat()))
    return pairs


def fields(day):
    """All that the forms speak of, by name."""
    m, d, weekday = day.month, day.day, day.weekday()
    return {
        "y": day.year, "m": m, "d": d,
        "en": EN_MONTHS[m - 1], "en_short": EN_SHORT[m - 1], "en_day": EN_WEEKDAYS[weekday],
        "th": "th" if d in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(d % 10, "th"),
        "fr": FR_MONTHS[m - 1], "fr_d": "1er" if d == 1 else d, "fr_day": FR_WEEKDAYS[weekday],
        "zh_y": "".join(CHINESE[int(digit)] for digit in str(day.year)).replace("零", "〇"),
        "zh_m": chinese(m), "zh_d": chinese(d), "zh_day": ZH_WEEKDAYS[weekday],
    }
