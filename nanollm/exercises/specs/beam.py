"""Beam search with length normalization."""

import itertools

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call, expect

END = 0


def table(V=3, most=4, seed=0, spread=2.0):
    """A model: the scores (V,) of the next token for every beginning of up to `most` tokens."""
    r = np.random.default_rng(seed)
    scores = {ids: spread * r.standard_normal(V) for n in range(most)
              for ids in itertools.product(range(V), repeat=n)}
    return lambda ids: scores[tuple(map(int, ids))]


def probabilities(rows):
    """A model from {beginning: probabilities}; END is certain after any other beginning."""
    return lambda ids: np.log(np.array(rows.get(tuple(map(int, ids)), [1.0, 0, 0])))


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
    return list(every[best]), scores[best]


def search(student, logits, **settings):
    answer = call(student.beam_search, logits, end=END, **settings)
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise Wrong("beam_search does not return a pair", got=answer, expected="(ids, score)")
    ids, score = answer
    return [int(v) for v in ids], float(score)


def compare(what, got, want, *, likely=None, tried=None):
    if got[0] != want[0] or not abs(got[1] - want[1]) <= 1e-9:
        raise Wrong(what, tried=tried, got=got, expected=want, likely=likely)


def check_log_softmax(student):
    "log_softmax, of large numbers too"
    for x in np.log([1.0, 3.0, 4.0]), np.array([1000.0, 1000.0]), np.array([-1000.0, 0.0]):
        top, kept = x - x.max(), x.copy()
        expect("log_softmax", call(student.log_softmax, x), top - np.log(np.exp(top).sum()),
               tried={"x": x}, likely="x - log(Σ exp x); subtract the largest first, or exp "
                                      "overflows")
        if not np.array_equal(x, kept):
            raise Wrong("log_softmax changes its input x", got=x, expected=kept,
                        likely="`x -= ...` writes into the caller's array: write x = x - ...")


def check_greedy(student):
    "a beam of 1 is greedy"
    for seed in range(5):
        logits, ids = table(seed=seed), []
        while len(ids) < 4 and END not in ids:
            ids.append(int(logits(ids).argmax()))
        each = log_p(logits, ids)
        want, got = ids[:-1] if ids[-1] == END else ids, search(student, logits, beam=1, most=4)
        tried = (f"beam=1, most=4, end={END}, normalize=1; greedy says {ids},\n"
                 f"log P of each token {np.round(each, 4).tolist()}")
        if got[0] != want:
            raise Wrong("with beam=1 the answer is not the greedy one", tried=tried, got=got[0],
                        expected=want, likely="keep the likeliest `beam` beginnings, by their sum "
                                              "of log P; `end` is no\npart of the answer")
        compare("the answer is right, its score is not", got, (want, float(np.mean(each))),
                tried=tried, likely=f"the score is log P / n^normalize; n counts `end`: "
                                    f"{len(ids)} here")


def check_scores_are_logits(student):
    "a constant added to a row of scores changes nothing"
    logits = table(seed=1)
    shifted = search(student, lambda ids: logits(ids) + 7.0 * len(ids) + 1, beam=2, most=4)
    compare("scores shifted by a constant give another answer", shifted,
            search(student, logits, beam=2, most=4),
            likely="the sum is of log P: take log_softmax of the scores before adding")


def check_wider(student):
    "a wider beam finds what greedy misses"
    logits = probabilities({(): [0.0, 0.6, 0.4], (1,): [0.5, 0.25, 0.25], (2,): [0.9, 0.05, 0.05]})
    with np.errstate(divide="ignore"):
        for beam, want in ((1, [1]), (2, [2])):
            got, score = search(student, logits, beam=beam, most=3, normalize=0.0)
            if got != want:
                raise Wrong(f"with beam={beam} the answer is wrong", got=str(got),
                            expected=str(want),
                            tried="P(1) = 0.6, P(2) = 0.4; P(end | 1) = 0.5, P(end | 2) = 0.9",
                            likely="0.6 · 0.5 = 0.3 is less than 0.4 · 0.9 = 0.36; of all "
                                   "continuations of all\nbeginnings the best `beam` are kept")


def check_finished(student):
    "a finished answer is not continued, and keeps its place"
    rows = {(): [0.5, 0.3, 0.2]} | {ids: [0.1, 0.5, 0.4] for n in (1, 2)
                                    for ids in itertools.product((1, 2), repeat=n)}
    asked = []

    def logits(ids):
        asked.append(tuple(map(int, ids)))
        return np.log(np.array(rows.get(asked[-1], rows[()])))

    found = search(student, logits, beam=2, most=3, normalize=0.0)
    beyond = [ids for ids in asked if END in ids]
    if beyond:
        raise Wrong("a finished answer is continued", got=f"the model is asked after {beyond[0]}",
                    expected=f"no token after `end` = {END}",
                    likely="keep a beginning that ends with `end` as it is, with its log P")
    compare("the finished answer has lost its place", found, ([], float(np.log(0.5))),
            tried="P(end) = 0.5 at once; nothing longer has more than 0.15",
            likely="carry finished answers over into the next round, where they compete with the "
                   "others")


def check_place(student):
    "a finished answer takes up one of the places"
    model = probabilities({(): [0.4, 0.6, 0.0], (1,): [0.0, 0.51, 0.49], (1, 1): [0.9, 0.1, 0.0]})
    asked = []

    def logits(ids):
        asked.append(tuple(map(int, ids)))
        return model(ids)

    with np.errstate(divide="ignore"):
        got = search(student, logits, beam=2, most=3)
    if (1,) not in asked:
        raise Wrong("the search ends too early", got="the model is not asked after 1",
                    expected="`end` and 1 are kept, and 1 is continued",
                    tried="beam=2; P(end) = 0.4, P(1) = 0.6",
                    likely="the search goes on as long as one place is not finished")
    if got[0] == []:
        raise Wrong("of two finished answers the wrong one is taken", got=got[0], expected=[1, 1],
                    tried="beam=2, normalize=1; end has P = 0.4, 1 1 end has 0.275",
                    likely="the best has the largest log P / n^normalize: log 0.4 / 1 is -0.916, "
                           "and\nlog 0.275 / 3 is -0.430")
    compare("with a finished answer in the beam the search goes on wrongly", got,
            ([1, 1], float(np.log(0.6 * 0.51 * 0.9) / 3)),
            tried="beam=2; after two tokens: end has 0.4, 1 1 has 0.306, 1 2 has 0.294",
            likely="`end` keeps one of the two places, so that only 1 1 is continued, not 1 2")


def check_length(student):
    "length normalization"
    logits = probabilities({(): [0.3, 0.7, 0.0], (1,): [0.0, 0.6, 0.4], (1, 1): [0.7, 0.3, 0.0],
                            (1, 2): [0.7, 0.3, 0.0]})
    with np.errstate(divide="ignore"):
        for normalize, want in ((0.0, ([], np.log(0.3))),
                                (1.0, ([1, 1], np.log(0.7 * 0.6 * 0.7) / 3))):
            compare(f"with normalize={normalize} the answer or its score is wrong",
                    search(student, logits, beam=3, most=3, normalize=normalize),
                    (want[0], float(want[1])),
                    tried="P(end) = 0.3; P(1 1 end) = 0.7 · 0.6 · 0.7 = 0.294",
                    likely="the score is log P / n^normalize; n counts `end`: 1 and 3 here")


def check_limit(student):
    "at the limit finished answers come first"
    logits = probabilities({(1,) * n: [0.0, 1.0, 0.0] for n in range(1, 4)}
                           | {(): [0.2, 0.8, 0.0]})
    with np.errstate(divide="ignore"):
        compare("at the limit an unfinished beginning is taken for the answer",
                search(student, logits, beam=2, most=4), ([], float(np.log(0.2))),
                tried="beam=2, most=4; P(end) = 0.2, P(1) = 0.8, and after 1 comes 1 for ever",
                likely="1 1 1 1 has the better mean, but it is cut off, not finished: as long as "
                       "one of\nthose left ends with `end`, the best of these is the answer")
        compare("where nothing is finished at the limit, the answer is wrong",
                search(student, logits, beam=1, most=4), ([1] * 4, float(np.log(0.8) / 4)),
                tried="beam=1, most=4; P(1) = 0.8, and after 1 comes 1 for ever",
                likely="none of those left ends with `end`: the best beginning is the answer, all "
                       "of it")
        compare("an answer that cannot be is taken",
                search(student, probabilities({(1,) * n: [0.0, 1.0, 0.0] for n in range(4)}),
                       beam=2, most=4), ([1] * 4, 0.0),
                tried="beam=2, most=4; P(1) = 1 and P(end) = 0, always",
                likely="`end` has its place in the beam only because there is nothing else: its "
                       "log P is\n-inf, and so it is no finished answer")


def check_exact(student):
    "a beam of V^n is exact"
    for seed, normalize in itertools.product(range(3), (0.0, 0.7, 1.0)):
        logits = table(seed=seed)
        compare("with a beam of V^n = 81 the answer is not the best of all",
                search(student, logits, beam=81, most=4, normalize=normalize),
                best_of_all(logits, 3, 4, normalize), tried={"seed": seed, "normalize": normalize},
                likely="nothing is dropped with such a beam: look at what is kept, and at the "
                       "score")


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
        compare(f"with beam={beam} the answer differs from nanollm/beam.py's",
                search(student, logits, beam=beam, most=4),
                (back[np.array(ids, int)].tolist(), float(score)), tried={"seed": seed},
                likely="the best `beam` of all continuations together, not of each beginning")


EXERCISE = Exercise(
    name="beam", title="Beam search with length normalization", group="pieces",
    notebook="09_seq2seq", page="nanollm/exercises/pages/beam.py",
    blanks=("log_softmax", "beam_search"),
    checks=(check_log_softmax, check_greedy, check_scores_are_logits, check_wider, check_finished,
            check_place, check_length, check_limit, check_exact, check_same),
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
