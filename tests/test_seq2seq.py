"""Models of recurrence: the LSTM of the documents, and sequence to sequence."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose

from nanollm import nn, optim
from nanollm.errors import InputError
from nanollm.gradcheck import check_direction
from nanollm.models.recurrent import Classifier, LanguageModel
from nanollm.beam import Search
from nanollm.models.seq2seq import ATTENTIONS, CELLS, Seq2Seq, Seq2SeqConfig
from nanollm.tape import Tape
from nanollm.text.words import END, PAD, START

SOURCE, LENGTHS = np.array([[4, 5, 6, 4, 5], [6, 4, 0, 0, 0], [5, 5, 4, 0, 0]]), np.array([5, 2, 3])
TARGET = np.array([[START, 4, 5, 4, END], [START, 5, END, PAD, PAD], [START, 4, 4, 5, END]])
every_model = pytest.mark.parametrize("attention, cell, bidirectional", [
    (attention, cell, both) for attention in ATTENTIONS for cell in CELLS
    for both in (True, False)])


@pytest.fixture(autouse=True)
def on(backend):
    """The backend under test, in use."""
    from nanollm.backend import use
    with use(backend):
        yield


def seq2seq(seed=0, **changes):
    """A small model in float64; the bridge is there when `decoder` is not the memory's width."""
    sizes = {"source": 7, "target": 6, "width": 3, "encoder": 4, "decoder": 8, "layers": 2}
    config = Seq2SeqConfig(**{**sizes, **changes})
    return Seq2Seq(config, np.random.default_rng(seed)).to("float64")


def gradient_of(model, *arrays, **options):
    parameters = model.parameters()
    with Tape() as tape:
        loss = model.loss(*arrays, **options)
    return dict(zip(parameters, tape.gradient(loss, list(parameters.values()))))


def learn(model, *arrays, steps, lr=2e-2):
    state = optim.adamw_state(model.parameters())
    for _ in range(steps):
        optim.adamw(model.parameters(), gradient_of(model, *arrays), state, lr=lr, decay=0)
    return float(model.loss(*arrays).numpy())


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def log_p(model, source, ids, most=None):
    """log P of an answer by teacher forcing; without END if it has `most` tokens."""
    said = [*ids, END] if most is None or len(ids) < most else list(ids)
    logits = model(source[None], None, np.array([[START, *said[:-1]]])).numpy()[0]
    logits[:, [PAD, START]] = -np.inf
    return log_softmax(logits)[np.arange(len(said)), said].sum()


# The LSTM of the documents

def test_the_summary_of_the_documents_has_9_699_parameters():
    model = Classifier(40, 32, 32, 3, rng=np.random.default_rng(0))
    assert [n for _, _, n in model.summary()] == [1_280, 8_320, 99]
    assert model.count() == 9_699


def test_summaries_add_up_to_all_parameters():
    rng = np.random.default_rng(0)
    for model in (LanguageModel(9, 3, 4, rng=rng, layers=2),
                  Classifier(9, 3, 4, 5, rng=rng, layers=2, bidirectional=True),
                  *(seq2seq(attention=a, decoder=d) for a in ATTENTIONS for d in (5, 8))):
        assert sum(n for _, _, n in model.summary()) == model.count()


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("both", [False, True])
def test_a_classifier_has_the_gradient_of_its_loss(pooling, both, r):
    model = Classifier(7, 3, 4, 3, rng=np.random.default_rng(0), layers=2, bidirectional=both,
                       pooling=pooling).to("float64")
    arrays = SOURCE, LENGTHS, np.array([0, 2, 1])
    check_direction(lambda: model.loss(*arrays).numpy(), model.parameters(),
                    gradient_of(model, *arrays), np.random.default_rng(1))


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_classifier_does_not_see_padding(pooling):
    model = Classifier(7, 3, 4, 3, rng=np.random.default_rng(0), bidirectional=True,
                       pooling=pooling).to("float64")
    together = model(SOURCE, LENGTHS).numpy()
    for row, n, expected in zip(SOURCE, LENGTHS, together):
        assert_allclose(model(row[None, :n]).numpy()[0], expected, rtol=1e-12)
    other = np.where(np.arange(5) < LENGTHS[:, None], SOURCE, 6)
    assert np.array_equal(model(other, LENGTHS).numpy(), together)


def test_a_language_model_has_the_gradient_of_its_loss():
    model = LanguageModel(7, 3, 4, rng=np.random.default_rng(0), layers=2).to("float64")
    arrays = SOURCE, np.where(SOURCE == 0, -1, SOURCE)
    check_direction(lambda: model.loss(*arrays).numpy(), model.parameters(),
                    gradient_of(model, *arrays), np.random.default_rng(1))


def test_a_language_model_writes_what_it_has_learned():
    model = LanguageModel(7, 8, 16, rng=np.random.default_rng(0))
    text = np.array([[START, 4, 5, 6, 6, 5, END]])
    learn(model, text[:, :-1], text[:, 1:], steps=60)
    write = {"end": END, "rng": np.random.default_rng(0), "temperature": 0}
    assert model.write([START], **write) == [4, 5, 6, 6, 5]
    assert model.write([START, 4, 5], **write) == [6, 6, 5]
    assert model.write([START], most=2, **write) == [4, 5]


def test_a_language_model_does_not_write_what_is_no_text():
    model = LanguageModel(7, 3, 4, rng=np.random.default_rng(0))
    sure = np.array([30, 0, 30, 0, 1, 1, 0], np.float32)        # logits of PAD and START: 30
    model.load_state_dict({**model.state_dict(), "head.b": sure})
    for temperature in 0, 1, 50:
        free, kept = (model.write([4], end=END, most=30, rng=np.random.default_rng(1), never=never,
                                  temperature=temperature) for never in ((), (PAD, START)))
        assert {PAD, START} & set(free) and kept and not {PAD, START} & set(kept)


# Sequence to sequence: what the loss says

@every_model
def test_seq2seq_has_the_gradient_of_its_loss(attention, cell, bidirectional):
    for decoder in 8 if bidirectional else 4, 5:        # without and with a bridge
        model = seq2seq(attention=attention, cell=cell, bidirectional=bidirectional,
                        decoder=decoder)
        assert bool(model.bridge) == (decoder == 5)
        arrays = SOURCE, LENGTHS, TARGET
        check_direction(lambda: model.loss(*arrays).numpy(), model.parameters(),
                        gradient_of(model, *arrays), np.random.default_rng(1))


@every_model
def test_all_steps_at_once_are_the_steps_one_by_one(attention, cell, bidirectional):
    model = seq2seq(attention=attention, cell=cell, bidirectional=bidirectional, decoder=5)
    at_once = model(SOURCE, LENGTHS, TARGET[:, :-1]).numpy()
    memory, state = model.encode(SOURCE, LENGTHS)
    for t in range(TARGET.shape[1] - 1):
        logits, state = model.step(TARGET[:, t], memory, state)
        assert_allclose(logits, at_once[:, t], rtol=1e-10)


@every_model
def test_padding_changes_no_result(attention, cell, bidirectional):
    model = seq2seq(attention=attention, cell=cell, bidirectional=bidirectional)
    together = model(SOURCE, LENGTHS, TARGET[:, :-1]).numpy()
    answers, scores = model.translate(SOURCE, LENGTHS, beam=3, most=6)
    losses, counts = [], (TARGET[:, 1:] != PAD).sum(axis=1)
    for b, n in enumerate(LENGTHS):
        source, target = SOURCE[b:b + 1, :n], TARGET[b:b + 1, :counts[b] + 1]
        assert_allclose(model(source, None, TARGET[b:b + 1, :-1]).numpy()[0], together[b],
                        rtol=1e-10)
        losses.append(float(model.loss(source, None, target).numpy()))
        (answer,), (score,) = model.translate(source, beam=3, most=6)
        assert answer == answers[b]
        assert score == pytest.approx(scores[b], rel=1e-9)
    expected = (np.array(losses) * counts).sum() / counts.sum()
    assert float(model.loss(SOURCE, LENGTHS, TARGET).numpy()) == pytest.approx(expected, rel=1e-10)
    other = np.where(np.arange(5) < LENGTHS[:, None], SOURCE, 6)
    assert np.array_equal(model(other, LENGTHS, TARGET[:, :-1]).numpy(), together)


def test_the_decoder_does_not_see_what_it_must_say():
    model = seq2seq()
    before = model(SOURCE, LENGTHS, TARGET[:, :-1]).numpy()
    changed = TARGET[:, :-1].copy()
    changed[:, 2] = 3
    after = model(SOURCE, LENGTHS, changed).numpy()
    assert np.array_equal(after[:, :2], before[:, :2])
    assert not np.allclose(after[:, 2], before[:, 2])


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_source_token_matters(attention):
    model = seq2seq(attention=attention)
    before = model(SOURCE, LENGTHS, TARGET[:, :-1]).numpy()
    for b, n in enumerate(LENGTHS):
        for s in range(n):
            changed = SOURCE.copy()
            changed[b, s] = 3
            after = model(changed, LENGTHS, TARGET[:, :-1]).numpy()
            assert not np.allclose(after[b], before[b], rtol=1e-6)
            assert np.array_equal(np.delete(after, b, 0), np.delete(before, b, 0))


@pytest.mark.parametrize("attention", ATTENTIONS[1:])
def test_alignments_are_distributions_over_the_tokens(attention):
    p = seq2seq(attention=attention).alignments(SOURCE, LENGTHS, TARGET)
    assert p.shape == (3, 4, 5)
    assert_allclose(p.sum(axis=-1), 1)
    for row, n in zip(p, LENGTHS):
        assert (row[:, :n] > 0).all() and not row[:, n:].any()


def test_attention_is_what_the_paper_says():
    model = seq2seq(layers=1, decoder=5)
    memory, state = model.encode(SOURCE[:1])
    h, _ = model.states(TARGET[:1, :-1], memory, state)
    m, h = memory.values.numpy()[0], h.numpy()[0]                       # (S, M), (T, H)
    scores = h @ (m @ model.attention.key.w.numpy()).T                  # (T, S)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    mixed = np.tanh(np.concatenate([p @ m, h], axis=1) @ model.attention.mix.w.numpy())
    logits = mixed @ model.head.w.numpy() + model.head.b.numpy()
    assert_allclose(model(SOURCE[:1], None, TARGET[:1, :-1]).numpy()[0], logits, rtol=1e-10)


# Sequence to sequence: search

def greedy(model, source, most):
    """The likeliest token each time, by teacher forcing anew for every token."""
    ids = []
    while len(ids) < most:
        logits = model(source[None], None, np.array([[START, *ids]])).numpy()[0, -1]
        logits[[PAD, START]] = -np.inf
        if (token := int(logits.argmax())) == END:
            break
        ids.append(token)
    return ids


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_of_1_is_greedy(seed):
    model = seq2seq(seed)
    model.head.w.data *= 8                              # surer, so that answers differ
    answers, scores = model.translate(SOURCE, LENGTHS, most=7, normalize=0)
    for row, n, answer, score in zip(SOURCE, LENGTHS, answers, scores):
        assert answer == greedy(model, row[:n], 7)
        assert score == pytest.approx(log_p(model, row[:n], answer, 7), rel=1e-9)


@pytest.mark.parametrize("normalize", [0, 1])
def test_a_beam_that_keeps_everything_finds_the_best_of_all_answers(normalize):
    model, most = seq2seq(3), 3
    model.head.w.data *= 4
    V, source = model.config.target, SOURCE[0]
    tokens = [v for v in range(V) if v not in (PAD, START, END)]
    every = [ids for n in range(most) for ids in product(tokens, repeat=n)]

    def score(ids):
        return log_p(model, source, ids) / (len(ids) + 1) ** normalize

    best = max(every, key=score)
    (answer,), (found,) = model.translate(source[None], beam=V ** most, most=most,
                                          normalize=normalize)
    assert tuple(answer) == best
    assert found == pytest.approx(score(best), rel=1e-9)


def test_neither_padding_nor_start_is_written():
    sure = np.array([30, 0, 30, 0, 1, 1.0])             # logits of PAD and START: 30
    for seed in range(3):
        model = seq2seq(seed)
        model.load_state_dict({**model.state_dict(), "head.b": sure})
        for beam in 1, 5:
            answers, scores = model.translate(SOURCE, LENGTHS, beam=beam, most=4, normalize=0)
            assert not {PAD, START} & {v for ids in answers for v in ids}
            for row, n, answer, score in zip(SOURCE, LENGTHS, answers, scores):
                assert score == pytest.approx(log_p(model, row[:n], answer, 4), rel=1e-9)
        assert model.translate(SOURCE, LENGTHS, most=4)[0] == [
            greedy(model, row[:n], 4) for row, n in zip(SOURCE, LENGTHS)]


def test_at_the_limit_finished_answers_come_before_a_loop():
    model = seq2seq()
    for t in model.head.parameters().values():
        t.data[...] = 0
    p = np.full(6, 0.02)
    p[4], p[END] = 0.8, 0.16                            # whatever came before
    model.head.b.data[:] = np.log(p)
    for normalize in 0, 1, 2:
        answers, scores = model.translate(SOURCE, LENGTHS, beam=2, most=3, normalize=normalize)
        assert answers == [[]] * 3                      # END 0.16; 4 4 4 has 0.512
        assert_allclose(scores, np.log(0.16))
        answers, scores = model.translate(SOURCE, LENGTHS, beam=1, most=3, normalize=normalize)
        assert answers == [[4, 4, 4]] * 3               # nothing else is left
        assert_allclose(scores, 3 * np.log(0.8) / 3 ** normalize)


def test_of_equal_answers_the_first_is_kept():
    search = Search(2, 3, 5)
    assert search.extend(np.zeros((6, 100))).tolist() == [0, 0, 0, 3, 3, 3]
    assert search.last.tolist() == [1, END, 4] * 2              # no PAD, no START
    assert search.extend(np.zeros((6, 100))).tolist() == [1, 0, 0, 4, 3, 3]
    assert search.last.tolist() == [END, 1, END] * 2            # the finished one costs nothing
    logits = np.random.default_rng(0).integers(2, size=(9, 300)).astype(float)
    logits[:, [PAD, START]] = 0
    search = Search(3, 3, 5)
    search.extend(logits)
    assert search.last.tolist() == [v for row in logits[::3] for v in np.flatnonzero(row)[:3]]


def test_a_search_among_scores_that_are_no_numbers_is_refused():
    for bad in np.nan, np.inf, -np.inf:
        logits = np.zeros((6, 9))
        logits[4, [5] if bad > -np.inf else slice(None)] = bad
        with pytest.raises(InputError, match="scores are not numbers"):
            Search(2, 3, 5).extend(logits)


def test_a_score_is_the_probability_of_the_answer_also_off_the_greedy_path():
    """Each beginning goes on from its own state, though beginnings change places."""
    rng, off = np.random.default_rng(1), 0
    for seed in range(6):
        model = seq2seq(seed)
        model.head.w.data *= 8
        source = rng.integers(4, 7, (12, 5))
        answers, scores = model.translate(source, beam=5, most=6, normalize=0.5)
        for row, answer, score in zip(source, answers, scores):
            n = min(len(answer) + 1, 6)
            assert score == pytest.approx(log_p(model, row, answer, 6) / n ** 0.5, rel=1e-9)
            off += answer != greedy(model, row, 6)
    assert off > 5


def test_a_wider_beam_finds_likelier_answers():
    rng, gained = np.random.default_rng(0), 0
    for seed in range(10):
        model = seq2seq(seed)
        model.head.w.data *= 8
        source = rng.integers(4, 7, (8, 5))
        model.head.b.data[END] = 1                          # or few end before the limit
        (greedy, few), (wide, many) = (
            model.translate(source, beam=beam, most=8, normalize=0) for beam in (1, 6))
        both = [len(a) < 8 and len(b) < 8 for a, b in zip(greedy, wide)]
        assert many[both].sum() >= few[both].sum()
        gained += (many[both] > few[both] + 1e-9).sum()
    assert gained > 10


def test_without_normalization_short_answers_win():
    model = seq2seq(1)
    plain, long = (model.translate(SOURCE, LENGTHS, beam=20, most=9, normalize=normalize)[0]
                   for normalize in (0, 2))
    assert sum(map(len, plain)) < sum(map(len, long))


def test_it_learns_20_pairs_by_heart_and_reads_them_backwards():
    rng = np.random.default_rng(0)
    rows = [rng.integers(4, 10, rng.integers(2, 6)) for _ in range(20)]
    source = np.array([[*row, *[PAD] * (5 - len(row))] for row in rows])
    target = np.array([[START, *row[::-1], END, *[PAD] * (5 - len(row))] for row in rows])
    lengths = np.array([len(row) for row in rows])
    for attention in ATTENTIONS:
        config = Seq2SeqConfig(10, 10, width=12, encoder=16, decoder=24, attention=attention)
        model = Seq2Seq(config, np.random.default_rng(0))
        assert learn(model, source, lengths, target, steps=120) < 0.05
        for beam in 1, 4:
            answers, _ = model.translate(source, lengths, beam=beam, most=8)
            assert answers == [list(row[::-1]) for row in rows]


def test_dropout_acts_in_training_only():
    model, arrays = seq2seq(dropout=0.5), (SOURCE, LENGTHS, TARGET)
    quiet = float(model.loss(*arrays).numpy())
    assert quiet == float(model.loss(*arrays).numpy())
    assert quiet != float(model.loss(*arrays, rng=np.random.default_rng(0)).numpy())


def test_dropout_is_on_embeddings_between_layers_and_before_the_output(monkeypatch):
    dropped, original = [], nn.drop

    def drop(x, rate, rng):
        dropped.append((*x.shape, rate))
        return original(x, rate, rng)
    monkeypatch.setattr(nn, "drop", drop)
    rng, more = np.random.default_rng(0), {"layers": 2, "dropout": 0.5}
    for model, arrays, expected in (
            (seq2seq(**more), (SOURCE, LENGTHS, TARGET),
             [(3, 5, 3), (3, 5, 8), (3, 4, 3), (3, 4, 8), (3, 4, 8)]),
            (Classifier(7, 3, 4, 2, rng=rng, bidirectional=True, **more),
             (SOURCE, LENGTHS, np.array([0, 1, 1])), [(3, 5, 3), (3, 5, 8), (3, 8)]),
            (LanguageModel(7, 3, 4, rng=rng, **more), (SOURCE, SOURCE),
             [(3, 5, 3), (3, 5, 4), (3, 5, 4)])):
        dropped.clear()
        model.loss(*arrays, rng=rng)
        assert dropped == [(*shape, 0.5) for shape in expected]


# Bad input

@pytest.mark.parametrize("change, words", [
    ({"source": 3}, "source is 3, expected a whole number of at least 4"),
    ({"width": 0}, "width is 0"), ({"layers": 1.5}, "layers is 1.5"),
    ({"cell": "rnn"}, "cell is 'rnn', expected one of lstm, gru"),
    ({"attention": "dot"}, "attention is 'dot', expected one of none, multiplicative, additive"),
    ({"bidirectional": 1}, "bidirectional is 1"), ({"dropout": 1.0}, "dropout is 1.0")])
def test_numbers_that_make_no_model_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        seq2seq(**change)


def classifier(**changes):
    return Classifier(**{"vocab": 7, "width": 3, "hidden": 4, "classes": 3, **changes},
                      rng=np.random.default_rng(0))


def language_model(**changes):
    return LanguageModel(**{"vocab": 7, "width": 3, "hidden": 4, **changes},
                         rng=np.random.default_rng(0))


@pytest.mark.parametrize("call, words", [
    (lambda: classifier(vocab=0), "Classifier: vocab is 0, expected a whole number of at least 1"),
    (lambda: classifier(classes=0), "Classifier: classes is 0"),
    (lambda: classifier(dropout=1.5), "Classifier: dropout is 1.5, expected .* less than 1"),
    (lambda: classifier(pooling="best"), "pooling is 'best', expected one of last, mean"),
    (lambda: classifier()(SOURCE[:, :0]), r"Classifier: ids have shape \(3, 0\)"),
    (lambda: classifier()(SOURCE, np.array([5, 0, 3])), "row 1 has 0 tokens, expected 1 to 5"),
    (lambda: classifier()(SOURCE, np.array([5, 2, 6])), "Classifier: row 2 has 6 tokens"),
    (lambda: classifier()(SOURCE + 1), "token id 7 is out of range"),
    (lambda: classifier().load_state_dict(classifier(hidden=5).state_dict()),
     r"lstm.cells.0.w has shape \(3, 20\), expected \(3, 16\)"),
    (lambda: language_model(vocab=-1), "LanguageModel: vocab is -1"),
    (lambda: language_model(layers=0), "LanguageModel: layers is 0"),
    (lambda: language_model(dropout=-0.1), "LanguageModel: dropout is -0.1"),
    (lambda: language_model()(SOURCE[:, :0]), r"LanguageModel: ids have shape \(3, 0\)"),
    (lambda: language_model()([[4, 5]]), "ids are of type list, expected a NumPy array"),
    (lambda: language_model().write([4], end=END, rng=None, temperature=np.nan), "temperature is"),
    (lambda: language_model().write([4], end=END, rng=None, top_k=-1), "top k is -1"),
    (lambda: language_model().write([], end=END, rng=None), r"ids have shape \(1, 0\)"),
    (lambda: language_model().write([7], end=END, rng=None), "token id 7 is out of range"),
    (lambda: language_model().load_state_dict(classifier().state_dict()), "head.w has shape"),
])
def test_the_lstm_of_the_documents_refuses_what_does_not_fit_in_one_line(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call, words", [
    (lambda m: m.translate(SOURCE, LENGTHS, beam=0), "beam is 0, expected .* at least 1"),
    (lambda m: m.translate(SOURCE, LENGTHS, most=0), "most is 0"),
    (lambda m: m.translate(SOURCE.tolist()), "ids are of type list, expected a NumPy array"),
    (lambda m: m.translate(SOURCE, LENGTHS, normalize=np.nan), "normalize is nan, expected a num"),
    (lambda m: m.translate(SOURCE, LENGTHS, normalize="1"), "normalize is '1', expected a number"),
    (lambda m: m.translate(SOURCE[:, :0]), r"source: ids have shape \(3, 0\)"),
    (lambda m: m.translate(SOURCE, np.array([5, 0, 3])), "row 1 has 0 tokens, expected 1 to 5"),
    (lambda m: m.translate(SOURCE, np.array([5, 2, 9])), "row 2 has 9 tokens"),
    (lambda m: m.translate(SOURCE, np.array([5, 2])), r"lengths are int64 \(2,\), expected"),
    (lambda m: m.translate(SOURCE + 1), "token id 7 is out of range; the vocabulary has 7"),
    (lambda m: m.loss(SOURCE, LENGTHS, TARGET + 3), "token id [678] is out of range"),
    (lambda m: m.loss(SOURCE, LENGTHS, TARGET[:2]), r"expected a row of tokens for each of 3"),
    (lambda m: m.loss(SOURCE, LENGTHS, TARGET[:, :1]), "expected rows of two tokens or more"),
    (lambda m: m.load_state_dict(seq2seq(decoder=5).state_dict()), "belong to another model"),
    (lambda m: m.load_state_dict(seq2seq(width=2).state_dict()), r"source.w has shape \(7, 2\)"),
    (lambda m: seq2seq(attention="none").alignments(SOURCE, LENGTHS, TARGET), "has no attention"),
])
def test_what_does_not_fit_is_refused_in_one_line(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call(seq2seq())
    assert "\n" not in str(caught.value)


def test_search_and_writing_are_refused_under_a_tape():
    with Tape():
        with pytest.raises(InputError, match="translating keeps no gradients"):
            seq2seq().translate(SOURCE, LENGTHS)
        with pytest.raises(InputError, match="writing keeps no gradients"):
            LanguageModel(5, 2, 2, rng=np.random.default_rng(0)).write(
                [START], end=END, rng=np.random.default_rng(0))


def test_a_pooling_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="pooling is 'max', expected one of last, mean"):
        Classifier(5, 2, 2, 2, rng=np.random.default_rng(0), pooling="max")
