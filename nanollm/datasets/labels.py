"""Texts with a label: what a sentence feels, what a customer wants.

    train, test = sentiment()           ("an utterly charming film .", 1)
    parts, labels = intents()           parts["train"][0] is ("how do i say ...", 128)

A label is a whole number from 0. Each reader also takes the path of one's own file in the same
format.
"""

import json

from nanollm.datasets.catalog import text
from nanollm.datasets.held_out import rank
from nanollm.datasets.pairs import lines
from nanollm.errors import InputError

FOLDS = 10
PARTS = {"train": "train", "validation": "val", "test": "test", "oos_train": "oos_train",
         "oos_validation": "oos_val", "oos_test": "oos_test"}       # ours: the file's


def sentiment(fold=0, source="rt-polarity"):
    """Train and test: lists of (sentence of a movie review, 1 if it praises and 0 if not).

    10,662 sentences, half of each label, all distinct, cut into words by spaces and in lower case.
    There is no official test part; published results are means over ten folds. The sentences of
    each label are put in the order of their sha256 (held_out.py); of each ten, number `fold` (0 to
    9) is held out: for fold 0 9,594 to learn from and 1,068 to be tested on, half of each label.

    Format      label SPACE sentence, one a line
    License     CC BY 4.0, as NLTK's data index states it
    Source      Pang & Lee 2005, "Seeing Stars" (arXiv cs/0506075), sentence polarity 1.0
    """
    if fold not in range(FOLDS):
        raise InputError(f"fold is {fold!r}: expected 0 to {FOLDS - 1}")
    sentences = ([], [])                                # by label
    for n, line in lines(source):
        label, _, sentence = line.partition(" ")
        if label not in ("0", "1") or not sentence.strip():
            raise InputError(f"{source}, line {n} is {line!r}: expected 0 or 1, a space, a "
                             f"sentence")
        sentences[int(label)].append(sentence.strip())
    held = {s for found in sentences for s in sorted(found, key=rank)[fold::FOLDS]}
    pairs = [(s, label) for label, found in enumerate(sentences) for s in found]
    return [pair for pair in pairs if pair[0] not in held], [
        pair for pair in pairs if pair[0] in held]


def intents(source="clinc150"):
    """(parts, labels): parts["train"] is a list of (sentence, label), labels[label] its name.

    150 intents of a customer-service assistant in alphabetical order, then "oos" (150): a sentence
    that is out of the assistant's scope.

    Parts       train, validation, test: 15,000, 3,000 and 4,500 of the 150 intents, 100, 20 and 30
                of each; 3 sentences of validation and 2 of test are also in train, as published.
                oos_train, oos_validation, oos_test: 100, 100 and 1,000 out of scope
    Format      JSON: {part: [[sentence, name of the intent], ...]}
    License     CC BY 3.0
    Source      Larson et al. 2019, "An Evaluation Dataset for Intent Classification and
                Out-of-Scope Prediction" (arXiv 1909.02027)
    """
    content = sections(source)
    labels = [*sorted({intent for _, intent in content["train"]}), "oos"]
    number = {intent: label for label, intent in enumerate(labels)}
    parts = {}
    for part, theirs in PARTS.items():
        unknown = [intent for _, intent in content[theirs] if intent not in number]
        if unknown:
            raise InputError(f"{source}: intent {unknown[0]!r} of {theirs} is none of the training "
                             f"part: expected one that can be learned")
        parts[part] = [(sentence, number[intent]) for sentence, intent in content[theirs]]
    return parts, labels


def sections(source):
    """What the file of intents() holds, if it is whole."""
    try:
        content = json.loads(text(source))
    except json.JSONDecodeError as error:
        raise InputError(f"{source} is no JSON ({error}): expected the file of CLINC150") from None
    if not isinstance(content, dict) or not set(PARTS.values()) <= set(content):
        raise InputError(f"{source} lacks a part: expected an object with the lists "
                         f"{', '.join(PARTS.values())}")
    for part in PARTS.values():
        for n, pair in enumerate(content[part]):
            if not (isinstance(pair, list) and len(pair) == 2
                    and all(isinstance(s, str) and s for s in pair)):
                raise InputError(f"{source}: entry {n} of {part} is {pair!r}: expected "
                                 f"[sentence, intent]")
    return content
