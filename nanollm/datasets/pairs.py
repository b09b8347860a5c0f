"""Pairs of sequences: words and how they sound, commands and the actions that carry them out.

    train, validation, test = pronunciations()      ("ABS", [("AE", "B", "Z"), ...])
    train, test = scan()                            (("walk", "twice"), ("I_WALK", "I_WALK"))
    names()                                         ["emma", "olivia", ...]

A sequence is a tuple of strings; a word is the sequence of its letters as it stands. Each reader
also takes the paths of one's own files in the same format.
"""

from nanollm.datasets.catalog import text
from nanollm.datasets.held_out import fold
from nanollm.errors import InputError

PARTS = 20                              # one word in so many is for validation
LONGEST = 22                            # actions in the training part of SCAN's split by length


def pronunciations(train="cmudict-train", test="cmudict-test"):
    """Train, validation and test: lists of (word, [its pronunciations]), in the order of the files.

    CMUdict in the split g014b2b, so that results can be compared: 106,837 words with 113,438
    pronunciations to learn from, 12,000 other words to be tested on. No test word is in the
    training file. Of the words to learn from, those of fold 0 of 20 by their sha256 (held_out.py)
    are the validation part: 5,315 words, so 101,522 are left. A word with several pronunciations
    (5,877 in the training file, 673 in the test file, at most 6 each) has them all in one place:
    any of them is right.

    Format      WORD TAB phoneme phoneme ...        training: one pronunciation a line
                                                    test: one word a line, TAB between several
    27 letters and signs (A to Z and '), 39 phonemes without stress marks.
    License     CMUdict's own (BSD with two clauses); the split: BSD-3-Clause
    Source      the CMU Pronouncing Dictionary; the split is that of Phonetisaurus, Novak et al.
                2012, "WFST-based Grapheme-to-Phoneme Conversion"
    """
    learn = words(train)
    return ([(word, found) for word, found in learn if fold(word, PARTS)],
            [(word, found) for word, found in learn if not fold(word, PARTS)],
            words(test))


def words(source):
    """[(word, [pronunciations])] of one file; lines of the same word are put together."""
    found = {}
    for n, line in lines(source):
        word, *sounds = line.split("\t")
        sounds = [tuple(sound.split()) for sound in sounds]
        if not word or not sounds or not all(sounds):
            raise InputError(f"{source}, line {n} is {line!r}: expected a word, a tab, phonemes "
                             f"with spaces between")
        found.setdefault(word, []).extend(sounds)
    return list(found.items())


def scan(split="simple", train="scan-train", test="scan-test"):
    """Train and test: lists of (words of the command, actions), in the order of the files.

    All 20,910 commands of a small grammar with 13 words, each with its 1 to 48 actions of 6 kinds.

    split       "simple": as the files are, 16,728 and 4,182 drawn at random. "length": those of
                at most 22 actions, 16,990, and the longer ones, 3,920. The first is easy; the
                second asks for lengths never seen, where a recurrent network fails.
    Format      IN: command OUT: actions
    License     BSD (Facebook)
    Source      Lake & Baroni 2018, "Generalization without Systematicity" (arXiv 1711.00350),
                experiments 1 and 2
    """
    if split not in ("simple", "length"):
        raise InputError(f"split is {split!r}: expected 'simple' or 'length'")
    learn, check = commands(train), commands(test)
    if split == "simple":
        return learn, check
    every = learn + check
    return ([pair for pair in every if len(pair[1]) <= LONGEST],
            [pair for pair in every if len(pair[1]) > LONGEST])


def commands(source):
    """[(command, actions)] of one file."""
    found = []
    for n, line in lines(source):
        command, _, actions = line.removeprefix("IN: ").partition(" OUT: ")
        if not line.startswith("IN: ") or not command.split() or not actions.split():
            raise InputError(f"{source}, line {n} is {line!r}: expected IN: command OUT: actions")
        found.append((tuple(command.split()), tuple(actions.split())))
    return found


def names(source="names"):
    """32,033 first names in lower case, 29,494 of them distinct.

    Format      one name a line, a to z
    License     US Social Security Administration, public domain (repository MIT)
    Source      Karpathy's makemore
    """
    found = []
    for n, line in lines(source):
        if len(line.split()) != 1:
            raise InputError(f"{source}, line {n} is {line!r}: expected one name")
        found.append(line.strip())
    return found


def lines(source):
    """(number, line) of each line of a text, from 1, without the line ends."""
    return enumerate(text(source).removesuffix("\n").split("\n"), start=1)
