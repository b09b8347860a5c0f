"""Tokenizers: nothing is lost, the ids are the right ones, and bad input gets one clear line."""

import json
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import tqdm

from nanollm import datasets, text
from nanollm.errors import InputError
from nanollm.text import BytePairs, Characters
from nanollm.text.alphabet import IDS
from nanollm.text.merges import apply
from nanollm.text.pattern import pieces

WORDS = "the cat dog sat on a mat and then did not see what other dogs or cats had done".split()
WORDS += [a + b for a in ("un", "re", "lo", "kin", "pre") for b in ("mar", "tive", "ble", "ful")]
MARKS = random.Random(1).choices([" ", ", ", ".\n\n", " didn't ", " 12 "], [9, 1, 1, 1, 1], k=900)
ENGLISH = "".join(map("".join, zip(random.Random(0).choices(WORDS, k=900), MARKS)))
FRAGMENTS = ["'s", "'re", "don't", " ", "  ", "\n", "\t", "\r\n", "\xa0", "\u3000", "\x1c", "\x85",
             "1", "\u0663", "\xbd", "\u4e00", "e\u0301", "\U0001f600", "_", "-", "hello", " world",
             "\ud800", "\udc80", "\udcff", "\ud83d\ude00", "\x00", "\ufeff", "<|endoftext|>"]


def texts(count, seed=0):
    """Random text of every plane of Unicode, lone surrogates included."""
    rng = random.Random(seed)
    for _ in range(count):
        yield "".join(chr(rng.randrange(sys.maxunicode + 1)) if rng.random() < 0.4
                      else rng.choice(FRAGMENTS) for _ in range(rng.randrange(40)))


@pytest.fixture(scope="module")
def trained():
    return BytePairs.train(ENGLISH, 330, quiet=True)


@pytest.fixture(scope="module")
def gpt2():
    if datasets.details("gpt2-merges")["where"] == "to download":
        pytest.skip("GPT-2's merges are not here: NANOLLM_DATA may name a folder that has them")
    return BytePairs.gpt2(datasets.get("gpt2-merges"))


# characters

def test_characters_survive_a_round_trip():
    for t in texts(200):
        if t:
            made = Characters.train(t)
            assert made.decode(made.encode(t)) == t


def test_ids_of_characters_are_their_rank_by_code_point():
    made = Characters.train("banana\U0001f600")
    assert made.vocab == 4
    ids = made.encode("nab\U0001f600")
    assert ids.dtype == np.int64 and ids.tolist() == [2, 0, 1, 3]
    assert made.encode("").tolist() == [] and made.decode([]) == ""


@pytest.mark.parametrize("stranger", ["\x00", "é", "z", "\U0010ffff", "\ud800"])
def test_a_character_never_seen_is_named_with_its_position(stranger):
    with pytest.raises(InputError) as error:
        Characters.train("abcy").encode("aab" + stranger + "c" + stranger)
    assert repr(stranger) in str(error.value) and "position 3 " in str(error.value)


def test_characters_need_some_text_to_train_on():
    with pytest.raises(InputError, match="empty"):
        Characters.train("")
    with pytest.raises(InputError, match="bytes"):
        Characters.train(b"abc")


# the cuts

@pytest.mark.parametrize("given, cut", [
    ("Hello world", ["Hello", " world"]),
    ("it's 'S we'll", ["it", "'s", " '", "S", " we", "'ll"]),
    ("a  b   ", ["a", " ", " b", "   "]),
    ("x\n\n y", ["x", "\n\n", " y"]),
    ("a\n\nb", ["a", "\n", "\n", "b"]),
    ("ab12, 3.5!", ["ab", "12", ",", " 3", ".", "5", "!"]),
    ("naïve 你好。", ["naïve", " 你好", "。"]),
    ("x\u3000\u3000y", ["x", "\u3000", "\u3000", "y"]),
    ("a\x1cb", ["a", "\x1c", "b"]),                     # a space to Python, not to Unicode
    ("½٣Ⅷ1x", ["½٣Ⅷ1", "x"]),
    ("'é", ["'", "é"]),
    ("e\u0301", ["e", "\u0301"]),
])
def test_text_is_cut_as_gpt2_cuts_it(given, cut):
    assert pieces(given) == cut


def test_pieces_joined_are_the_text():
    for t in texts(300):
        assert "".join(pieces(t)) == t


def test_a_run_of_one_class_is_one_piece_in_every_plane():
    rng = random.Random(1)
    for code in rng.sample(range(128, sys.maxunicode + 1), 5000):
        c = chr(code)
        space = c in "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" or 0x2000 <= code <= 0x200a
        letter, number = (unicodedata.category(c)[0] == kind for kind in "LN")
        assert len(pieces(c + "b")) == (1 if letter else 2)
        assert len(pieces(c + "7")) == (1 if number else 2)
        assert len(pieces(c + "!")) == (2 if letter or number or space else 1)


# byte pairs

def test_any_bytes_survive_a_round_trip(trained):
    rng = random.Random(2)
    for _ in range(300):
        data = rng.randbytes(rng.randrange(60))
        assert trained.decode_bytes(trained.encode(data)) == data
    every = bytes(range(256))
    assert trained.decode_bytes(trained.encode(every)) == every


def test_any_text_survives_a_round_trip(trained):
    for t in texts(500):
        for special in False, True:
            ids = trained.encode(t, special=special)
            assert ids.dtype == np.int64 and ids.ndim == 1
            assert trained.decode(ids) == t


def test_text_and_its_bytes_have_the_same_ids(trained):
    for t in texts(300, seed=3):
        data = t.encode("utf-8", "surrogatepass")
        assert trained.encode(t).tolist() == trained.encode(data).tolist()


def test_bytes_that_are_no_text_decode_to_replacement_characters(trained):
    assert trained.decode(trained.encode(b"a\xffb\xe4\xbd")) == "a\ufffdb\ufffd"


def test_only_str_and_bytes_are_encoded(trained):
    with pytest.raises(InputError, match="int"):
        trained.encode(5)


def merges_by_counting_again(text, wanted):
    """Algorithm 1 of the paper, word for word: count all pairs, join the first, repeat."""
    words = [list(p.encode().translate(IDS)) for p in pieces(text)]
    merges = []
    for new in range(256, 256 + wanted):
        count = Counter(pair for word in words for pair in pairwise(word))
        pair = min(count, key=lambda pair: (-count[pair], pair))
        merges.append(pair)
        words = [joined(word, pair, new) for word in words]
    return merges


def joined(word, pair, new):
    out = []
    for token in word:
        if out and (out[-1], token) == pair:
            out[-1] = new
        else:
            out.append(token)
    return out


@pytest.mark.parametrize("seed", range(12))
def test_learning_gives_the_merges_of_counting_all_pairs_again(seed):
    rng = random.Random(seed)
    letters = "ab " if seed % 2 else "abcdeé你 "
    given = "".join(rng.choices(letters, k=400)) + "a" * rng.randrange(30)
    expected = merges_by_counting_again(given, 12)
    assert BytePairs.train(given, 268, special=(), quiet=True).merges == expected


def test_of_equally_frequent_pairs_the_smaller_ids_are_joined_first():
    made = BytePairs.train("zy zy\nba ba\nbc bc", 257 + 3, special=["."], quiet=True)
    assert [made.bytes[i] for i in range(256, 259)] == [b"ba", b"bc", b"zy"]


@pytest.mark.parametrize("seed", range(5))
def test_applying_merges_equals_doing_them_one_after_the_other(seed, trained):
    rng = random.Random(seed)
    for _ in range(200):
        word = "".join(rng.choices("thecatsdogn ", k=rng.randrange(40))).encode().translate(IDS)
        expected = list(word)
        for i, pair in enumerate(trained.merges):
            expected = joined(expected, pair, 256 + i)
        assert list(apply(word, trained.ranks)) == expected


def test_the_text_trained_on_takes_fewer_tokens_than_bytes(trained):
    assert len(trained.encode(ENGLISH)) < 0.5 * len(ENGLISH)


def test_no_token_crosses_a_cut(trained):
    for token in trained.bytes[256:-1]:
        assert len(pieces(token.decode())) == 1


def test_training_twice_gives_the_same_merges(trained):
    assert BytePairs.train(ENGLISH.encode(), 330, quiet=True).merges == trained.merges


def test_a_long_word_is_encoded_like_any_other(trained):
    word = "cat" * 50_000
    ids = trained.encode(word)
    assert trained.decode(ids) == word
    assert len(set(ids[10:-10].tolist())) <= 3          # a period of the word, not single bytes
    assert word not in trained.tokens                   # too long to be remembered


def test_what_is_remembered_is_bounded(trained, monkeypatch):
    given = " ".join(str(i) for i in range(3000))
    before = trained.encode(given).tolist()
    trained.tokens.clear()
    monkeypatch.setattr(trained.tokens, "most", 100)
    assert trained.encode(given).tolist() == before
    assert 0 < len(trained.tokens) <= 100


@pytest.mark.parametrize("vocab, special, message", [
    (200, (), "at least 256"), (256, ("<|endoftext|>",), "at least 257"),
    (5000, (), "at most"), (300, "<|end|>", "list of names"), (300, ("a", "a"), "once"),
    (300, ("",), "list of names"), (300, ("\ud800",), "surrogates"),
])
def test_training_that_cannot_be_is_refused(vocab, special, message):
    with pytest.raises(InputError, match=message):
        BytePairs.train(ENGLISH, vocab, special, quiet=True)


def test_the_vocabulary_that_a_short_text_allows_is_named():
    with pytest.raises(InputError) as error:
        BytePairs.train("abab abab", 1000, quiet=True)
    most = int(str(error.value).split()[-1])
    assert BytePairs.train("abab abab", most, quiet=True).vocab == most
    with pytest.raises(InputError):
        BytePairs.train("abab abab", most + 1, quiet=True)


def test_a_pair_that_occurs_once_is_not_joined():
    assert BytePairs.train("abc abd", 257, special=(), quiet=True).bytes[-1] == b"ab"
    with pytest.raises(InputError, match="at most 257"):
        BytePairs.train("abc abd", 258, special=(), quiet=True)


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_goes_to_stderr_unless_quiet(quiet, capsys, monkeypatch):
    bar = tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", lambda **settings: bar(**settings | {"delay": 0}))
    BytePairs.train(ENGLISH, 300, quiet=quiet)
    out, err = capsys.readouterr()
    assert out == "" and ("byte pairs" in err) == (not quiet)


# special tokens

def test_ordinary_text_never_becomes_a_special_token(trained):
    end = trained.special["<|endoftext|>"]
    assert end == trained.vocab - 1
    given = "cat<|endoftext|>dog<|endoftext|>"
    assert end not in trained.encode(given)
    assert trained.encode(given, special=True).tolist() == [
        *trained.encode("cat"), end, *trained.encode("dog"), end]


def test_the_longest_name_of_a_special_token_wins():
    made = BytePairs.train(ENGLISH, 300, ["<a>", "<a><b>", "<b>"], quiet=True)
    names = {id: name for name, id in made.special.items()}
    ids = made.encode("<a><b><a><a>x<b>", special=True)
    assert [names.get(i) for i in ids.tolist()] == ["<a><b>", "<a>", "<a>", None, "<b>"]


def test_names_of_special_tokens_are_not_learned_from():
    for more in "<|endoftext|>" * 500, "<|endoftext|>\n" * 500:
        made = BytePairs.train(ENGLISH + more, 300, quiet=True)
        assert not any(b"<" in token or b"endo" in token for token in made.bytes[256:-1])


# decoding

@pytest.mark.parametrize("ids, message", [
    ([0, 1, 330], "330 at position 2 .* 0 to 329"), ([-1], "-1 at position 0 "),
    ([0.5], "whole numbers"), ([[1, 2]], "one row"), (["a"], "whole numbers"),
])
def test_what_is_no_id_is_not_decoded(trained, ids, message):
    for decode in trained.decode, trained.decode_bytes:
        with pytest.raises(InputError, match=message):
            decode(ids)


def test_an_id_out_of_the_range_of_characters_is_named():
    with pytest.raises(InputError, match="3 at position 1 .* 0 to 2"):
        Characters.train("abc").decode([0, 3])


def test_a_stream_gives_the_text_that_decode_gives(trained):
    rng = random.Random(4)
    for t in texts(200):
        t = t.encode("utf-8", "replace").decode()
        for tokenizer in trained, Characters.train(t + "."):
            stream = tokenizer.stream()
            assert "".join(map(stream.feed, tokenizer.encode(t))) + stream.end() == t
    for _ in range(300):                                # ids of an untrained model: not even UTF-8
        ids = [rng.randrange(trained.vocab) for _ in range(30)]
        stream = trained.stream()
        streamed = "".join(map(stream.feed, ids)) + stream.end()
        assert streamed == trained.decode_bytes(ids).decode("utf-8", "replace")
        streamed.encode()                               # it can be printed


def test_a_stream_holds_back_a_character_until_it_is_whole(trained):
    ids = trained.encode("好").tolist()
    assert len(ids) == 3
    stream = trained.stream()
    assert [stream.feed(i) for i in ids] == ["", "", "好"]
    assert stream.end() == ""
    assert [stream.feed(i) for i in ids[:2]] == ["", ""]
    assert stream.end() == "\ufffd"


# files

def kinds():
    surrogates = "\ud83d\ude00ab\n\"\\\x00\u2028"
    return [(Characters.train(surrogates), surrogates),
            (BytePairs.train(ENGLISH, 320, ["<|end|>", "é"], quiet=True), ENGLISH + surrogates)]


def test_a_tokenizer_that_was_saved_and_loaded_gives_the_same_ids(tmp_path):
    for made, given in kinds():
        made.save(tmp_path / "tokenizer.json")
        for load in text.load, type(made).load:
            again = load(tmp_path / "tokenizer.json")
            assert type(again) is type(made)
            assert (again.vocab, again.special) == (made.vocab, made.special)
            assert again.encode(given).tolist() == made.encode(given).tolist()
            assert again.decode(range(again.vocab)) == made.decode(range(made.vocab))


def test_a_saved_tokenizer_can_be_read_by_people(tmp_path):
    path = tmp_path / "tokenizer.json"
    BytePairs.train("the the the the", 260, quiet=True).save(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.strip(' ",') for line in lines if "h" in line][-3:] == ["h e", "t he", "Ġ the"]


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    for made, _ in kinds():
        made.save(path)
        whole = path.read_bytes()
        for size in [0, 1, *range(5, len(whole) - 2, 97), len(whole) // 2, len(whole) - 2]:
            path.write_bytes(whole[:size])
            with pytest.raises(InputError, match="tokenizer.json"):
                text.load(path)


@pytest.mark.parametrize("changes, message", [
    ({"format": "gguf"}, "not a tokenizer"), ({"kind": "words"}, "words"), ({"kind": []}, "kind"),
    ({"vocab": 7}, "vocab"), ({"merges": None}, "merges"), ({"merges": ["Ġ t", 5]}, "merges"),
    ({"merges": ["th e"]}, "merge 1 is 'th e'"), ({"merges": ["t h", "t h"]}, "twice"),
    ({"merges": ["t"]}, "merge 1"), ({"special": ["a", "a"]}, "twice"), ({"special": "a"}, "list"),
])
def test_damaged_byte_pairs_are_refused(tmp_path, changes, message):
    path = tmp_path / "tokenizer.json"
    BytePairs.train(ENGLISH, 300, quiet=True).save(path)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes))
    with pytest.raises(InputError, match=message):
        text.load(path)


@pytest.mark.parametrize("found", [[], ["b", "a"], ["a", "bc"], ["a", ""], "ab", [1]])
def test_damaged_characters_are_refused(tmp_path, found):
    path = tmp_path / "tokenizer.json"
    Characters.train("ab").save(path)
    changed = json.loads(path.read_text(encoding="utf-8")) | {"characters": found}
    path.write_text(json.dumps(changed))
    with pytest.raises(InputError, match="characters"):
        text.load(path)


def test_one_kind_does_not_load_the_other(tmp_path):
    path = tmp_path / "tokenizer.json"
    Characters.train("ab").save(path)
    with pytest.raises(InputError, match="'characters', expected 'byte pairs'"):
        BytePairs.load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    for load in text.load, Characters.load, BytePairs.load, BytePairs.gpt2:
        with pytest.raises(InputError, match="nowhere.json"):
            load(tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="no-folder"):
        Characters.train("ab").save(tmp_path / "no-folder" / "tokenizer.json")


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    Characters.train("ab").save(path)

    def full(*paths):
        raise OSError(28, "disk full", *paths[:1], None, *paths[1:])

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match=r"disk full: '[^']*tokenizer\.json'\)"):
        Characters.train("abc").save(path)
    assert text.load(path).vocab == 2


# GPT-2

@pytest.mark.parametrize("given, ids", [                # as tiktoken and tokenizers give them
    ("Hello world", [15496, 995]),
    (" The quick brown fox jumps over the lazy dog",
     [383, 2068, 7586, 21831, 18045, 625, 262, 16931, 3290]),
    ("'s 're", [338, 705, 260]),
    ("I'm 22 years  old.\n\n\tIt's naïve, 你好 \U0001f600",
     [40, 1101, 2534, 812, 220, 1468, 13, 628, 197, 1026, 338, 41492, 11, 220, 19526, 254, 25001,
      121, 30325, 222]),
])
def test_gpt2_gives_the_ids_of_gpt2(gpt2, given, ids):
    assert gpt2.encode(given).tolist() == ids
    assert gpt2.decode(ids) == given


def test_gpt2_has_50257_tokens_the_last_of_which_ends_a_text(gpt2):
    assert gpt2.vocab == 50257
    assert gpt2.encode("a<|endoftext|>", special=True).tolist() == [64, 50256]
    assert len(set(gpt2.bytes)) == 50257


def test_every_token_of_gpt2_that_is_one_piece_is_encoded_as_itself(gpt2):
    tried = 0
    for id, token in enumerate(gpt2.bytes[:50256]):
        if token.isascii() and len(pieces(token.decode())) == 1:
            assert gpt2.encode(token).tolist() == [id]
            tried += 1
    assert tried > 40_000


def test_gpt2_survives_being_saved_and_loaded(gpt2, tmp_path):
    gpt2.save(tmp_path / "gpt2.json")
    again = text.load(tmp_path / "gpt2.json")
    assert again.merges == gpt2.merges and again.special == gpt2.special


@pytest.mark.parametrize("content", [
    b"", b"\xff", b"#version: 0.2\nt h\n", b"t h\n" * 50_001,
    b"#version: 0.2\n" + b"t h\n" * 50_000, b"#version: 0.2\n" + b"th e\n" * 50_000])
def test_a_list_of_merges_that_is_not_gpt2s_is_refused(tmp_path, content):
    (tmp_path / "vocab.bpe").write_bytes(content)
    with pytest.raises(InputError, match="vocab.bpe"):
        BytePairs.gpt2(tmp_path / "vocab.bpe")


# the package

def test_importing_text_and_data_loads_nothing_heavy():
    program = ("import sys, nanollm.text, nanollm.datasets\n"
               "heavy = {'numba', 'matplotlib', 'tqdm', 'urllib.request', 'ssl'}\n"
               "print(sorted(heavy & sys.modules.keys()))")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          check=True, cwd=datasets.fetch.CACHE.parents[1])
    assert done.stdout.strip() == "[]"
