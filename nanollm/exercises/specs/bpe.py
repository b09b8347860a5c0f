"""Byte-pair encoding: learn merges, encode, decode."""

from types import SimpleNamespace

from nanollm.exercises.spec import Exercise, Wrong, call
from nanollm.text import merges as fast

TEXT = "she sells sea shells by the sea shore the shells she sells are sea shells i am sure"


def words_of(text):
    """{row of bytes: how often} of a text's words."""
    words = {}
    for word in text.encode().split():
        words[tuple(word)] = words.get(tuple(word), 0) + 1
    return words


def learned(student, words, wanted, first):
    """The merges that the student learns, from a copy: `words` stays as it is."""
    return list(map(tuple, call(student.learn, dict(words), wanted, first)))


def merges_of(words, wanted, first):
    return fast.learn(words, wanted, first, SimpleNamespace(update=lambda: None))


def check_count(student):
    "pairs are counted, each as often as its word occurs"
    words = {(1, 2, 1, 2): 3, (2, 1): 5}
    given, want = dict(words), {(1, 2): 6, (2, 1): 8}
    got = dict(call(student.count, given))
    if given != words:
        raise Wrong("count changed the `words` it was given", tried={"words": words},
                    got=f"{given} after it", expected="the same words as before",
                    likely="pop, popitem, del and clear write into the caller's dict: walk over "
                           "words.items()")
    if got == {(1, 2): 2, (2, 1): 2}:
        raise Wrong("each word is counted once, however often it occurs", tried={"words": words},
                    got=str(got), expected=str(want), likely="add `times`, not 1")
    if got != want:
        raise Wrong("the counts of the pairs are wrong", tried={"words": words}, got=str(got),
                    expected=str(want), likely="pairs of neighbors, in order: (1, 2) is not (2, 1)")


def check_join(student):
    "a pair is joined, leftmost first, without overlap"
    for word, pair, want in (((1, 2, 3, 1, 2), (1, 2), (9, 3, 9)), ((7, 7, 7), (7, 7), (9, 7)),
                             ((7, 7, 7, 7), (7, 7), (9, 9)), ((2, 1), (1, 2), (2, 1)),
                             ((1,), (1, 1), (1,))):
        got = call(student.join, word, pair, 9)
        if isinstance(got, list) and tuple(got) == want:
            raise Wrong("join returns a list", tried={"word": word, "pair": pair, "new": 9},
                        got=str(got), expected=str(want),
                        likely="words are keys of a dict, and a list cannot be one: "
                               "return tuple(...)")
        if tuple(got) != want:
            likely = "of overlapping pairs the left one is joined, and its two ids are gone then"
            raise Wrong("join gives the wrong ids", tried={"word": word, "pair": pair, "new": 9},
                        got=str(tuple(got)), expected=str(want),
                        likely=likely if pair == (7, 7) else "every pair, and nothing but the pair")


def check_order(student):
    "equal counts: the smaller ids first"
    for words in {(5, 6): 2, (3, 4): 2}, {(3, 6): 2, (3, 4): 2}:
        got, want = learned(student, words, 2, 10), sorted(words)
        if len(set(got)) < len(got):
            raise Wrong("the same pair is learned twice", tried={"words": words}, got=str(got),
                        expected=str(want), likely="after a merge the words hold the new token: "
                                              "count on the joined words")
        if len(got) < len(want):
            raise Wrong("too few pairs are learned",
                        tried={"words": words, "wanted": 2, "first": 10}, got=str(got),
                        expected=str(want),
                        likely="go on until there are `wanted` of them, and append each pair")
        if got != want:
            raise Wrong("of pairs that occur equally often the wrong one is joined first",
                        tried={"words": words, "wanted": 2, "first": 10}, got=str(got),
                        expected=str(want),
                        likely="a tie goes to the smaller ids, left id first: compare (-count, "
                               "pair)")


def check_ids(student):
    "a merge becomes the next id, and takes part in later merges"
    words = {(1, 1, 1, 1): 4}
    got, want = learned(student, words, 2, 10), [(1, 1), (10, 10)]
    if got != want:
        raise Wrong("the merges of (1, 1, 1, 1) are wrong",
                    tried={"words": words, "wanted": 2, "first": 10}, got=str(got),
                    expected=str(want),
                    likely="merge i becomes the token first + i: the first one is 10, and its "
                           "words are\nthen (10, 10)")


def check_stop(student):
    "learning stops when no pair occurs twice, or enough are learned"
    for words, wanted, want in (({(1, 2): 1, (3,): 9}, 5, []), ({}, 5, []),
                                ({(1, 2, 3): 2}, 5, [(1, 2), (10, 3)]),
                                ({(1, 2, 3): 2}, 1, [(1, 2)])):
        got = learned(student, words, wanted, 10)
        if got != want:
            likely = ("a pair that occurs once is not worth a token: stop at counts below 2"
                      if len(got) > len(want) and wanted == 5 else "stop after `wanted` merges")
            raise Wrong("learning does not stop where it should",
                        tried={"words": words, "wanted": wanted, "first": 10}, got=str(got),
                        expected=str(want), likely=likely)


def check_learn(student):
    "the merges of a text are those of nanollm/text/merges.py"
    words = words_of(TEXT)
    got, want = learned(student, words, 40, 256), merges_of(words, 40, 256)
    for i, (ours, right) in enumerate(zip(got, want)):
        if ours != right:
            raise Wrong(f"merge {i} of the text is wrong; those before are right",
                        tried={"text": TEXT}, got=ours, expected=right,
                        likely="count again after each merge, on the words as they are now")
    if len(got) != len(want):
        raise Wrong("the number of merges is wrong", tried={"text": TEXT}, got=len(got),
                    expected=len(want))


def check_encode(student):
    "the merge learned first is done first"
    merges = [(2, 3), (1, 2), (10, 4)]
    for word, want in (((1, 2, 3), [1, 10]), ((1, 2, 3, 4), [1, 12]), ((1, 2), [11]),
                       ((5, 6), [5, 6]), ((), [])):
        got = list(call(student.encode, word, list(merges), 10))
        if got != want:
            likely = ("both (1, 2) and (2, 3) fit: do (2, 3), which was learned first, not the one "
                      "further left" if got[:1] == [11] and len(word) > 2
                      else "repeat until no merge fits; merges[i] becomes first + i")
            raise Wrong("a word is encoded wrongly",
                        tried={"word": word, "merges": merges, "first": 10}, got=str(got),
                        expected=str(want), likely=likely)


def check_encode_text(student):
    "the tokens of a text are those of nanollm/text/merges.py"
    merges = merges_of(words_of(TEXT), 40, 256)
    ranks = {pair: 256 + i for i, pair in enumerate(merges)}
    for word in words_of("the seashells she sells are surely seashore shells"):
        got, want = list(call(student.encode, word, list(merges), 256)), fast.apply(word, ranks)
        if got != want:
            raise Wrong(f"{bytes(word).decode()!r} is encoded wrongly", tried={"word": word},
                        got=str(got), expected=str(want),
                        likely="of all merges that fit, the one with the smallest rank comes next")


def check_decode(student):
    "what was encoded comes back"
    merges = [(1, 2), (10, 3), (11, 11)]
    for ids, want in (([4], [4]), ([10], [1, 2]), ([11, 4], [1, 2, 3, 4]),
                      ([12], [1, 2, 3, 1, 2, 3]), ([], [])):
        got = [int(id) for id in call(student.decode, list(ids), list(merges), 10)]
        if got != want:
            likely = ("left part first" if sorted(got) == sorted(want) else
                      "a merge may be made of merges: go on until only ids below `first` are left")
            raise Wrong("decode gives the wrong ids",
                        tried={"ids": ids, "merges": merges, "first": 10}, got=str(got),
                        expected=str(want),
                        likely=likely)


def check_untouched(student):
    "what comes in stays as it is"
    words = words_of(TEXT)
    before = dict(words)
    call(student.learn, words, 5, 256)
    if words != before:
        raise Wrong("learn changed the `words` it was given", got=f"{len(words)} words after it",
                    expected=f"the same {len(before)} as before",
                    likely="build a new dict of the joined words")
    for function, row in (student.encode, [0, 1, 0, 1]), (student.decode, [3, 0, 3]):
        given, merges = row.copy(), [(0, 1)]
        call(function, given, merges, 3)
        if (given, merges) != (row, [(0, 1)]):
            raise Wrong(f"{function.__name__} changes what it was given",
                        got=f"{given}, merges {merges}", expected=f"{row}, merges [(0, 1)]",
                        likely="a list belongs to the caller: build a new one")


EXERCISE = Exercise(
    name="bpe", title="Byte-pair encoding: learn, encode, decode", group="pieces",
    notebook="02_tokens", page="nanollm/exercises/pages/bpe.py",
    blanks=("count", "join", "learn", "encode", "decode"),
    checks=(check_count, check_join, check_order, check_ids, check_stop, check_learn, check_encode,
            check_encode_text, check_decode, check_untouched),
    hints=(
        ("Learning is one loop: count all pairs, take the most frequent, join it in every word, "
         "count again. Encoding is another: of the merges that fit the word, do the oldest.",
         "学习是一个循环：统计所有相邻对，取最频繁的一对，在每个词中合并，再重新统计。"
         "编码是另一个循环：在当前词能用的合并里，先做最早学到的那个。"),
        ("A pair's count is the sum of `times` over the words it stands in. A tie goes to the "
         "smaller pair: the minimum of (-count, pair). merges[i] becomes the id first + i, both "
         "when learning and when encoding.",
         "一对的次数是它所在各词的 times 之和。次数相同取较小的一对：即 (-count, pair) 的最小者。"
         "merges[i] 对应的新 id 是 first + i，学习和编码时都一样。"),
        ("encode: ranks = {pair: i for i, pair in enumerate(merges)}; while some neighbors are in "
         "ranks, pair = min(those, key=ranks.get) and word = join(word, pair, first + "
         "ranks[pair]). decode: an id below first stands for itself, any other for decode of its "
         "two parts.",
         "encode：令 ranks = {pair: i}；只要还有相邻对在 ranks 中，就取 min(这些对, "
         "key=ranks.get)，"
         "并做 word = join(word, pair, first + ranks[pair])。decode：小于 first 的 id 就是它自己，"
         "其余的 id 递归展开它的两部分。"),
    ))
