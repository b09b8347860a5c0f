"""Word vectors: gradients, words of equal company, the same bits from disk, errors in one line."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors import SafetensorError

from nanollm import backend as backends, checkpoint, gradcheck, nn, optim, word_vectors
from nanollm.cli import main
from nanollm.errors import InputError
from nanollm.files import write_json
from nanollm.interrupt import Interrupt
from nanollm.models.gpt import GPT, GPTConfig
from nanollm.models.recurrent import Classifier, LanguageModel
from nanollm.models.seq2seq import Seq2Seq, Seq2SeqConfig
from nanollm.tape import Tape
from nanollm.text import Words
from nanollm.word_vectors import GloVe, Settings, SkipGram, Vectors, load_into, read, train

GROUPS = ("cat dog cow", "red blue green", "runs jumps sleeps")
SMALL = Settings(width=8, window=2, least=1, epochs=30, batch=256, lr=0.02, sample=1.0)


def made(count=400):
    """Sentences 'the red cat runs', their words drawn from groups: a group shares its company."""
    rng, groups = np.random.default_rng(0), [group.split() for group in GROUPS]
    return "\n\n".join("the {1} {0} {2}.".format(*(g[rng.integers(3)] for g in groups))
                       for _ in range(count))


def topics(count=4000):
    """Two words a paragraph, in nine of ten of the same group: what GloVe's counts tell apart."""
    rng, groups, found = np.random.default_rng(0), [group.split() for group in GROUPS], []
    for _ in range(count):
        g = rng.integers(3)
        h = g if rng.random() < 0.9 else rng.integers(3)
        found.append(f"{groups[g][rng.integers(3)]} {groups[h][rng.integers(3)]}")
    return "\n\n".join(found)


@pytest.fixture(autouse=True)
def chosen(request, tmp_path, monkeypatch):
    """The backend under test, if the test has one, else the reference."""
    monkeypatch.chdir(tmp_path)
    parameters = getattr(request.node, "callspec", None)
    with backends.use(parameters.params.get("backend", "numpy") if parameters else "numpy"):
        yield


@pytest.fixture(scope="module")
def learned():
    """(vectors, losses) of each method."""
    with backends.use("numpy"):
        found = {}
        for method in word_vectors.METHODS:
            settings, text = replace(SMALL, method=method), made()
            if method == "glove":                       # its whole table has fewer than 100 entries
                settings, text = replace(settings, batch=8, epochs=100), topics()
            found[method] = train(*read(text, settings), settings, quiet=True)[:2]
        return found


def random_model(kind):
    model, rng = kind(7, 5, rng=np.random.default_rng(0)).to("float64"), np.random.default_rng(1)
    for t in model.parameters().values():
        t.data = backends.module().array(rng.normal(size=t.shape))
    i, j = rng.integers(7, size=6), rng.integers(7, size=(6, 4))
    return model, (i, j) if kind is SkipGram else (i, j[:, 0], rng.uniform(0.3, 20, 6), 10.0)


@pytest.mark.parametrize("kind", [SkipGram, GloVe])
def test_gradients(kind, backend):
    model, batch = random_model(kind)
    parameters = model.parameters()
    with Tape() as tape:
        loss = model.loss(*batch)
    found = dict(zip(parameters, tape.gradient(loss, list(parameters.values()))))
    gradcheck.check_direction(lambda: model.loss(*batch).numpy(), parameters, found,
                              np.random.default_rng(2))


def test_the_losses_are_those_of_the_papers():
    model, (c, others) = random_model(SkipGram)
    v, u = model.word.w.numpy(), model.context.w.numpy()
    sigma = lambda x: 1 / (1 + np.exp(-x))                                          # noqa: E731
    expected = [-np.log(sigma(u[o[0]] @ v[i])) - sum(np.log(sigma(-u[k] @ v[i])) for k in o[1:])
                for i, o in zip(c, others)]
    assert float(model.loss(c, others).numpy()) == pytest.approx(np.mean(expected), rel=1e-12)
    model, (i, j, x, xmax) = random_model(GloVe)
    v, u, a, b = (t.numpy() for t in model.parameters().values())
    expected = [min(1, (n / xmax) ** 0.75) * (v[k] @ u[l] + a[k, 0] + b[l, 0] - np.log(n)) ** 2
                for k, l, n in zip(i, j, x)]
    assert float(model.loss(i, j, x, xmax).numpy()) == pytest.approx(np.mean(expected), rel=1e-12)


def test_cooccurrences_count_by_distance_within_a_paragraph():
    words, corpus = read("a b a c\n\nc b", replace(SMALL, window=3))
    i, j, x = word_vectors.cooccurrences(corpus, 3)
    found = {(words.words[p], words.words[q]): n for p, q, n in zip(i, j, x)}
    assert found == {("a", "b"): 2, ("b", "a"): 2, ("a", "a"): 1, ("a", "c"): 1 + 1 / 3,
                     ("c", "a"): 1 + 1 / 3, ("b", "c"): 1.5, ("c", "b"): 1.5}


def test_pairs_stay_within_window_and_paragraph():
    ids, part = np.arange(40), np.repeat(np.arange(4), 10)
    center, other = word_vectors.neighbor_pairs(ids, part, 3, np.random.default_rng(0))
    assert (part[center] == part[other]).all() and len(set(zip(center, other))) == len(center)
    assert set(np.abs(center - other)) == {1, 2, 3}
    near = np.bincount(np.abs(center - other))
    assert near[1] == 2 * 36 and near[1] > near[2] > near[3]    # a reach of 1 has only the next


def test_frequent_words_are_left_out_by_equation_5():
    counts = np.array([90_000, 10_000])
    corpus = word_vectors.Corpus(np.repeat([0, 1], counts), np.zeros(100_000, int), counts)
    ids, part = word_vectors.kept(corpus, 0.1, np.random.default_rng(0))
    assert len(ids) == len(part)
    stayed = np.bincount(ids)
    assert stayed[0] == pytest.approx(90_000 / 3, rel=0.03) and stayed[1] == 10_000


def test_the_words_drawn_at_random_are_so_by_their_count_to_the_three_quarters():
    counts = np.array([0, 0, 0, 0, 8000, 1500, 500])
    ids = np.random.default_rng(0).permutation(np.repeat(np.arange(7), counts))
    corpus = word_vectors.Corpus(ids, np.zeros(len(ids), int), counts)
    settings = replace(SMALL, window=1, epochs=1, negatives=10, batch=1000)
    batches = [batch for _, _, batch in word_vectors.skipgram_batches(corpus, settings)]
    others = np.concatenate([others for _, others in batches])
    drawn = np.bincount(others[:, 1:].ravel(), minlength=7)
    expected = counts ** 0.75 / (counts ** 0.75).sum()
    np.testing.assert_allclose(drawn / drawn.sum(), expected, rtol=0.03)
    true = np.bincount(others[:, 0], minlength=7)               # neighbors as they are in the text
    np.testing.assert_allclose(true / true.sum(), counts / len(ids), rtol=0.03)


@pytest.mark.parametrize("method", word_vectors.METHODS)
def test_the_rate_falls_to_zero_with_the_words_that_were_read(method, monkeypatch):
    rates, original = [], word_vectors.descend

    def descend(*arguments):
        rates.append(arguments[-1])
        return original(*arguments)
    monkeypatch.setattr(word_vectors, "descend", descend)
    settings = replace(SMALL, method=method, epochs=4, batch=16)
    train(*read(made(100), settings), settings, quiet=True)
    n = len(rates)
    np.testing.assert_allclose(rates, settings.lr * (1 - np.arange(n) / n), atol=0.1 * settings.lr)
    assert rates[0] == settings.lr and rates == sorted(rates, reverse=True)


def test_words_outside_the_vocabulary_are_gone_and_their_neighbors_move_together():
    words, corpus = read("a x b\n\na b y", replace(SMALL, least=2))
    assert words.words[4:] == ["a", "b"]
    assert corpus.ids.tolist() == [4, 5, 4, 5] and corpus.part.tolist() == [0, 0, 1, 1]
    assert corpus.counts.tolist() == [0, 0, 0, 0, 2, 2]


def test_a_word_is_v_of_skip_gram_and_the_sum_of_both_of_glove(learned):
    for kind in SkipGram, GloVe:
        model, _ = random_model(kind)
        v, u = model.word.w.numpy(), model.context.w.numpy()
        np.testing.assert_array_equal(model.vectors(), v if kind is SkipGram else v + u)
    for vectors, _ in learned.values():
        assert not vectors.w[:4].any() and vectors.w[4:].any(axis=1).all()


@pytest.mark.parametrize("method", word_vectors.METHODS)
def test_words_of_equal_company_become_neighbors(method, learned):
    vectors, losses = learned[method]
    assert losses[-1] < 0.95 * losses[0]
    for group in GROUPS:
        for word in group.split():
            assert {w for w, _ in vectors.neighbors(word, 2)} == set(group.split()) - {word}


def test_an_analogy_is_the_nearest_to_b_minus_a_plus_c():
    words = Words(["man", "king", "woman", "queen", "apple"])
    w = np.zeros((9, 3), np.float32)
    w[4:] = [[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [-1, 0, 0]]
    found = Vectors(words, w).analogy("man", "king", "Woman", 10)
    assert [word for word, _ in found] == ["queen", "apple"] and found[0][1] > 0.9


def test_the_seed_decides_every_bit():
    settings = replace(SMALL, epochs=2)
    words, corpus = read(made(50), settings)
    first, again, other = (train(words, corpus, replace(settings, seed=s), quiet=True)[0].w
                           for s in (0, 0, 1))
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_ctrl_c_keeps_what_was_learned(monkeypatch):
    monkeypatch.setattr(Interrupt, "asked", True, raising=False)
    monkeypatch.setattr(Interrupt, "__enter__", lambda self: self)
    monkeypatch.setattr(Interrupt, "__exit__", lambda *_: None)
    vectors, losses, whole = train(*read(made(50), SMALL), SMALL, quiet=True)
    assert not whole and len(losses) == 1 and np.isfinite(vectors.w).all()


def test_saved_vectors_are_the_same_bits_again(learned, tmp_path):
    vectors, _ = learned["glove"]
    vectors.save(tmp_path / "run")
    back = Vectors.load(tmp_path / "run")
    assert back.w.tobytes() == vectors.w.tobytes() and back.words.words == vectors.words.words
    with pytest.raises(InputError, match="exists"):
        vectors.save(tmp_path / "run")
    path = tmp_path / "run" / "vectors.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="damaged"):
        Vectors.load(tmp_path / "run")
    for sizes in {"vocab": 3, "width": -2}, {"vocab": 10 ** 20, "width": 2}, {"vocab": True}:
        write_json(tmp_path / "run" / "vectors.json", {"format": word_vectors.FORMAT, **sizes})
        with pytest.raises(InputError, match="damaged"):
            Vectors.load(tmp_path / "run")


def test_a_full_disk_is_told_and_leaves_nothing(learned, tmp_path, monkeypatch):
    def full(arrays, path):
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")
    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(InputError, match="No space left on device"):
        learned["glove"][0].save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_window_wider_than_the_text_takes_all_of_it():
    ids, rng = np.arange(4, 8), np.random.default_rng(0)
    part, wide = np.zeros(4, np.int64), 10 ** 12
    center, _ = word_vectors.neighbor_pairs(ids, part, wide, rng)
    assert len(center) == 12                                # each word with the three others
    i, j, x = word_vectors.cooccurrences(word_vectors.Corpus(ids, part, np.ones(8)), wide)
    assert x.tolist() == pytest.approx([1 / abs(a - b) for a, b in zip(i, j)]) and len(x) == 12


def test_an_embedding_takes_the_rows_both_know_and_can_be_frozen(learned):
    vectors, _ = learned["skipgram"]
    words, rng = Words(["dog", "zebra", "cat"]), np.random.default_rng(0)
    embedding, head = nn.Embedding(words.vocab, 8, rng=rng), nn.Linear(8, 3, rng=rng)
    before = embedding.w.numpy().copy()
    assert load_into(embedding, vectors, words) == 2
    after = embedding.w.numpy().copy()
    for i, word in ((4, "dog"), (6, "cat")):
        assert (after[i] == vectors.w[vectors.words.ids[word]]).all()
    assert (after[[0, 1, 2, 3, 5]] == before[[0, 1, 2, 3, 5]]).all()
    model = nn.Layer()
    model.embedding, model.head = embedding, head
    learning = {path: t for path, t in model.parameters().items() if t is not embedding.w}
    state, kept = optim.adamw_state(learning), head.w.numpy().copy()
    with Tape() as tape:
        loss = nn.F.mean(head(embedding(np.array([4, 5, 6]))))
    found = tape.gradient(loss, list(learning.values()))
    optim.adamw(learning, dict(zip(learning, found)), state, lr=0.1)
    assert (embedding.w.numpy() == after).all() and (head.w.numpy() != kept).any()


@pytest.mark.parametrize("name, make", [
    ("embedding", lambda V, rng: Classifier(V, 8, 4, 3, rng=rng)),
    ("embedding", lambda V, rng: LanguageModel(V, 8, 4, rng=rng)),
    ("source", lambda V, rng: Seq2Seq(Seq2SeqConfig(V, V, 8, 4, 8), rng)),
    ("embedding", lambda V, rng: GPT(GPTConfig(V, 4, 8, 2, 1), rng))])
@pytest.mark.parametrize("frozen", [True, False])
def test_every_model_reads_the_vectors_and_learns_on_frozen_or_not(name, make, frozen, learned,
                                                                   backend):
    vectors, words = learned["skipgram"][0], Words(["cat", "zebra", "dog"])
    model, ids = make(words.vocab, np.random.default_rng(0)), words.encode("dog cat")
    embedding = getattr(model, name)
    assert load_into(embedding, vectors, words) == 2
    expected = vectors.w[vectors.words.encode("dog cat")]
    assert (embedding(backends.module().array(ids)).numpy() == expected).all()
    arrays = {Classifier: (ids[None], None, np.array([1])), LanguageModel: (ids[None], ids[None]),
              Seq2Seq: (ids[None], None, np.array([[2, 4, 3]])), GPT: (ids[None], ids[None])}
    learning = {path: t for path, t in model.parameters().items()
                if not (frozen and t is embedding.w)}
    state, first = optim.adamw_state(learning), None
    for _ in range(5):
        with Tape() as tape:
            loss = model.loss(*arrays[type(model)])
        found = dict(zip(learning, tape.gradient(loss, list(learning.values()))))
        optim.adamw(learning, found, state, lr=0.02)
        first = float(loss.numpy()) if first is None else first
    assert float(loss.numpy()) < first
    assert (embedding.w.numpy()[ids] == expected).all() == frozen


@pytest.mark.parametrize("vocabulary, width, message", [
    (["dog"], 9, r"shape \(5, 9\), expected \(5, 8\)"), (["zebra"], 8, "no word in common")])
def test_an_embedding_that_does_not_fit_is_refused(learned, vocabulary, width, message):
    words = Words(vocabulary)
    embedding = nn.Embedding(words.vocab, width, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match=message):
        load_into(embedding, learned["skipgram"][0], words)


@pytest.mark.parametrize("change, message", [
    ({"method": "lsa"}, "skipgram, glove"), ({"width": 0}, "width is 0"), ({"lr": 0.0}, "lr is 0"),
    ({"sample": float("nan")}, "sample is nan"), ({"seed": -1}, "seed is -1")])
def test_settings_that_are_none_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(SMALL, **change)


def test_the_command_line(learned, tmp_path, capsys):
    (tmp_path / "text.txt").write_text(made(100))
    options = "--data text.txt --run v --least 1 --width 8 --epochs 2 --backend numpy".split()
    assert main(["vectors", "train", *options]) == 0
    assert "mean loss" in capsys.readouterr().out
    assert main(["vectors", "near", "v", "cat", "--k", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].split() == ["word", "cosine"]
    assert main(["vectors", "analogy", "v", "cat", "red", "dog", "--k", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    for line, message in [("near v slep", "no vector for 'slep' (did you mean sleeps?)"),
                          ("near v cat --k 0", "k is 0"), ("near nowhere cat", "no vectors.json"),
                          ("train --data text.txt --run v", "v exists"),
                          ("train --data text.txt --run text.txt/w", "cannot be made"),
                          ("train --data text.txt --run w --window 9999999999999999999",
                           "less than"),
                          ("train --data text.txt --least 999 --run w", "lower least")]:
        assert main(["vectors", *line.split()]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "w").exists()
    word_vectors.expect_free("a/folder/to/come")
