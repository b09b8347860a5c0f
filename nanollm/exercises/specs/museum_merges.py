"""The museum: words cut otherwise than in training."""

from types import SimpleNamespace

from nanollm.exercises.spec import Exercise, Wrong, call
from nanollm.text import merges as fast

TEXT = ("the quick brown fox jumps over the lazy dog and the other dogs then jump quickly over "
        "another fox the brother of the brown one mother thought this other weather better")


def learned(text, wanted):
    """The merges of a text as pairs of strings, and a function that encodes as they were meant."""
    words = {}
    for word in text.encode().split():
        words[tuple(word)] = words.get(tuple(word), 0) + 1
    pairs = fast.learn(words, wanted, 256, SimpleNamespace(update=lambda: None))
    names = [chr(i) for i in range(256)]
    for a, b in pairs:
        names.append(names[a] + names[b])
    ranks = {pair: 256 + i for i, pair in enumerate(pairs)}
    return ([(names[a], names[b]) for a, b in pairs],
            lambda word: [names[i] for i in fast.apply(word.encode(), ranks)])


def compare(student, word, merges, want, likely):
    got = list(call(student.encode, word, merges))
    if "".join(got) != word:
        raise Wrong(f"the tokens of {word!r} do not spell it", got=str(got), expected=str(want),
                    likely="a join replaces two neighbors by the left one followed by the right "
                           "one")
    if got != want:
        order = ", ".join(f"{a}+{b}" for a, b in merges)
        raise Wrong(f"{word!r} is cut otherwise than by the tokenizer that learned the merges",
                    tried=f"merges, in the order learned: {order}" if len(merges) < 6
                    else f"{len(merges)} merges", got=str(got), expected=str(want), likely=likely)


def check_one(student):
    "two merges that compete"
    merges = [("u", "g"), ("h", "u"), ("h", "ug")]
    for word, want in ("hu", ["hu"]), ("hug", ["hug"]), ("hugs", ["hug", "s"]), ("sun",
                                                                                 list("sun")):
        compare(student, word, merges, want,
                "in training u+g was learned first: at that time there was no hu"
                if "g" in word else "go on until no merge fits")


def check_longer(student):
    "the longest token is not the first"
    merges = [("b", "c"), ("a", "b"), ("d", "e"), ("ab", "d")]
    compare(student, "abcde", merges, ["a", "bc", "de"],
            "neither the length of a token nor its place counts, only when it was learned")
    for word, want in ("aaa", ["aa", "a"]), ("baaa", ["b", "aa", "a"]):
        compare(student, word, [("a", "a")], want, "of equal pairs the left one is joined first")


def check_text(student):
    "the words of a text"
    merges, meant = learned(TEXT, 60)
    for word in sorted({*TEXT.split(), "weathers", "forethought", "brotherly"}):
        compare(student, word, merges, meant(word),
                "of the merges that fit, which was learned first?")


EXERCISE = Exercise(
    name="museum_merges", title="Words cut otherwise than in training", group="museum",
    notebook="02_tokens", page="nanollm/exercises/pages/museum_merges.py",
    broken=(("p = min(fits, key=lambda p: rank[tokens[p], tokens[p + 1]])", "p = fits[0]"),),
    checks=(check_one, check_longer, check_text),
    hints=(
        ("Encode a word in which two merges compete, by hand: first as the program does, then as "
         "the training did.",
         "找一个有两个合并互相竞争的词，手工编码两遍：一遍照程序的做法，一遍照训练时的做法。"),
        ("In training the merges were done one after the other, each in the whole text. What does "
         "that say about the order within one word?",
         "训练时合并是一个接一个做的，每个都作用于整个文本。这对一个词内部的先后次序意味着什么？"),
        ("Of all places where a merge fits, take the one with the smallest rank: min over fits.",
         "在所有能合并的位置中，取秩最小的那个：对 fits 取 min。")),
    thread="https://github.com/ztxz16/fastllm/pull/715",
    explanation="""\
Cause     The first merge that fits from the left is done, not the one that was learned first. The
          order of the list says which pair was joined when there were no others yet.
Hidden    Any cut decodes to the same word. The model has seen other cuts in training, and is
          somewhat worse; nothing fails.
Found     By comparing with another tokenizer, word by word, on a word list.
Repair    The smallest rank of all merges that fit, again and again.
Thread    ztxz16/fastllm PR #715: merges applied left to right; between 54.7 % and 62.3 % of 40,014
          words were cut otherwise than by the reference, 0 after the repair.
          rasbt/LLMs-from-scratch#558: another encoder gives other tokens for "Hello," than
          tiktoken. huggingface/course#608: the same slip in a textbook example, "thug".""")
