"""Beam search with length normalization.

Where an answer is wrong, each suspect is planted in the solved page, then two at once; the first
that gives the student's results in all of CASES names the mistake.
"""

import functools
import itertools
import numbers

import numpy as np

from nanollm import diagnosis
from nanollm.exercises.of_ops import alike, attempt, named
from nanollm.exercises.spec import Exercise, Wrong, call, expect, kind

PAGE = "nanollm/exercises/pages/beam.py"
END = 0


def table(V=3, seed=0, spread=2.0):
    """A model: random scores (V,) of the next token after any beginning."""
    @functools.cache
    def scores(*ids):
        return spread * np.random.default_rng([seed, *(v + 1 for v in ids)]).standard_normal(V)
    return lambda ids: scores(*map(int, ids))


def probabilities(rows):
    """A model from {beginning: probabilities}; END is certain after any other beginning."""
    def logits(ids):
        with np.errstate(divide="ignore"):
            return np.log(np.array(rows.get(tuple(map(int, ids)), [1.0, 0, 0])))
    return logits


WIDER = probabilities({(): [0.0, 0.6, 0.4], (1,): [0.5, 0.25, 0.25], (2,): [0.9, 0.05, 0.05]})
PLACE = probabilities({(): [0.4, 0.6, 0.0], (1,): [0.0, 0.51, 0.49], (1, 1): [0.9, 0.1, 0.0]})
DISPLACED = probabilities({(): [0.25, 0.6, 0.15], (1,): [0.0, 0.51, 0.49],
                           (1, 1): [0.7, 0.3, 0.0], (1, 2): [0.6, 0.4, 0.0]})
LENGTH = probabilities({(): [0.3, 0.7, 0.0], (1,): [0.0, 0.6, 0.4], (1, 1): [0.7, 0.3, 0.0],
                        (1, 2): [0.7, 0.3, 0.0]})
LOOP = probabilities({(1,) * n: [0.0, 1.0, 0.0] for n in range(1, 4)} | {(): [0.2, 0.8, 0.0]})
NO_END = probabilities({(1,) * n: [0.0, 1.0, 0.0] for n in range(4)})
FIRST = probabilities({(): [0.5, 0.3, 0.2]} | {ids: [0.1, 0.5, 0.4] for n in (1, 2)
                                               for ids in itertools.product((1, 2), repeat=n)})

CASES = {
    "log_softmax": [np.log([1.0, 3.0, 4.0]), np.array([1000.0, 1000.0]), np.array([-1000.0, 0.0])],
    "beam_search": [
        *((table(seed=seed), {"beam": 1, "most": 4, "end": END}) for seed in range(6)),
        *((model, {"beam": 2, "most": 3, "end": END, "normalize": 0.0})
          for model in (WIDER, FIRST, DISPLACED)),
        *((model, {"beam": 2, "most": most, "end": END})
          for model, most in ((PLACE, 3), (LOOP, 4), (NO_END, 4))),
        *((LENGTH, {"beam": 3, "most": 3, "end": END, "normalize": a}) for a in (0.0, 0.7, 1.0)),
        *((table(V=4, seed=seed), {"beam": 2 + seed % 3, "most": 4, "end": END, "normalize": 0.7})
          for seed in range(9)),
        (table(V=3, seed=0), {"beam": 2, "most": 4, "end": 2})],
}

ROUND = """
                longer.append((total, ids))                     # finished: it stays as it is
            else:
                log_p = log_softmax(logits(ids))                # (V,)
                longer += [(total + log_p[v], [*ids, v]) for v in range(len(log_p))]
        kept = sorted(longer, key=lambda pair: -pair[0])[:beam]
        if all(ids[-1] == end for _, ids in kept):
            break
"""


def apart(cut, over=""):
    """What becomes of ROUND where finished answers are set aside."""
    return f"""
                continue
            log_p = log_softmax(logits(ids))
            longer += [(total + log_p[v], [*ids, v]) for v in range(len(log_p))]
        longer.sort(key=lambda pair: -pair[0])
        if not kept[0][1]:
            apart = []
        {cut}
        kept = [pair for pair in longer if pair[1][-1] != end]
        apart += [pair for pair in longer if pair[1][-1] == end]
        if not kept{over}:
            break
    kept += apart
"""


NO_PLACE = ("finished answers are set aside and take up no place: each keeps one of the `beam`, so "
            "that fewer are continued")
ALIKE = ("the search is greedy, whatever `beam` is: begin with one empty beginning, not `beam`, "
         "continue each by every token, not by its likeliest alone, and keep the best "
         "`beam` of all together")
NO_SCALE = "the score is log P / n^normalize, and n counts all tokens, `end` too"
SUSPECTS = (
    ("log_softmax", "x - np.log(np.exp(x).sum())", "np.exp(x) / np.exp(x).sum()",
     "this is the softmax itself; its log is asked for: x - log(Σ exp x)"),
    ("log_softmax", "return x - np.log(np.exp(x).sum())",
     "return np.log(np.exp(x) / np.exp(x).sum())",
     "exp(-1000) is 0, and the log of 0 is -inf: write the log of the quotient as the difference "
     "x - log(Σ exp x)"),
    ("log_softmax", "    x = x - x.max()\n", "", "exp overflows: subtract the largest of x first"),
    ("log_softmax", "    x = x - x.max()\n    return x - np.log(np.exp(x).sum())",
     "    return np.log(np.exp(x) / np.exp(x).sum())",
     "exp overflows: subtract the largest of x first, and write the log of the quotient as the "
     "difference x - log(Σ exp x)"),
    ("log_softmax", "return x - np.log(np.exp(x).sum())", "return x",
     "only the largest is subtracted: log(Σ exp x) is missing"),
    ("log_softmax", "np.exp(x).sum()", "np.exp(x).mean()",
     "the mean of exp x is taken in place of its sum"),
    ("log_softmax", "np.log(", "np.log10(", "the log is the natural one, np.log"),
    ("log_softmax", "np.log(", "np.log2(", "the log is the natural one, np.log"),
    ("log_softmax", "return x - ", "return -x + ", "the sign is wrong: x - log(Σ exp x)"),
    ("log_softmax", "x.max()", "abs(x).max()", "the largest of x is x.max(), not that of |x|"),
    ("log_softmax", "x.max()", "x.min()", "the largest of x is to be subtracted, not the smallest"),
    ("beam_search", "total / len(ids) ** normalize", "total",
     f"nothing is divided by the length: {NO_SCALE}"),
    ("beam_search", "else ids), score", "else ids), score * len(ids) ** normalize",
     f"log P itself is returned: {NO_SCALE}"),
    ("beam_search", " ** normalize", "",
     "`normalize` is not used: the score is log P / n^normalize"),
    ("beam_search", "len(ids) ** normalize", "(len(ids) * normalize or 1)",
     "n^normalize is a power, n ** normalize, not a product"),
    ("beam_search", "len(ids) ** normalize", "(len(ids) - (ids[-1] == end) or 1) ** normalize",
     "n counts `end`, too: an answer of two tokens and `end` has n = 3"),
    ("beam_search", "len(ids)", "(len(ids) + 1)", "n is one too large: of the tokens, `end` is "
     "the last, and nothing stands before the first"),
    ("beam_search", "len(ids)", "most", "n is the answer's own length, not `most`"),
    ("beam_search", "len(ids)", "(_ + 1)", "n is the number of rounds: each answer has its own "
     "length, and a finished one grows no further"),
    ("beam_search", "len(ids)", "((5 + len(ids)) / 6)",
     "n is the length itself, not Wu's (5 + n) / 6"),
    ("beam_search", "total / len(ids)", "total * len(ids)",
     "log P is to be divided by n^normalize, not multiplied"),
    ("beam_search", "key=lambda pair: -pair[0])",
     "key=lambda pair: -pair[0] / len(pair[1]) ** normalize)",
     "the length counts only in the end: what is kept are the largest log P, not divided by "
     "anything"),
    ("beam_search", "else ids), score", "else ids), np.exp(score)",
     "the exp of the score is returned: the score is log P / n^normalize"),
    ("beam_search", "(ids[:-1] if ids[-1] == end else ids)", "ids",
     "`end` is no part of the answer: it is cut off"),
    ("beam_search", "(ids[:-1] if ids[-1] == end else ids)", "ids[:-1]",
     "the last token is cut off where it is not `end`: an answer that `most` cuts off has none"),
    ("beam_search", "range(most)", "range(most + 1)",
     "one token too many: an answer has at most `most`, `end` too"),
    ("beam_search", "range(most)", "range(most - 1)",
     "one token too few: an answer has up to `most`, `end` too"),
    ("beam_search", "log_softmax(logits(ids))", "logits(ids)",
     "the scores themselves are added up: take their log_softmax first"),
    ("beam_search", "(total + log_p[v]", "(log_p[v]",
     "only the last token counts: log P of a beginning is the sum over its tokens"),
    ("beam_search", "(total + log_p[v]", "(total * log_p[v]",
     "logs are multiplied: P is a product, so log P is a sum"),
    ("beam_search", "(total + log_p[v]", "(total + np.exp(log_p[v])",
     "probabilities are added up: log P is the sum of their logs"),
    ("beam_search", "kept = [(0.0, [])]", "kept = [(1.0, [])]",
     "the empty beginning has P = 1, so its log P is 0"),
    ("beam_search", "kept = [(0.0, [])]", "kept = [(0.0, [end])]",
     "the search begins after `end`, and is finished there: the first beginning is empty"),
    ("beam_search", "key=lambda pair: -pair[0])", "key=lambda pair: pair[0])",
     "the least likely are kept: sort so that the largest log P comes first"),
    ("beam_search", "max(((", "min(((",
     "the smallest score is taken: the best answer has the largest, the one nearest to 0"),
    ("beam_search", "[:beam]\n", "\n", "nothing is dropped: only the best `beam` are kept"),
    ("beam_search", "[:beam]", "[:beam + 1]", "one too many is kept: [:beam]"),
    ("beam_search", "[:beam]", "[:max(1, beam - 1)]", "one too few is kept: [:beam]"),
    ("beam_search", "for v in range(len(log_p))]", "for v in [int(log_p.argmax())]]", ALIKE),
    ("beam_search", "kept = [(0.0, [])]", "kept = [(0.0, [])] * beam", ALIKE),
    ("beam_search", ROUND, ROUND.replace("[(total + log_p", "sorted([(total + log_p")
     .replace("len(log_p))]\n", "len(log_p))],\n                    key=lambda p: -p[0])[:beam]\n")
     .replace("sorted(longer, key=lambda pair: -pair[0])[:beam]", "longer"),
     "the best `beam` continuations of each beginning are kept: keep the best `beam` of all "
     "together"),
    ("beam_search", "for v in range(len(log_p))]", "for v in range(1, len(log_p))]",
     "token 0 is never tried: continue by every token"),
    ("beam_search", "for v in range(len(log_p))]", "for v in range(len(log_p) - 1)]",
     "the last token of the vocabulary is never tried: continue by every token"),
    ("beam_search", "longer += [(total + log_p[v], [*ids, v]) for v in range(len(log_p))]",
     "for v in range(len(log_p)):\n                    ids.append(v)\n"
     "                    longer.append((total + log_p[v], ids))",
     "ids.append(v) writes into one list that all continuations share: make a new one, [*ids, v]"),
    ("beam_search", "[*ids, v]", "[v, *ids]", "a token is put before the others, not after them"),
    ("beam_search", "logits(ids)", "logits(ids[-1:])",
     "the model is asked after the last token alone: it gets all tokens so far"),
    ("beam_search", "logits(ids)", "logits(ids[::-1])",
     "the model gets the tokens in reverse order"),
    ("beam_search", "if ids and ids[-1]", "if ids[-1]",
     "the first beginning is empty, so it has no last token: ask first whether there is one"),
    ("beam_search", "== end", "== 0", "`end` is what the caller says, not always 0"),
    ("beam_search", "if ids and ids[-1] == end:", "if False:",
     "keep a beginning that ends with `end` as it is, with its log P"),
    ("beam_search", "longer.append((total, ids))",
     "longer.append((total + log_softmax(logits(ids))[end], ids))",
     "a finished answer goes on to change its log P: keep it as it is, and do not ask the model"),
    ("beam_search", "longer.append((total, ids))", "pass",
     "finished answers are dropped: carry each over into the next round, as it is"),
    ("beam_search", "longer.append((total, ids))", "longer += [(total, ids)] * beam",
     "a finished answer is there several times: it goes on in one way, as it is"),
    ("beam_search", "longer.append((total, ids))", "longer.append((0.0, ids))",
     "a finished answer's log P becomes 0: it keeps the one it has"),
    ("beam_search", "longer.append((total, ids))", "longer.append((total, [*ids, end]))",
     "a finished answer gets another `end` in each round: keep it as it is"),
    ("beam_search", "longer.append((total, ids))",
     "longer.append((total / len(ids) ** normalize, ids))",
     "a finished answer is divided by its length in each round: keep its log P as it is, and "
     "divide once, in the end"),
    ("beam_search", "if all(ids[-1] == end", "if any(ids[-1] == end",
     "the search ends too early: it goes on as long as one of those kept is not finished"),
    ("beam_search", "if all(ids[-1] == end for _, ids in kept)", "if kept[0][1][-1] == end",
     "the search ends when the first is finished: it goes on as long as one of those kept is not"),
    ("beam_search", "[:beam]", "[:beam + sum(ids[-1:] == [end] for _, ids in kept)]",
     "finished answers take up no place: each keeps one of the `beam`, so that fewer are "
     "continued"),
    ("beam_search", ROUND, apart("longer = longer[:beam]"), NO_PLACE),
    ("beam_search", ROUND, apart("longer = longer[:beam]", " or len(apart) >= beam"), NO_PLACE),
    ("beam_search", ROUND, apart("longer = longer[:beam - len(apart)]"),
     "a finished answer that is set aside keeps its place for ever: it must compete in each round, "
     "and better ones displace it"),
    ("beam_search", ROUND, apart("pass"), "nothing is dropped: only the best `beam` are kept"),
    ("beam_search", ROUND,
     apart("longer.sort(key=lambda pair: pair[1][-1] != end)\n"
           "        longer = longer[:beam + sum(ids[-1] == end for _, ids in longer)]"),
     "every answer that ends is collected: one that is not among the best `beam` of its round is "
     "dropped, as any other beginning"),
    ("beam_search", " and total > -np.inf", "",
     "`end` has its place in the beam only because there is nothing else: its log P is -inf, and "
     "so it is no finished answer"),
    ("beam_search", "in finished or kept", "in kept",
     "an unfinished beginning is taken, cut off by `most`: as long as one of those kept ends with "
     "`end`, the best of these is the answer"),
    ("beam_search", "in finished or kept", "in finished",
     "none of those kept ends with `end`: then the best beginning is the answer, all of it"),
    ("beam_search", "finished or kept),\n                     key=lambda pair: pair[0])",
     "finished),\n                     key=lambda pair: pair[0], default=(-np.inf, [end]))",
     "none of those kept ends with `end`: then the best beginning is the answer, all of it"),
    ("beam_search", "in finished or kept", "in (finished or kept)[:1]",
     "the likeliest is taken: the best answer has the largest log P / n^normalize"),
    ("beam_search", "in finished or kept", "in kept[:1]",
     "the first of those kept is taken: the best of the finished ones has the largest "
     "log P / n^normalize"),
)


def log_p(logits, ids):
    """[log P of each token of ids]."""
    found = []
    for t, v in enumerate(ids):
        x = logits(ids[:t])
        found.append(x[v] - np.log(np.exp(x).sum()))
    return found


def best_of_all(logits, V, most, normalize):
    """The best answer, by looking at all that are finished: (ids without END, score)."""
    words = [v for v in range(V) if v != END]
    every = [ids for n in range(most) for ids in itertools.product(words, repeat=n)]
    scores = [sum(log_p(logits, [*ids, END])) / (len(ids) + 1) ** normalize for ids in every]
    best = int(np.argmax(scores))
    return list(every[best]), float(scores[best])


def result(module, name, case):
    """(what a module's function gives in a case, what its model was asked); text where it raises.

    The numbers of an answer are its score and its ids.
    """
    asked = set()

    def found(module, case):
        if name == "log_softmax":
            return [np.asarray(module.log_softmax(case.copy()))]
        logits, settings = case

        def model(ids):
            asked.add(tuple(map(int, ids)))
            return logits(ids).copy()
        ids, score = module.beam_search(model, **settings)
        return [np.array([score, *ids], float)]
    return attempt(found, module, case), asked


def same(ours, theirs):
    """Do two results end alike and, where nothing was raised, after the same questions?"""
    (a, ours), (b, theirs) = ours, theirs
    return alike(a, b) and (isinstance(a, str) or ours == theirs)


@functools.cache
def known(student, name):
    """The words of the mistake, or of two, that give the student's results; None if none does."""
    theirs = [result(student, name, case) for case in CASES[name]]
    return named(PAGE, [row for row in SUSPECTS if row[0] == name], lambda module: all(
        same(result(module, name, case), their) for case, their in zip(CASES[name], theirs)))


def search(student, logits, *, end=END, **settings):
    """(ids, score) of the student's search, the model asked as it should be."""
    asked, rows, strange = [], [], []

    def model(ids):
        if not isinstance(ids, list):
            strange.append(ids)
        asked.append(list(ids))
        row = np.array(logits(ids), float)
        rows.append((row, row.copy()))
        return row

    try:
        answer = call(student.beam_search, model, end=end, **settings)
    except (Wrong, NotImplementedError):
        raise
    except Exception as error:
        error.likely = known(student, "beam_search")
        raise
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise Wrong("beam_search does not return a pair", got=str(answer), expected="(ids, score)")
    ids, score = answer
    if not isinstance(ids, list):
        raise Wrong(f"beam_search's ids are {kind(ids)}", got=str(answer),
                    expected="(ids, score), ids a list",
                    likely=isinstance(score, list) and "the ids come first, then the score" or None)
    if not all(isinstance(v, numbers.Integral) for v in ids):
        raise Wrong("beam_search's ids are no whole numbers", got=str(answer),
                    expected="(ids, score), ids a list of int")
    if np.ndim(score) or not isinstance(score, np.ndarray | np.number | float | int):
        raise Wrong(f"beam_search's score is {kind(score)}", got=str(answer),
                    expected="(ids, score), the score a number")
    if strange:
        raise Wrong(f"logits is called with {kind(strange[0])}", expected="a list of ids")
    beyond = [ids for ids in asked if end in ids]
    if beyond:
        raise Wrong("the model is asked after `end`", got=f"logits({beyond[0]}), where `end` is "
                    f"{end}", expected="a finished answer is not continued",
                    likely=known(student, "beam_search"))
    for ids, (row, kept) in zip(asked, rows):
        if not np.array_equal(row, kept):
            raise Wrong("the scores that logits returned are changed", got=row, expected=kept,
                        tried=f"logits({ids}) was asked, and its array looked at later",
                        likely="`x -= ...` writes into the model's array: write x = x - ...")
    return [int(v) for v in answer[0]], float(score), asked


def compare(student, what, logits, want, *, tried=None, **settings):
    """Wrong unless the student's search gives `want`, (ids, score); else the beginnings asked."""
    ids, score, asked = search(student, logits, **settings)
    shown = ", ".join(f"{name}={value}" for name, value in settings.items()) + f", end={END}"
    if ids != want[0]:
        raise Wrong(what, tried="\n".join([shown, *[tried] * (tried is not None)]),
                    got=str((ids, score)), expected=str(want),
                    likely=known(student, "beam_search"))
    if not abs(score - want[1]) <= 1e-9:
        each = log_p(logits, [*ids, END][:settings["most"]])
        near = diagnosis.near(np.array(score), np.array(want[1]))
        raise Wrong("the answer is right, its score is not", got=repr(score),
                    tried=f"{shown}\nanswer {ids}, log P of each token "
                          f"{np.round(each, 4).tolist()}",
                    expected=repr(float(want[1])), likely=known(student, "beam_search") or (
                        near and "it agrees to five digits: look for a float32 on the way, or an "
                        "epsilon\nthat is not in the equation") or None)
    return asked


def check_log_softmax(student):
    "log_softmax, of large numbers too"
    for x in CASES["log_softmax"]:
        top, kept = x - x.max(), x.copy()
        got, want = call(student.log_softmax, x), top - np.log(np.exp(top).sum())
        if not np.array_equal(x, kept):
            raise Wrong("log_softmax changes its input x", got=x, expected=kept,
                        likely="`x -= ...` writes into the caller's array: write x = x - ...")
        expect("log_softmax", got, want, tried={"x": x}, likely=known(student, "log_softmax"))


def check_greedy(student):
    "a beam of 1 is greedy"
    for logits, _ in CASES["beam_search"][:6]:
        ids = []
        while len(ids) < 4 and END not in ids:
            ids.append(int(logits(ids).argmax()))
        compare(student, "with beam=1 the answer is not the greedy one", logits,
                (ids[:-1] if ids[-1] == END else ids, float(np.mean(log_p(logits, ids)))),
                tried=f"the likeliest token each time: {ids}, where {END} is `end`", beam=1, most=4)


def check_scores_are_logits(student):
    "a constant added to a row of scores changes nothing"
    logits = table(seed=1)
    ids, score, _ = search(student, logits, beam=2, most=4)
    compare(student, "scores shifted by a constant give another answer",
            lambda ids: logits(ids) + 7.0 * len(ids) + 1, (ids, score), beam=2, most=4,
            tried="the scores of the next token plus 7 t + 1, after t tokens")


def check_wider(student):
    "a wider beam finds what greedy misses"
    for beam, want in (1, ([1], float(np.log(0.3)))), (2, ([2], float(np.log(0.36)))):
        compare(student, f"with beam={beam} the answer is wrong", WIDER, want, beam=beam, most=3,
                normalize=0.0, tried="P(1) = 0.6, P(2) = 0.4; P(end | 1) = 0.5, P(end | 2) = 0.9: "
                                     "1 end has 0.3, 2 end has 0.36")


def check_finished(student):
    "a finished answer keeps its place until better ones displace it"
    compare(student, "the finished answer is lost", FIRST, ([], float(np.log(0.5))), beam=2, most=3,
            normalize=0.0, tried="P(end) = 0.5 at once; nothing longer has more than 0.15")
    compare(student, "where better ones displace a finished answer the search goes wrong",
            DISPLACED, ([1, 1], float(np.log(0.6 * 0.51 * 0.7))), beam=2, most=3, normalize=0.0,
            tried="after one token: 1 has 0.6, end has 0.25\n"
                  "after two: 1 1 has 0.306, 1 2 has 0.294, end has 0.25; two are kept")


def check_place(student):
    "a finished answer takes up one of the places"
    *_, asked = search(student, PLACE, beam=2, most=3)
    if [1] not in asked:
        raise Wrong("the search ends too early", got="the model is not asked after [1]",
                    expected="`end` and 1 are kept, and 1 is continued",
                    tried="beam=2, most=3; P(end) = 0.4, P(1) = 0.6",
                    likely=known(student, "beam_search"))
    compare(student, "with a finished answer among those kept the search goes wrong", PLACE,
            ([1, 1], float(np.log(0.6 * 0.51 * 0.9) / 3)), beam=2, most=3,
            tried="after one token: 1 has 0.6, end has 0.4\n"
                  "after two: end has 0.4, 1 1 has 0.306, 1 2 has 0.294; two are kept\n"
                  "in the end: end has log 0.4 / 1 = -0.916, 1 1 end has log 0.275 / 3 = -0.430")


def check_length(student):
    "length normalization"
    for normalize, want in ((0.0, ([], np.log(0.3))), (1.0, ([1, 1], np.log(0.294) / 3)),
                            (0.7, ([1, 1], np.log(0.294) / 3 ** 0.7))):
        compare(student, f"with normalize={normalize} the answer is wrong", LENGTH,
                (want[0], float(want[1])), beam=3, most=3, normalize=normalize,
                tried="P(end) = 0.3 with n = 1; P(1 1 end) = 0.7 · 0.6 · 0.7 = 0.294 with n = 3")


def check_limit(student):
    "at the limit finished answers come first"
    compare(student, "at the limit the wrong answer is taken", LOOP, ([], float(np.log(0.2))),
            beam=2, most=4, tried="P(end) = 0.2, P(1) = 0.8, and after 1 comes 1 for ever: end is "
                                  "finished, 1 1 1 1 is not")
    compare(student, "where nothing is finished at the limit, the answer is wrong", LOOP,
            ([1] * 4, float(np.log(0.8) / 4)), beam=1, most=4,
            tried="P(1) = 0.8, and after 1 comes 1 for ever: 1 1 1 1 is all there is")
    compare(student, "an answer that cannot be is taken", NO_END, ([1] * 4, 0.0), beam=2, most=4,
            tried="P(1) = 1 and P(end) = 0, always")


def check_end(student):
    "`end` may be any id"
    logits = table(seed=2)
    turn = [1, 2, 0]                                            # the place of each id in our rows
    for beam in 1, 2, 3:
        ids, score, _ = search(student, logits, beam=beam, most=4)
        shifted = search(student, lambda ids: logits([turn[v] for v in ids])[turn], beam=beam,
                         most=4, end=2)
        want = [turn.index(v) for v in ids]
        if shifted[0] != want or not abs(shifted[1] - score) <= 1e-9:
            raise Wrong("with another `end` the answer is another", got=str(shifted[:2]),
                        tried=f"beam={beam}, most=4, end=2; the model has the ids 1, 2, 0 where "
                              "it had 0, 1, 2 before",
                        expected=f"{(want, score)}, as with end=0",
                        likely=known(student, "beam_search"))


def check_once(student):
    "the model is asked once for each beginning"
    *_, asked = search(student, table(V=4, seed=3), beam=3, most=4)
    often = max(asked, key=asked.count)
    if asked.count(often) > 1:
        raise Wrong("the model is asked more than once for a beginning", tried="beam=3, most=4",
                    got=f"logits({often}) is called {asked.count(often)} times", expected="once",
                    likely="asking is what costs: call logits before the loop over the tokens, and "
                           "keep the row")
    rounds = [sum(len(ids) == n for ids in asked) for n in range(5)]
    if max(rounds) > 3 or rounds[4]:
        n = 4 if rounds[4] else int(np.argmax(rounds))
        raise Wrong("the model is asked about beginnings that are not kept", tried="beam=3, most=4",
                    got=f"after {n} tokens it is asked {rounds[n]} times",
                    expected="not at all" if n == 4 else "at most 3 times, as 3 are kept",
                    likely=known(student, "beam_search"))


def check_exact(student):
    "a beam of V^n is exact"
    for seed, normalize in itertools.product(range(3), (0.0, 0.7, 1.0)):
        logits = table(seed=seed)
        compare(student, "with a beam of V^n = 81 the answer is not the best of all", logits,
                best_of_all(logits, 3, 4, normalize), beam=81, most=4, normalize=normalize,
                tried="of all answers of up to 4 tokens, `end` too")


def check_same(student):
    "any beam gives what nanollm/beam.py gives"
    from nanollm.beam import Search
    from nanollm.text.words import END as THEIRS
    for seed, beam in itertools.product(range(8), (2, 3, 5)):
        logits, theirs = table(V=4, seed=seed), Search(1, beam, 4)
        row = np.array([THEIRS, 1, 4, 5])           # our token → theirs: END is 3 there
        back = np.zeros(6, int)
        back[row] = np.arange(4)
        while not theirs.over:
            x = np.zeros((beam, 6))
            x[:, row] = [logits(back[ids]) if END not in back[ids] else np.zeros(4)
                         for ids in theirs.written[0]]
            theirs.extend(x)
        (ids,), (score,) = theirs.answers(1.0)
        compare(student, f"with beam={beam} the answer differs from nanollm/beam.py's", logits,
                (back[np.array(ids, int)].tolist(), float(score)), beam=beam, most=4,
                tried=f"random scores of 4 tokens, seed {seed}")


EXERCISE = Exercise(
    name="beam", title="Beam search with length normalization", group="pieces",
    notebook="09_seq2seq", page=PAGE, blanks=("log_softmax", "beam_search"), suspects=SUSPECTS,
    checks=(check_log_softmax, check_greedy, check_scores_are_logits, check_wider, check_finished,
            check_place, check_length, check_limit, check_end, check_exact, check_same,
            check_once),
    hints=(
        ("Keep a list of (log P, ids). Each round: continue every beginning by every token, sort "
         "all of it together, keep the best `beam`. A finished beginning goes into the next list "
         "unchanged.",
         "维护一个 (log P, ids) 的列表。每一轮：把每个开头接上每个词元，全部放在一起排序，"
         "只留下最好的 beam 个。已经结束的开头原样进入下一个列表。"),
        ("log P of a longer beginning is the old sum plus log_softmax(logits(ids))[v]. Only at the "
         "end is it divided by n^normalize, n counting `end`; finished answers come first.",
         "更长开头的 log P 等于旧的和加上 log_softmax(logits(ids))[v]。"
         "只在最后才除以 n^normalize，n 把 end 也算在内；已结束的答案优先。"),
        ("kept = sorted(longer, key=lambda pair: -pair[0])[:beam]; leave the loop when all kept "
         "end with `end`; answer = max over those that end with `end`, or over kept if there are "
         "none, of total / len(ids) ** normalize, its `end` cut off.",
         "kept = sorted(longer, key=lambda pair: -pair[0])[:beam]；若 kept 都以 end 结尾就跳出循"
         "环；"
         "答案是以 end 结尾者（若没有，则是 kept）中 total / len(ids) ** normalize 最大者，"
         "去掉末尾的 end。"),
    ))
