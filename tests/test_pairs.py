"""Data as plain Python: the published counts, no test example learned from, words and dates right.
"""

import random
import re
from collections import Counter
from datetime import date
from importlib import import_module

import numpy as np
import pytest

from nanollm import datasets
from nanollm.datasets import dates, number_words, numbers
from nanollm.datasets.held_out import fold, rank
from nanollm.errors import InputError


def needs(*names):
    """Skip the test where a data set is not on this machine."""
    for name in names:
        if datasets.details(name)["where"] == "to download":
            pytest.skip(f"{name} is not on this machine")


@pytest.fixture
def own(tmp_path):
    """Writes a text to a file and returns its path."""
    def write(content, name="own.txt"):
        (tmp_path / name).write_text(content, encoding="utf-8")
        return str(tmp_path / name)
    return write


# what is held out

def test_folds_never_change_and_are_of_the_same_size():
    assert [fold(s, 10) for s in ("", "a", "é", "你")] == [9, 9, 8, 0]
    sizes = Counter(fold(str(n), 10) for n in range(10_000))
    assert sorted(sizes) == list(range(10))
    assert all(abs(size - 1000) < 150 for size in sizes.values())       # 5 standard deviations


# registered data sets

def test_pronunciations_have_the_published_counts_and_parts_share_no_word():
    needs("cmudict-train", "cmudict-test")
    parts = datasets.pronunciations()
    assert [len(part) for part in parts] == [101_522, 5_315, 12_000]
    words = [word for part in parts for word, _ in part]
    assert len(set(words)) == len(words) == 118_837
    train, validation, test = parts
    assert sum(len(found) for _, found in train + validation) == 113_438
    assert sum(len(found) > 1 for _, found in train + validation) == 5_877
    assert sum(len(found) > 1 for _, found in test) == 673
    phonemes = {p for part in parts for _, found in part for sound in found for p in sound}
    assert len(phonemes) == 39 and all(re.fullmatch("[A-Z]{1,2}", p) for p in phonemes)
    assert len({letter for word in words for letter in word}) == 27
    assert dict(test)["ABS"] == [("AE", "B", "Z"), ("EY", "B", "IY", "EH", "S")]
    assert max(len(found) for part in parts for _, found in part) == 6
    assert all(len(set(found)) == len(found) for part in parts for _, found in part)


def test_lines_of_one_word_are_put_together(own):
    train = own("B\tB IY\nA\tAH\r\nB\tB\n", "train.txt")
    learn, validation, test = datasets.pronunciations(train, own("C\tS IY\tK\n"))
    assert sorted(learn + validation) == [("A", [("AH",)]), ("B", [("B", "IY"), ("B",)])]
    assert test == [("C", [("S", "IY"), ("K",)])]


def test_sentences_are_read_in_their_own_encoding_and_split_in_ten_folds():
    needs("rt-polarity")
    assert datasets.text("rt-polarity").count("cliché") == 43
    seen = []
    for f in range(10):
        train, test = datasets.sentiment(fold=f)
        assert len(train) + len(test) == 10_662 and len(test) in (1066, 1068)
        assert 2 * sum(label for _, label in test) == len(test)
        assert not {s for s, _ in train} & {s for s, _ in test}
        seen += test
    assert len(seen) == len(set(seen)) == 10_662
    train, test = datasets.sentiment()
    assert (len(train), len(test)) == (9594, 1068)
    assert train[0] == ("simplistic , silly and tedious .", 0) and train[-1][1] == 1
    first = min((s for s, label in train + test if label), key=rank)
    assert (first, 1) in test and test[0][0].startswith("all the more disquieting")


def test_scan_has_the_published_counts():
    needs("scan-train", "scan-test")
    train, test = datasets.scan()
    assert (len(train), len(test)) == (16_728, 4_182)
    assert not {command for command, _ in train} & {command for command, _ in test}
    assert train[1] == (("run", "opposite", "left", "after", "walk", "right"),
                        ("I_TURN_RIGHT", "I_WALK", "I_TURN_LEFT", "I_TURN_LEFT", "I_RUN"))
    assert len({word for command, _ in train for word in command}) == 13
    assert len({action for _, actions in train for action in actions}) == 6
    short, long = datasets.scan("length")
    assert (len(short), len(long)) == (16_990, 3_920)
    assert {len(actions) for _, actions in short} == set(range(1, 23))
    lengths = {len(actions) for _, actions in long}
    assert (min(lengths), max(lengths)) == (24, 48)
    assert sorted(short + long) == sorted(train + test)


def test_intents_have_the_published_counts():
    needs("clinc150")
    parts, labels = datasets.intents()
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 15_000, "validation": 3_000, "test": 4_500,
        "oos_train": 100, "oos_validation": 100, "oos_test": 1_000}
    assert len(labels) == 151 and labels[150] == "oos" and labels[:150] == sorted(set(labels[:150]))
    for name, each in ("train", 100), ("validation", 20), ("test", 30):
        assert Counter(label for _, label in parts[name]) == dict.fromkeys(range(150), each)
    assert {label for name in parts for _, label in parts[name] if name[:3] == "oos"} == {150}
    train = {sentence for sentence, _ in parts["train"]}
    assert [sum(s in train for s, _ in parts[name]) for name in ("validation", "test")] == [3, 2]
    sentence, label = parts["test"][0]
    assert sentence == "how would you say fly in italian" and labels[label] == "translate"


def test_names_are_a_list():
    needs("names")
    found = datasets.names()
    assert found[:3] == ["emma", "olivia", "ava"] and found[-1] == "zzyzx"
    assert len(found) == 32_033 and len(set(found)) == 29_494


@pytest.mark.parametrize("read, content, message", [
    (datasets.names, "emma\n\nava\n", "line 2 is ''"),
    (datasets.names, "emma\nava mia\n", "line 2 is 'ava mia'"),
    (lambda path: datasets.pronunciations(path, path), "A\tAH\nB B IY\n", "line 2 is 'B B IY'"),
    (lambda path: datasets.pronunciations(path, path), "A\tAH\t\n", "line 1"),
    (lambda path: datasets.pronunciations(path, path), "\tAH\n", "line 1"),
    (lambda path: datasets.scan("simple", path, path), "IN: run OUT: I_RUN\nrun\n", "line 2"),
    (lambda path: datasets.scan("simple", path, path), "IN: run OUT: \n", "line 1"),
    (lambda path: datasets.sentiment(0, path), "0 bad\n2 so so\n", "line 2 is '2 so so'"),
    (lambda path: datasets.sentiment(0, path), "1 \n", "line 1"),
    (lambda path: datasets.intents(path), "{", "no JSON"),
    (lambda path: datasets.intents(path), "[]", "lacks a part"),
    (lambda path: datasets.intents(path), '{"train": []}', "lacks a part"),
    (lambda path: datasets.intents(path),
     '{"train": [["hi", 5]], "val": [], "test": [], "oos_train": [], "oos_val": [], '
     '"oos_test": []}',
     "entry 0 of train"),
    (lambda path: datasets.intents(path),
     '{"train": [["hi", "x"]], "val": [["ho", "y"]], "test": [], "oos_train": [], "oos_val": [], '
     '"oos_test": []}', "intent 'y' of val"),
])
def test_a_broken_line_is_named(own, read, content, message):
    with pytest.raises(InputError, match=message) as error:
        read(own(content))
    assert "\n" not in str(error.value) and "own.txt" in str(error.value)


def test_settings_of_readers_that_are_none_are_refused():
    for f in -1, 10, "0":
        with pytest.raises(InputError, match="expected 0 to 9"):
            datasets.sentiment(fold=f)
    with pytest.raises(InputError, match="'simple' or 'length'"):
        datasets.scan("jump")


# numbers as words: read back by a strict grammar

KNOWN = [
    (0, "zero", "zéro", "零"), (10, "ten", "dix", "十"), (15, "fifteen", "quinze", "十五"),
    (20, "twenty", "vingt", "二十"), (21, "twenty-one", "vingt et un", "二十一"),
    (42, "forty-two", "quarante-deux", "四十二"), (70, "seventy", "soixante-dix", "七十"),
    (71, "seventy-one", "soixante et onze", "七十一"),
    (77, "seventy-seven", "soixante-dix-sept", "七十七"),
    (80, "eighty", "quatre-vingts", "八十"), (81, "eighty-one", "quatre-vingt-un", "八十一"),
    (90, "ninety", "quatre-vingt-dix", "九十"), (91, "ninety-one", "quatre-vingt-onze", "九十一"),
    (100, "one hundred", "cent", "一百"), (101, "one hundred one", "cent un", "一百零一"),
    (110, "one hundred ten", "cent dix", "一百一十"), (200, "two hundred", "deux cents", "二百"),
    (201, "two hundred one", "deux cent un", "二百零一"),
    (280, "two hundred eighty", "deux cent quatre-vingts", "二百八十"),
    (1000, "one thousand", "mille", "一千"), (1001, "one thousand one", "mille un", "一千零一"),
    (1010, "one thousand ten", "mille dix", "一千零一十"),
    (2022, "two thousand twenty-two", "deux mille vingt-deux", "二千零二十二"),
    (10_010, "ten thousand ten", "dix mille dix", "一万零一十"),
    (21_000, "twenty-one thousand", "vingt et un mille", "二万一千"),
    (80_000, "eighty thousand", "quatre-vingt mille", "八万"),
    (101_000, "one hundred one thousand", "cent un mille", "十万一千"),
    (100_100, "one hundred thousand one hundred", "cent mille cent", "十万零一百"),
    (105_000, "one hundred five thousand", "cent cinq mille", "十万五千"),
    (110_000, "one hundred ten thousand", "cent dix mille", "十一万"),
    (200_000, "two hundred thousand", "deux cent mille", "二十万"),
    (1_000_000, "one million", "un million", "一百万"),
    (1_000_001, "one million one", "un million un", "一百万零一"),
    (10_010_000, "ten million ten thousand", "dix millions dix mille", "一千零一万"),
    (80_000_000, "eighty million", "quatre-vingts millions", "八千万"),
    (100_000_000, "one hundred million", "cent millions", "一亿"),
    (100_005_000, "one hundred million five thousand", "cent millions cinq mille", "一亿零五千"),
    (200_000_000, "two hundred million", "deux cents millions", "二亿"),
    (1_000_000_000, "one billion", "un milliard", "十亿"),
    (1_001_001_000, "one billion one million one thousand", "un milliard un million mille",
     "十亿零一百万一千"),
    (999_999_999_999,
     "nine hundred ninety-nine billion nine hundred ninety-nine million nine hundred ninety-nine "
     "thousand nine hundred ninety-nine",
     "neuf cent quatre-vingt-dix-neuf milliards neuf cent quatre-vingt-dix-neuf millions neuf cent "
     "quatre-vingt-dix-neuf mille neuf cent quatre-vingt-dix-neuf",
     "九千九百九十九亿九千九百九十九万九千九百九十九"),
]

EN_ONES = dict(zip("one two three four five six seven eight nine".split(), range(1, 10)))
EN_TEENS = dict(zip("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
                    "nineteen".split(), range(10, 20)))
EN_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(),
                   range(20, 100, 10)))

FR_UNITS = "un deux trois quatre cinq six sept huit neuf".split()
FR_TEENS = "dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf".split()
FR = dict(zip(FR_UNITS + FR_TEENS, range(1, 20)))
for ten, tens in enumerate("vingt trente quarante cinquante soixante".split(), start=2):
    FR |= {tens: 10 * ten, f"{tens} et un": 10 * ten + 1}
    FR |= {f"{tens}-{unit}": 10 * ten + i for i, unit in enumerate(FR_UNITS[1:], start=2)}
FR |= {f"soixante-{teen}": 70 + i for i, teen in enumerate(FR_TEENS) if i != 1}
FR |= {"soixante et onze": 71, "quatre-vingts": 80}
FR |= {f"quatre-vingt-{unit}": 80 + i for i, unit in enumerate(FR_UNITS + FR_TEENS, start=1)}


def english_value(words):
    if words == "zero":
        return 0
    total, rest = 0, words.split(" ")
    for name, size in ("billion", 10 ** 9), ("million", 10 ** 6), ("thousand", 1000):
        if name in rest:
            at = rest.index(name)
            total, rest = total + size * english_group(rest[:at]), rest[at + 1:]
    return total + (english_group(rest) if rest else 0)


def english_group(words):
    total = 0
    if words[1:2] == ["hundred"]:
        total, words = 100 * EN_ONES[words[0]], words[2:]
        if not words:
            return total
    (word,) = words
    tens, hyphen, ones = word.partition("-")
    return total + (EN_TENS[tens] + EN_ONES[ones] if hyphen else
                    (EN_ONES | EN_TEENS | EN_TENS)[word])


def french_value(words):
    if words == "zéro":
        return 0
    total = 0
    for noun, size in ("milliard", 10 ** 9), ("million", 10 ** 6):
        head, name, tail = re.fullmatch(rf"(?:(.*?) ({noun}s?)(?: |$))?(.*)", words).groups()
        if name:
            count = french_group(head, final=True)
            assert (name == noun) == (count == 1)
            total, words = total + size * count, tail
    words = f" {words}" if words else ""
    head, thousand, tail = re.fullmatch(r"(?:(| .*?)( mille))?( .*|)", words).groups()
    if thousand:
        count = french_group(head[1:], final=False) if head else 1
        assert not head or count > 1
        total += 1000 * count
    return total + (french_group(tail[1:], final=True) if tail else 0)


def french_group(words, final):
    """final: cents and quatre-vingts have their s, where nothing follows."""
    if not final:
        assert not words.endswith(("cents", "vingts"))
        words = re.sub(r"quatre-vingt$", "quatre-vingts", words)
        words = re.sub(r" cent$", " cents", words)
    if words in FR:
        return FR[words]
    if words == "cent":
        return 100
    if words.endswith(" cents"):
        count = FR[words.removesuffix(" cents")]
        assert 2 <= count <= 9
        return 100 * count
    count, tail = re.fullmatch(r"(?:(\w+) )?cent (.+)", words).groups()
    assert count is None or 2 <= FR[count] <= 9
    return 100 * FR.get(count, 1) + FR[tail]


def chinese_value(words):
    if words == "零":
        return 0
    words = "一" + words if words[0] == "十" else words
    (high, middle, low) = re.fullmatch(r"(?:(.+)亿)?(?:([^亿]+)万)?([^亿万]*)", words).groups()
    return (10 ** 8 * chinese_group(high or "") + 10 ** 4 * chinese_group(middle or "")
            + chinese_group(low))


def chinese_group(words):
    pattern = "(?:零?(.)千)?(?:零?(.)百)?(?:零?(.)十)?(?:零?([^千百十]))?"
    digits = re.fullmatch(pattern, words).groups()
    return int("".join(str("零一二三四五六七八九".index(d)) if d else "0" for d in digits))


def gaps(n):
    """How often 零 must be said: runs of zeros inside n, unless a run only ends a group."""
    digits = str(n)
    found = 0
    for run in re.finditer(r"0+(?=[1-9])", digits):
        place = len(digits) - run.end() - 1                 # of the digit after the run
        found += place % 4 != 3 or len(run[0]) >= 4
    return found


VALUES = {"en": english_value, "fr": french_value, "zh": chinese_value}
MANY = [*range(10_000), *(10 ** k + d for k in range(4, 12) for d in (-1, 0, 1, 10, 1000)),
        *(random.Random(0).randrange(10 ** random.Random(i).randrange(5, 13)) for i in range(500)),
        *(int("".join(random.Random(i).choices("0001", k=12))) for i in range(1500))]


@pytest.mark.parametrize("n, english, french, chinese", KNOWN)
def test_known_numbers_have_their_words(n, english, french, chinese):
    assert [number_words(n, language) for language in ("en", "fr", "zh")] == [
        english, french, chinese]


@pytest.mark.parametrize("language", VALUES)
def test_words_are_read_back_as_their_number(language):
    for n in MANY:
        words = number_words(n, language)
        assert VALUES[language](words) == n, words
    assert len({number_words(n, language) for n in range(10_000)}) == 10_000


def test_chinese_zeros_are_said_once_a_gap():
    for n in filter(None, MANY):
        words = number_words(n, "zh")
        assert words.count("零") == gaps(n), (n, words)
        assert "零零" not in words and words[-1] != "零"
        assert "两" not in words and words[:2] != "一十"


@pytest.mark.parametrize("n, language, message", [
    (-1, "en", "no words for -1"), (10 ** 12, "zh", "expected a whole number"), (1.0, "fr", "1.0"),
    ("7", "en", "'7'"), (True, "en", "True"), (7, "de", "en, fr, zh"), (7, "digits", "en, fr, zh")])
def test_what_has_no_words_is_refused(n, language, message):
    with pytest.raises(InputError, match=message):
        number_words(n, language)


def test_a_number_of_numpy_has_words():
    assert number_words(np.int64(42), "fr") == "quarante-deux"


def test_parts_of_the_numbers_share_none_and_lengths_are_those_stated():
    parts = {part: numbers(np.random.default_rng(0), 3000, longest=4, part=part)
             for part in ("train", "validation", "longer")}
    seen = {part: {digits for digits, _ in pairs} for part, pairs in parts.items()}
    assert {len(digits) for digits in seen["train"]} == {1, 2, 3, 4}
    assert {len(digits) for digits in seen["validation"]} <= {1, 2, 3, 4}
    assert {len(digits) for digits in seen["longer"]} == {5}
    assert not seen["train"] & seen["validation"] and len(seen["validation"]) > 500
    for pairs in parts.values():
        assert len(pairs) == 3000
        assert all(words == number_words(int(digits), "en") for digits, words in pairs)
    lengths = Counter(len(digits) for digits, _ in parts["train"])
    assert all(650 < lengths[k] < 850 for k in (1, 2, 3, 4))


@pytest.mark.parametrize("source", ["digits", "en", "fr", "zh"])
def test_numbers_go_from_every_form_to_every_other(source):
    for target in "digits", "en", "fr", "zh":
        pairs = numbers(np.random.default_rng(1), 20, source=source, target=target)
        assert pairs == numbers(np.random.default_rng(1), 20, source=source, target=target)
        read = {"digits": int, **VALUES}
        assert all(read[source](a) == read[target](b) for a, b in pairs)


def test_the_shortest_numbers_have_a_validation_part():
    found = numbers(np.random.default_rng(0), 100, longest=2, part="validation")
    assert len(found) == 100 and all(fold(digits, 10) == 0 for digits, _ in found)


@pytest.mark.parametrize("settings, message", [
    ({"part": "test"}, "part is 'test'"), ({"longest": 1}, "2 to 11"), ({"longest": 12}, "2 to 11"),
    ({"source": "de"}, "language is 'de'")])
def test_settings_of_numbers_that_are_none_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        numbers(np.random.default_rng(0), 1, **settings)


# dates: read back by other means

PAGE = import_module("nanollm.datasets.dates")         # the name `dates` is the function

MONTHS = {name: i for names in (
    "January February March April May June July August September October November December",
    "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre")
    for i, name in enumerate(names.split(), start=1)}
WEEKDAYS = {name: i for names in ("Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
                                  "lundi mardi mercredi jeudi vendredi samedi dimanche",
                                  "星期一 星期二 星期三 星期四 星期五 星期六 星期日")
            for i, name in enumerate(names.split())}


def date_value(written):
    """The date that a text means; its weekday must be the right one."""
    if re.fullmatch(r"\d{8}", written):
        return date(int(written[:4]), int(written[4:6]), int(written[6:]))
    if match := re.match(r"(.{4})年(.+)月(.+?)[日号](星期.)?$", written):
        year, month, day, weekday = match.groups()
        if not year.isdigit():
            year = "".join(str("〇一二三四五六七八九".index(c)) for c in year)
            month, day = chinese_value(month), chinese_value(day)
        found = date(int(year), int(month), int(day))
        assert weekday is None or WEEKDAYS[weekday] == found.weekday()
        return found
    words = re.findall(r"\d+|[^\W\d]+", written)
    year = int(next(word for word in words if re.fullmatch(r"\d{4}", word)))
    small = [int(word) for word in words if re.fullmatch(r"\d{1,2}", word)]
    months = [MONTHS[word] for word in words if word in MONTHS]
    if not months:                                          # numbers only: day first, or year first
        months, small = [small[0 if words[0] == str(year) else 1]], \
            [small[1 if words[0] == str(year) else 0]]
    found = date(year, *months, *small)
    for word in words:
        assert WEEKDAYS.get(word, found.weekday()) == found.weekday()
    return found


def test_dates_are_read_back():
    pairs = dates(np.random.default_rng(0), 5000)
    assert len(pairs) == 5000
    for written, iso in pairs:
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", iso) and "1900" <= iso[:4] <= "2099"
        assert date_value(written).isoformat() == iso, written
    shapes = {re.sub(r"\d+", "1", re.sub(r"[^\W\d]+", "a", written)) for written, _ in pairs}
    assert len(shapes) > 15


@pytest.mark.parametrize("language, day, written", [
    ("numbers", date(2021, 3, 4), {"4/3/2021", "04/03/2021", "4.3.2021", "04-03-2021", "2021/3/4",
                                   "2021.03.04", "20210304"}),
    ("en", date(2021, 3, 3), {
        "3 March 2021", "3 Mar 2021", "March 3, 2021", "Mar 3, 2021", "March 3rd, 2021",
        "the 3rd of March 2021", "Wednesday, March 3, 2021", "Wednesday 3 Mar 2021", "3-Mar-2021"}),
    ("fr", date(2021, 8, 1), {"1er août 2021", "le 1er août 2021", "dimanche 1er août 2021",
                              "le dimanche 1er août 2021"}),
    ("zh", date(2010, 12, 21), {"2010年12月21日", "二〇一〇年十二月二十一日",
                                "2010年12月21日星期二", "2010年12月21号"})])
def test_each_language_has_its_forms(language, day, written):
    assert {form.format(**PAGE.fields(day)) for form in PAGE.FORMS[language]} == written


@pytest.mark.parametrize("d, ending", [(1, "st"), (2, "nd"), (3, "rd"), (4, "th"), (11, "th"),
                                       (12, "th"), (13, "th"), (21, "st"), (22, "nd"), (23, "rd"),
                                       (30, "th"), (31, "st")])
def test_english_days_have_their_endings(d, ending):
    assert PAGE.fields(date(2021, 1, d))["th"] == ending


def test_train_and_test_share_no_date():
    years = set(map(str, range(2020, 2025)))
    train, test = ({iso for _, iso in dates(np.random.default_rng(0), 4000, years=(2020, 2024),
                                            part=part)} for part in ("train", "test"))
    assert not train & test and len(train) > 1300 and 100 < len(test) < 260
    assert {iso[:4] for iso in train} == {iso[:4] for iso in test} == years


@pytest.mark.parametrize("settings, message", [
    ({"part": "longer"}, "'train' or 'test'"), ({"languages": "en"}, "expected a list"),
    ({"languages": []}, "expected a list"), ({"languages": ["de"]}, "expected a list"),
    ({"years": (2000, 1999)}, "first and last"), ({"years": (999, 2000)}, "between 1000 and 9998")])
def test_settings_of_dates_that_are_none_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        dates(np.random.default_rng(0), 1, **settings)
