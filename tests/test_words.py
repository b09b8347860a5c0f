"""Words: cleaning leaves out what it says and no more; ids are those of the words; rows are padded.
"""

import json
import re
import unicodedata

import numpy as np
import pytest

from nanollm import text
from nanollm.errors import InputError
from nanollm.text import Characters, Cleaning, Words, pad
from nanollm.text.cleaning import without_tags
from nanollm.text.stop_words import CHINESE, ENGLISH, LISTS

TEXTS = ["The cat sat.", "The dog sat", "the CAT", "a bird"]


# cleaning

@pytest.mark.parametrize("given, words", [
    ("", []), (" \n\t ", []), ("Hello, World!", ["hello", ",", "world", "!"]),
    ("don't DON’T rock'n'roll", ["don't", "don't", "rock'n'roll"]),
    ("well-known - co--op -x", ["well-known", "-", "co", "-", "-", "op", "-", "x"]),
    ("3.14 and 1,000 at 10:30.", ["3.14", "and", "1,000", "at", "10:30", "."]),
    ("<p class='x'>one<br/>two</p>three", ["one", "two", "three"]),
    ("a < b and b > c, 1<2", "a < b and b > c , 1 < 2".split()),
    ("x<!-- a <b> comment -->y", ["x", "y"]), ("<!DOCTYPE html>x", ["x"]),
    ("<script src=a>if (a<b) x()</script >y<STYLE>p {}</style>z", ["y", "z"]),
    ("a<!-- b <i>c</i>", ["a", "<", "!", "-", "-", "b", "c"]), ("a<script>b", ["a", "b"]),
    ("a<style b", ["a", "<", "style", "b"]), ("&#" + "9" * 5000 + ";", ["\ufffd"]),
    ("a &amp; b&nbsp;c &lt;b&gt; &eacute;", ["a", "&", "b", "c", "<", "b", ">", "é"]),
    ("cafe\u0301 CAFÉ", ["café", "café"]), ("ﬁne ａＢ", ["fine", "ab"]),
    ("soft\u00adhyphen zero\u200bwidth \ufeffmark", ["softhyphen", "zerowidth", "mark"]),
    ("“quoted”", ['"', "quoted", '"']), ("snake_case", ["snake", "_", "case"]),
    ("你好，world世界。", ["你", "好", ",", "world", "世", "界", "。"]),
    ("人々〇", ["人", "々", "〇"]), ("ab12 3d", ["ab", "12", "3", "d"]),
    ("カナ 한국어", ["カ", "ナ", "한국어"]), ("naïve हिन्दी", ["naïve", "हिन्दी"]),
    ("😀😀", ["😀", "😀"]), ("İ", [unicodedata.normalize("NFKC", "İ".lower())]),
    ("J\u030c", ["\u01f0"])])                                   # ǰ is one, its capital two
def test_text_is_cut_into_words(given, words):
    assert Cleaning()(given) == words


def test_tags_are_what_one_pattern_would_find_in_quadratic_time():
    pattern = re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>|</?[a-z][^<>]*>|<![a-z][^<>]*>",
                         re.IGNORECASE | re.DOTALL)
    rng, pieces = np.random.default_rng(0), (
        "< ! -- > <!-- --> <script script </SCRIPT <style> </style> a <b> </ \n <!D".split(" "))
    for _ in range(5000):
        given = "".join(rng.choice(pieces, rng.integers(1, 14)))
        assert without_tags(given) == pattern.sub(" ", given), given


@pytest.mark.parametrize("start", ["<!--", "<script>", "<style ", "</script ", "<a", "<"])
def test_starts_without_an_end_take_linear_time(start):
    """A minute or more each time the rest is read again for each start."""
    text = start * 100_000
    assert without_tags(text) == (" " * 100_000 if start == "<script>" else text)


def test_cut_words_joined_are_the_clean_text_without_its_spaces():
    for given in ("It's 3.14: a “test” of well-known CUTS, 你好 naïve 1,5x _ __ a-b-c- "
                  "'tis e\u0301 \U0001f600 ½ ²"), "".join(map(chr, range(33, 0x3000))):
        cleaning = Cleaning(tags=False)
        assert "".join(cleaning(given)) == cleaning.clean(given).replace(" ", "")


def test_each_step_can_be_left_out():
    given = "<b>The</b> End, 我的!"
    assert Cleaning(tags=False)(given)[:3] == ["<", "b", ">"]
    assert Cleaning(lower=False)(given) == ["The", "End", ",", "我", "的", "!"]
    assert Cleaning(punctuation=False)(given + " don't 3.5 〇") == [
        "the", "end", "我", "的", "don't", "3.5", "〇"]
    assert Cleaning(stop_words=["en"])(given) == ["end", ",", "我", "的", "!"]
    assert Cleaning(stop_words=["en", "zh"], punctuation=False)(given) == ["end"]
    assert Cleaning(stop_words=["en"], lower=False)("The END") == ["END"]


def test_every_stop_word_is_one_word_and_is_left_out():
    for name, words in LISTS.items():
        for word in words:
            assert Cleaning()(word) == [word]
            assert Cleaning(stop_words=[name])(word) == []
    assert 80 < len(ENGLISH) < 200 and 40 < len(CHINESE) < 100
    for word in "not", "no", "nor", "never", "good", "many":
        assert word not in ENGLISH
    for word in "不没无人大":
        assert word not in CHINESE


@pytest.mark.parametrize("settings, message", [
    ({"stop_words": ["fr"]}, "en, zh"), ({"stop_words": "en"}, "a list"),
    ({"stop_words": 1}, "list"), ({"stop_words": [[]]}, "list"),
    ({"lower": "yes"}, "lower is 'yes'")])
def test_settings_that_are_none_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Cleaning(**settings)


def test_only_text_is_cleaned():
    with pytest.raises(InputError, match="bytes"):
        Cleaning()(b"abc")


def test_what_has_no_words_is_refused():
    for given in 3, None, b"ab", ["a", 3], [""]:
        with pytest.raises(InputError, match="expected text, or a list of words, got"):
            Words.train([given])


# the vocabulary

def test_ids_go_by_frequency_then_by_the_alphabet():
    words = Words.train(TEXTS)
    assert words.words == ["<pad>", "<unknown>", "<start>", "<end>", "the", "cat", "sat", ".", "a",
                           "bird", "dog"]
    assert words.vocab == 11
    assert words.special == {"<pad>": 0, "<unknown>": 1, "<start>": 2, "<end>": 3}
    ids = words.encode("The bird sat", start=True, end=True)
    assert ids.dtype == np.int64 and ids.tolist() == [2, 4, 9, 6, 3]
    assert words.encode("").tolist() == [] and words.encode("").dtype == np.int64


def test_rare_words_are_unknown():
    assert Words.train(TEXTS, least=2).words[4:] == ["the", "cat", "sat"]
    assert Words.train(TEXTS, most=6).words[4:] == ["the", "cat"]
    words = Words.train(TEXTS, least=3)
    assert words.words[4:] == ["the"] and words.encode("the cat the").tolist() == [4, 1, 4]
    assert words.decode([4, 1, 4]) == "the <unknown> the"


def test_a_strict_encoding_names_the_unknown_word():
    words = Words.train(TEXTS)
    assert words.encode("the dog", strict=True).tolist() == [4, 10]
    with pytest.raises(InputError, match="'cow' at position 1 .* 11 "):
        words.encode("The COW sat on", strict=True)


def test_a_list_is_taken_as_it_is():
    words = Words.train([("AE", "B", "Z"), ["AE", "I_RUN", "two words"]])
    assert words.words[4:] == ["AE", "B", "I_RUN", "Z", "two words"]
    assert words.tokens(words.encode(["Z", "two words"])) == ["Z", "two words"]
    assert words.encode(["ae", "<pad>"]).tolist() == [1, 1]             # no word is a special token
    assert Words.train([list("ABBA")]).encode(list("BAB")).tolist() == [5, 4, 5]


def test_what_was_said_ends_at_the_first_end():
    words = Words.train(TEXTS)
    ids = words.encode("the cat sat", start=True, end=True)
    assert words.decode(ids) == "the cat sat"
    assert words.tokens([*ids, 4, 3, 0, 0]) == ["the", "cat", "sat"]
    assert words.tokens([0, 4, 0, 5]) == ["the", "cat"] and words.decode([]) == ""
    for bad in [11], [-1], [1.5], [[1]]:
        with pytest.raises(InputError):
            words.decode(bad)


def test_a_stream_says_what_decode_says():
    words = Words.train(TEXTS)
    for ids in [2, 4, 5, 6, 3, 4, 4], [4, 0, 1, 7], [3, 4], []:
        stream = words.stream()
        assert "".join([stream.feed(i) for i in ids] + [stream.end()]) == words.decode(ids)
        assert words.decode_bytes(ids).decode() == words.decode(ids)


@pytest.mark.parametrize("texts, settings, message", [
    ("one text", {}, "put it in a list"), ([], {}, "no word that occurs 1"),
    (["a b"], {"least": 2}, "no word that occurs 2"), (["a"], {"least": 0}, "least is 0"),
    (["a"], {"most": 4}, "most is 4"), ([["<end>"]], {}, "<end> is among the words"),
    ([[1, 2]], {}, "list of words"), ([["a", ""]], {}, "list of words")])
def test_texts_that_make_no_vocabulary_are_refused(texts, settings, message):
    with pytest.raises(InputError, match=message):
        Words.train(texts, **settings)


def test_a_saved_vocabulary_is_the_same_again(tmp_path):
    path = tmp_path / "words.json"
    made = Words.train([*TEXTS, "你好"], cleaning=Cleaning(stop_words=["en"], punctuation=False))
    made.save(path)
    for back in Words.load(path), text.load(path):
        assert back.words == made.words and back.cleaning == made.cleaning
        given = "The cat, 你!"
        assert back.encode(given).tolist() == made.encode(given).tolist()
    with pytest.raises(InputError, match="kind 'words'"):
        Characters.load(path)


@pytest.mark.parametrize("change", [
    {"words": []}, {"words": ["a", "a"]}, {"words": ["<pad>"]}, {"words": None}, {"cleaning": None},
    {"cleaning": {"size": 1}}, {"cleaning": {"lower": 3}}, {"cleaning": {"stop_words": ["xx"]}}])
def test_a_damaged_file_is_refused(tmp_path, change):
    path = tmp_path / "words.json"
    Words.train(TEXTS).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match="is damaged") as error:
        Words.load(path)
    assert "\n" not in str(error.value)


# padding

def test_rows_are_filled_to_the_longest():
    ids, lengths = pad([[5, 6, 7], np.array([8], np.uint16), (9, 9)])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0], [9, 9, 0]] and lengths.tolist() == [3, 1, 2]
    assert ids.dtype == lengths.dtype == np.int64
    ids, lengths = pad([[1], [2, 3]], value=-1, length=4)
    assert ids.tolist() == [[1, -1, -1, -1], [2, 3, -1, -1]] and lengths.tolist() == [1, 2]


@pytest.mark.parametrize("rows, length, message", [
    ([], None, "no sequence"), ([[1], []], None, "sequence 1 has shape"),
    ([[1, 2, 3]], 2, "sequence 0 has 3 tokens, more than the length 2"), ([[1]], 0, "length 0"),
    ([[0.5]], None, "float64"), ([[[1]]], None, r"\(1, 1\)"), (["ab"], None, "sequence 0")])
def test_rows_that_cannot_be_padded_are_refused(rows, length, message):
    with pytest.raises(InputError, match=message):
        pad(rows, length=length)
