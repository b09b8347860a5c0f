"""Byte-pair encoding: learn merges, encode, decode.

Where count, join, encode or decode is wrong, each suspect is planted in the solved page, then two
at once; the first that gives the student's results in all of CASES names the mistake. A wrong merge
is told by the counts: how often the student's pair occurs at that moment, and how often the right
one.
"""

import numbers
from types import SimpleNamespace

from nanollm.exercises.of_ops import attempt, named, planted
from nanollm.exercises.spec import Exercise, Wrong, call, given, spared, wrapped
from nanollm.text import merges as fast

PAGE = "nanollm/exercises/pages/bpe.py"
TEXT = "she sells sea shells by the sea shore the shells she sells are sea shells i am sure"
MERGES = [(2, 3), (1, 2), (10, 4), (3, 1), (1, 10)]             # they become the tokens 10 to 14
PARTS = [(1, 2), (10, 3), (11, 11)]

CASES = {                                                       # name: [(inputs, result), ...]
    "count": [(({(1, 2, 3): 1},), {(1, 2): 1, (2, 3): 1}),
              (({(1, 2, 1, 2): 3, (2, 1): 5},), {(1, 2): 6, (2, 1): 8}),
              (({(1, 1, 1): 1},), {(1, 1): 2})],
    "join": [(((1, 2, 3, 1, 2), (1, 2), 9), (9, 3, 9)),
             (((7, 7, 7), (7, 7), 9), (9, 7)),
             (((7, 7, 7, 7), (7, 7), 9), (9, 9)),
             (((2, 1), (1, 2), 9), (2, 1)),
             (((1, 3, 1, 2), (1, 2), 9), (1, 3, 9)),
             (((1,), (1, 1), 9), (1,))],
    "encode": [((word, MERGES, 10), tokens) for word, tokens in (
        ((1, 2, 3), [14]), ((1, 2, 3, 4), [1, 12]), ((3, 1, 2), [3, 11]), ((2, 3, 1), [10, 1]),
        ((1, 2), [11]), ((5, 6), [5, 6]), ((), []))],
    "decode": [((ids, PARTS, 10), row) for ids, row in (
        ([4], [4]), ([10], [1, 2]), ([11, 4], [1, 2, 3, 4]), ([12], [1, 2, 3, 1, 2, 3]), ([], []))],
}

RETURNS = {                                                     # name: (type, why no other)
    "count": (dict, "each pair is a key, and how often it occurs is its value"),
    "join": (tuple, "words are keys of a dict, and a list cannot be one: return tuple(...)"),
    "learn": (list, "the pairs in the order learned are all there is: append each to a list"),
    "encode": (list, "tokens come as a list, join alone has tuples: return list(...)"),
    "decode": (list, "ids come as a list, bytes would end at 255: return list(...)"),
}

SUSPECTS = (
    ("count", "+= times", "+= 1",
     "each word is counted once, however often it occurs: add `times`, not 1"),
    ("count", "pairwise(word):\n            counts[pair] += times",
     "set(pairwise(word)):\n            counts[pair] += times * (len(word) - len(join(word, pair, "
     "None)))",
     "pairs that overlap count each: (1, 1, 1) has (1, 1) twice. Only join leaves out the second"),
    ("count", "+= times", "= times",
     "a pair's count is written over where it occurs again: += times"),
    ("count", "pairwise(word)", "set(pairwise(word))",
     "a pair that stands twice in a word counts twice: a set of its pairs forgets that"),
    ("count", "counts[pair]", "counts[tuple(sorted(pair))]",
     "the order is lost: (1, 2) is not (2, 1)"),
    ("count", "counts[pair]", "counts[pair[::-1]]",
     "the two ids are exchanged: a pair is (left id, right id)"),
    ("count", "pairwise(word)", "pairwise(word[:-1])",
     "the last pair of each word is missing: n ids have n - 1 pairs"),
    ("count", "pairwise(word)", "pairwise(word[1:])",
     "the first pair of each word is missing: n ids have n - 1 pairs"),
    ("count", "pairwise(word)", "pairwise(word[-1:] + word)",
     "the last id of a word is paired with its first: word[-1] is no neighbor of word[0]"),
    ("count", "pairwise(word)", "zip(word[::2], word[1::2])",
     "every other pair is left out: go on by one id, not by two"),
    ("join", "p += 2", "p += 1",
     "where a pair is joined, its two ids are gone then: go on two further, not one"),
    ("join", "p < len(word)", "p < len(word) - 1",
     "the last id is lost: it has no right neighbor, so it is never joined there, and stays"),
    ("join", "if tuple", "if new not in joined and tuple",
     "only the first place is joined: go on to the end of the word"),
    ("join", "== pair", "in (pair, pair[::-1])",
     "the pair is joined in both orders: (2, 1) is not (1, 2)"),
    ("join", "tuple(word[p:p + 2]) == pair", "word[p] == pair[0] and p + 1 < len(word)",
     "only the left id is compared: the right one must be the pair's, too"),
    ("encode", "min(fits, key=ranks.get)", "fits[0]",
     "the pair further left is joined, not the one learned first: of all that fit, take the "
     "smallest rank"),
    ("encode", "min(fits, key=ranks.get)", "fits[-1]",
     "the pair further right is joined, not the one learned first: of all that fit, take the "
     "smallest rank"),
    ("encode", "min(fits, key=ranks.get)", "max(fits, key=ranks.get)",
     "the pair learned last is joined, not the one learned first: of all that fit, take the "
     "smallest rank"),
    ("encode", "min(fits, key=ranks.get)", "min(fits)",
     "the pair with the smallest ids is joined, not the one learned first: of all that fit, take "
     "the smallest rank"),
    ("encode", "    word = tuple(word)\n",
     "    left, word = tuple(word), ()\n"
     "    made = {tuple(decode([first + i], merges, first)): first + i for i in ranks.values()}\n"
     "    while left:\n"
     "        n = max(n for n in range(1, len(left) + 1) if n == 1 or left[:n] in made)\n"
     "        word, left = (*word, made.get(left[:n], left[0])), left[n:]\n"
     "    return list(word)\n",
     "the longest token that fits is taken, from left to right. Begin with single ids instead, and "
     "of the merges that fit do the one learned first, until none fits"),
    ("encode", "pairwise(word)", "pairwise(word[:-1])",
     "the last pair of the word is not looked at: n ids have n - 1 pairs"),
    ("encode", "while fits", "if fits",
     "one merge is done and no more: repeat until none fits"),
    ("encode", "first + ranks[pair]", "ranks[pair]",
     "`first` is missing: merges[i] becomes the token first + i"),
    ("encode", "first + ranks[pair]", "first + ranks[pair] + 1",
     "each new token is 1 too large: merges[i] becomes the token first + i, and i begins at 0"),
    ("decode", "decode(merges[id - first], merges, first)", "list(merges[id - first])",
     "a merge may be made of merges: go on until only ids below `first` are left"),
    ("decode", "else decode(merges[id - first], merges, first)",
     "else [decode(merges[id - first], merges, first)]",
     "the parts of a token come as a list within the list: use extend or +=, not append"),
    ("decode", "id < first", "id <= first",
     "the token `first` is taken for a given id: it stands for merges[0]"),
    ("decode", "merges[id - first]", "merges[id - first - 1]",
     "the merge before is taken: the token `first` stands for merges[0]"),
    ("decode", "merges[id - first]", "merges[id - first][::-1]",
     "the two parts of a token are exchanged: left part first"),
    ("decode", "in ids", "in reversed(ids)",
     "all comes out backward: what is put on a stack last is taken from it first"),
)


def words_of(text):
    """{row of bytes: how often} of a text's words."""
    words = {}
    for word in text.encode().split():
        words[tuple(word)] = words.get(tuple(word), 0) + 1
    return words


def merges_of(words, wanted, first):
    """The merges that nanollm/text/merges.py learns."""
    return fast.learn(words, wanted, first, SimpleNamespace(update=lambda: None))


def asked(student, name, *inputs):
    """What the student's function makes of copies of the inputs, if it is of the right type."""
    got, (kind, why) = call(spared(getattr(student, name)), *inputs), RETURNS[name]
    if not isinstance(got, kind):
        raise Wrong(f"{name} returns {type(got).__name__}, not a {kind.__name__}",
                    tried=given(getattr(student, name), inputs, {}), got=str(got), likely=why)
    return kind(got)


def results(module, name):
    """What a module's function gives in all of its cases; text where it raises."""
    return [attempt(lambda module, case: asked(module, name, *case[0]), module, case)
            for case in CASES[name]]


def known(student, name):
    """The words of the mistake, or of two, that give the student's results; None if none does."""
    theirs, rows = results(student, name), [row for row in SUSPECTS if row[0] == name]
    return named(PAGE, rows, lambda module: results(module, name) == theirs)


def compare(student, name, what, rule):
    """Wrong if the result is wrong in a case; rule(got, want) is told where no mistake is known."""
    for inputs, want in CASES[name]:
        got = asked(student, name, *inputs)
        if got != want:
            raise Wrong(what, tried=given(getattr(student, name), inputs, {}), got=str(got),
                        expected=str(want), likely=known(student, name) or wrapped(rule(got, want)))


def is_pair(key):
    return (isinstance(key, tuple) and len(key) == 2
            and all(isinstance(id, numbers.Integral) for id in key))


def learns(student, words, wanted, first, want, tried=None):
    """Wrong if other merges than `want` are learned from the words."""
    got = asked(student, "learn", words, wanted, first)
    tried = tried or {"words": words, "wanted": wanted, "first": first}
    if not all(map(is_pair, got)):
        raise Wrong("learn's list holds something else than pairs", tried=tried, got=str(got[:5]),
                    expected=str(want[:5]), likely="append the pair itself, a tuple of two ids: "
                                                   "its place in the list says its new id")
    if got != want:
        i = next((i for i, (ours, right) in enumerate(zip(got, want)) if ours != right),
                 min(len(got), len(want)))
        what, likely = of_merge(i, got, want, words, wanted, first)
        if len(want) > 5:                                       # too many to show
            got, want = (pairs[i] if i < len(pairs) else f"{len(pairs)} merges"
                         for pairs in (got, want))
        raise Wrong(what, tried=tried, got=str(got), expected=str(want), likely=wrapped(likely))


def of_merge(i, got, want, words, wanted, first):
    """(what is wrong with merge i, the first wrong one, what is likely), from the counts then."""
    page, old = planted(PAGE), {id for word in words for id in word}
    for n, pair in enumerate(want[:i]):
        words = {page.join(word, pair, first + n): times for word, times in words.items()}
    counts = page.count(words)
    held = "the words then" + (f", {words}" if len(words) < 4 else "")
    if i == len(got):
        return "learning stops too early", (
            f"{want[i]} has the count {counts[want[i]]} in {held}: a joined word occurs as often "
            "as before, and learning stops only at counts below 2 or with `wanted` merges")
    if i == wanted:
        return "learning does not stop where it should", "stop after `wanted` merges"
    ours, what = got[i], f"merge {i}, counted from 0, is wrong"
    if ours in got[:i]:
        return "the same pair is learned twice", f"count again after each merge, in {held}"
    if counts[ours] == 0 and (i == 0 or set(ours) <= old):
        return what, (f"{ours} is nowhere in {held}: count again after each merge, on the words as "
                      "they are now")
    if counts[ours] == 0:
        return what, (f"{ours} is nowhere in {held}: merge i becomes the token first + i, so merge "
                      f"{i - 1} has become {first + i - 1}")
    if i == len(want):
        return "learning does not stop where it should", (
            f"{ours} has the count {counts[ours]} in {held}, and a pair that occurs once is not "
            "worth a token: stop at counts below 2")
    if counts[ours] == counts[want[i]]:
        return what, (f"{ours} and {want[i]} both have the count {counts[ours]} then: a tie goes "
                      "to the smaller ids, left id first; compare (-count, pair)")
    return what, (f"{ours} has the count {counts[ours]} then, {want[i]} has {counts[want[i]]}: the "
                  "most frequent pair comes first, each word counted as often as it occurs")


def check_count(student):
    "pairs are counted, each as often as its word occurs"
    (words,), _ = CASES["count"][0]
    handed = dict(words)
    call(student.count, handed)
    if handed != words:
        raise Wrong("count changed the `words` it was given", tried={"words": words},
                    got=f"{handed} after it", expected="the same words as before",
                    likely="pop, popitem, del and clear write into the caller's dict: walk over "
                           "words.items()")

    def rule(got, want):
        strange = [pair for pair in got if pair not in want]
        if not all(map(is_pair, strange)):
            return "a pair is a tuple of two ids, (left id, right id)"
        if strange:
            return (f"{strange[0]} are neighbors in none of the words: walk along each word by "
                    "itself")
        return "each two neighbors of a word, (left id, right id), count as often as the word"

    compare(student, "count", "the counts of the pairs are wrong", rule)


def check_join(student):
    "a pair is joined, leftmost first, without overlap"
    compare(student, "join", "join gives the wrong ids", lambda got, want: (
        "of overlapping pairs the left one is joined: go from left to right" if got == (7, 9) else
        "from left to right: where the pair is, comes `new`, and its two ids are gone; any other "
        "id stays"))


def check_order(student):
    "the most frequent pair first; of equally frequent ones the smaller ids"
    for words in ({(1, 2): 2, (3, 4): 3}, {(5, 6): 2, (3, 4): 2}, {(3, 6): 2, (3, 4): 2},
                  {(1, 9): 2, (2, 3): 2}, {(9, 1): 2, (2, 3): 2}):
        learns(student, words, 2, 10, sorted(words, key=lambda pair: (-words[pair], pair)))


def check_ids(student):
    "a merge becomes the next id, and takes part in later merges"
    learns(student, {(1, 2, 3, 4): 4}, 3, 10, [(1, 2), (3, 4), (10, 11)])
    learns(student, {(1, 1, 1, 1): 4}, 2, 10, [(1, 1), (10, 10)])


def check_stop(student):
    "learning stops when no pair occurs twice, or enough are learned"
    learns(student, {(1, 2): 1, (3,): 9}, 5, 10, [])
    learns(student, {}, 5, 10, [])
    learns(student, {(1, 2, 3): 2}, 5, 10, [(1, 2), (10, 3)])
    learns(student, {(1, 2, 3): 2}, 1, 10, [(1, 2)])


def check_learn(student):
    "the merges of a text are those of nanollm/text/merges.py"
    words = words_of(TEXT)
    learns(student, words, 40, 256, merges_of(words, 40, 256),
           tried={"text": TEXT, "wanted": 40, "first": 256})


def check_encode(student):
    "the merge learned first is done first"
    compare(student, "encode", "a word is encoded wrongly", lambda got, want: (
        "of all merges that fit, do the one with the smallest rank, everywhere in the word; "
        "merges[i] becomes first + i; repeat until none fits"))


def check_encode_text(student):
    "the tokens of a text are those of nanollm/text/merges.py"
    merges = merges_of(words_of(TEXT), 40, 256)
    ranks = {pair: 256 + i for i, pair in enumerate(merges)}
    for word in words_of("the seashells she sells are surely seashore shells"):
        got, want = asked(student, "encode", word, merges, 256), fast.apply(word, ranks)
        if got != want:
            raise Wrong(f"{bytes(word).decode()!r} is encoded wrongly", tried={"word": word},
                        got=str(got), expected=str(want),
                        likely="of all merges that fit, the one with the smallest rank comes next")


def check_decode(student):
    "what was encoded comes back"
    compare(student, "decode", "decode gives the wrong ids", lambda got, want: (
        "the ids are right, their order is not: left part first"
        if sorted(map(str, got)) == sorted(map(str, want)) else
        "an id below `first` stays; any other is taken apart into merges[id - first], and so on"))


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
    notebook="02_tokens", page=PAGE,
    blanks=("count", "join", "learn", "encode", "decode"),
    checks=(check_count, check_join, check_order, check_ids, check_stop, check_learn, check_encode,
            check_encode_text, check_decode, check_untouched),
    suspects=SUSPECTS,
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
