"""Generation: cached and uncached alike, sampling by its definition, text in whole characters."""

from itertools import islice

import numpy as np
import pytest

from nanollm import backend as backends
from nanollm.errors import InputError
from nanollm.generate import generate, generate_ids, until
from nanollm.models import GPT, GPTConfig
from nanollm.models.gpt import KeyValueCache
from nanollm.ops import softmax
from nanollm.sampling import choose, draw, only_top_k, only_top_p, penalized
from nanollm.text import BytePairs, Characters

TEXT = "the cat sat on the mat.\nthe dog ate the cat?\n"
INF = np.inf


@pytest.fixture(autouse=True)
def chosen(request):
    """The backend under test, if the test has one, else the reference."""
    parameters = getattr(request.node, "callspec", None)
    with backends.use(parameters.params.get("backend", "numpy") if parameters else "numpy"):
        yield


def gpt(vocab, context=8, dtype="float32", **changes):
    """A small GPT with weights so large that its choices are not all alike."""
    model = GPT(GPTConfig(**{"vocab": vocab, "context": context, "width": 12, "heads": 3,
                             "depth": 2, **changes}), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    model.load_state_dict({path: w + rng.normal(0, 0.3, w.shape).astype(w.dtype)
                           for path, w in model.state_dict().items()})
    return model.to(dtype)


@pytest.fixture
def characters():
    return Characters.train(TEXT)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("context", [1, 2, 7, 8])
@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 1.5}, {
    "temperature": 0.9, "top_k": 5, "top_p": 0.8, "penalty": 1.3}], ids=["greedy", "hot", "all"])
def test_cached_and_uncached_give_the_same_tokens_at_any_length(sampling, context, dtype, backend):
    for changes in {}, {"tied": False, "bias": False, "exact": True}:
        model = gpt(11, context, dtype, **changes)
        for prompt in [3], [1, 2, 3, 4, 5], list(range(11)):            # also beyond the window
            cached, uncached = (list(generate_ids(model, prompt, tokens=30, seed=4, cached=cached,
                                                  **sampling)) for cached in (True, False))
            assert cached == uncached
            assert len(cached) == 30


@pytest.mark.parametrize("dtype, close", [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("changes", [{}, {"tied": False, "bias": False, "exact": True}])
def test_a_step_with_the_cache_has_the_logits_of_the_whole_text(changes, dtype, close, backend):
    model = gpt(11, 8, dtype, **changes)
    ids = np.array([[1, 5, 2, 9, 9, 0, 3, 10]])
    whole = model(ids).numpy()[0]                               # (T, V)
    for known in 1, 4:
        cache = KeyValueCache(model.config, dtype=dtype)
        np.testing.assert_allclose(model(ids[:, :known], cache=cache).numpy()[0], whole[:known],
                                   rtol=0, atol=close)
        for t in range(known, 8):
            scores = backends.module().numpy(model.step(int(ids[0, t]), cache))
            np.testing.assert_allclose(scores, whole[t], rtol=0, atol=close)
            assert scores.dtype == dtype and cache.length == t + 1
        with pytest.raises(InputError, match="the context of 8 tokens is full"):
            model.step(0, cache)


def test_several_tokens_may_join_a_cache_at_once(backend):
    model, cache = gpt(11), KeyValueCache(gpt(11).config)
    ids = np.array([[1, 5, 2, 9, 9]])
    model(ids[:, :2], cache=cache)
    np.testing.assert_allclose(model(ids[:, 2:], cache=cache).numpy(), model(ids).numpy()[:, 2:],
                               rtol=0, atol=1e-5)


def test_when_the_window_is_full_its_last_half_is_kept(monkeypatch):
    model, seen = gpt(11, context=8), []
    original = GPT.__call__
    monkeypatch.setattr(GPT, "__call__", lambda self, ids, **options: (
        seen.append(ids[0].tolist()), original(self, ids, **options))[1])
    prompt = [0, 1, 2, 3, 4, 5]
    made = list(generate_ids(model, prompt, tokens=10, cached=False))
    everything = prompt + made
    assert seen == [everything[:n] for n in (6, 7, 8)] + [
        everything[5:n] for n in (9, 10, 11, 12, 13)] + [everything[10:n] for n in (14, 15)]


def test_one_seed_gives_one_text_and_another_seed_another(characters, backend):
    model = gpt(characters.vocab)
    texts = ["".join(generate(model, characters, "the", tokens=40, seed=seed))
             for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert [len(text) for text in texts] == [40, 40, 40]


@pytest.mark.parametrize("sampling", [
    {"temperature": 0}, {"temperature": 1e-9}, {"top_k": 1}, {"top_p": 1e-9}])
def test_the_narrowest_settings_are_all_greedy(sampling):
    model = gpt(11)
    ids = [3]
    for _ in range(7):
        ids.append(int(model(np.array([ids])).numpy()[0, -1].argmax()))
    assert list(generate_ids(model, [3], tokens=7, **sampling)) == ids[1:]


def test_an_empty_prompt_starts_on_a_new_line(characters):
    model = gpt(characters.vocab)
    assert ("".join(generate(model, characters, "", tokens=20))
            == "".join(generate(model, characters, "\n", tokens=20)))


def test_an_empty_prompt_starts_somewhere_where_no_line_break_is_known():
    tokenizer = Characters.train("abc")
    assert len("".join(generate(gpt(3), tokenizer, "", tokens=20))) == 20


def test_a_prompt_of_unknown_characters_is_refused_before_anything_is_generated(characters):
    with pytest.raises(InputError, match="character 'X'"):
        generate(gpt(characters.vocab), characters, "the X")


@pytest.mark.parametrize("sampling, words", [
    ({"temperature": -1}, "temperature is -1"), ({"temperature": np.nan}, "temperature is nan"),
    ({"top_k": -1}, "top k is -1"), ({"top_p": 0}, "top p is 0"), ({"top_p": 1.5}, "top p is 1.5"),
    ({"penalty": 0}, "penalty is 0"), ({"penalty": np.inf}, "penalty is inf"),
    ({"tokens": -1}, "tokens is -1"), ({"seed": -1}, "seed is -1")])
def test_sampling_that_makes_no_sense_is_refused_before_anything_is_generated(
        sampling, words, characters):
    with pytest.raises(InputError, match=words):
        generate(gpt(characters.vocab), characters, "the", **sampling)


def test_text_comes_in_whole_characters():
    """Byte pairs with few merges: é is two tokens, € three, and both are shown when complete."""
    tokenizer = BytePairs.train("é€" * 9, vocab=257)

    class Recites:
        """A model that goes on with a given text."""

        config = GPTConfig(vocab=257, context=99, width=2, heads=1, depth=1)

        def __call__(self, ids, cache=None):
            logits = np.zeros((1, ids.shape[1], 257))
            logits[0, -1, script[ids.shape[1] - 1]] = 1
            return type("Logits", (), {"numpy": lambda self: logits})()

    script = tokenizer.encode("ié€!")
    pieces = list(generate(Recites(), tokenizer, "?", tokens=len(script), temperature=0,
                           cached=False))
    assert [piece for piece in pieces if piece] == ["i", "é", "€", "!"]
    pieces = list(generate(Recites(), tokenizer, "?", tokens=len(script) - 2, temperature=0,
                           cached=False))
    assert "".join(pieces) == "ié\ufffd"                        # cut off in the middle of a €


@pytest.mark.parametrize("pieces, stops, text", [
    (["ab", "cd"], [], "abcd"), (["ab", "cd"], ["bc"], "a"), (["ab", "cd"], ["x", "d"], "abc"),
    (["ab", "cd"], [""], "abcd"), (["a", "b", "c", "d"], ["bcd"], "a"), (["abcd"], ["a"], ""),
    (["aab", "aac"], ["aac"], "aab"), (["ab", "c"], ["bcd", "abc"], ""), ([], ["a"], ""),
    (["ab", "ab"], ["abc"], "abab"), (["a", "b", "c"], ["c", "b"], "a")])
def test_text_ends_before_the_first_stop(pieces, stops, text):
    assert "".join(until(iter(pieces), stops)) == text


def test_text_ends_before_the_first_stop_however_it_is_cut_into_pieces():
    rng = np.random.default_rng(0)
    for _ in range(500):
        text = "".join(rng.choice(list("ab"), size=rng.integers(20)))
        stops = ["".join(rng.choice(list("ab"), size=rng.integers(1, 6)))
                 for _ in range(rng.integers(1, 3))]
        cuts = [0, *sorted(rng.integers(len(text) + 1, size=4)), len(text)]
        pieces = [text[a:b] for a, b in zip(cuts, cuts[1:])]
        _, first = min(((text.find(stop) + len(stop), text.find(stop)) for stop in stops
                        if stop in text), default=(0, len(text)))       # the one that ends first
        assert "".join(until(iter(pieces), stops)) == text[:first], (pieces, stops)


def test_text_waits_only_while_it_may_become_a_stop():
    assert list(until(iter(["a\n", "b", "\n", "\nc"]), ["\n\n"])) == ["a", "\nb", "", ""]


def test_generation_stops_where_the_text_does(characters):
    model = gpt(characters.vocab)
    whole = "".join(generate(model, characters, "the", tokens=60))
    stop = whole[20:23]
    cut = "".join(generate(model, characters, "the", tokens=60, stop=stop))
    assert cut == whole[:whole.index(stop)]
    assert "".join(generate(model, characters, "the", tokens=60, stop=["#", stop])) == cut


def test_pieces_come_while_the_text_is_being_written(characters, monkeypatch):
    calls, original = [], GPT.step
    monkeypatch.setattr(GPT, "step", lambda *args: (calls.append(1), original(*args))[1])
    pieces = generate(gpt(characters.vocab, context=99), characters, "the", tokens=50)
    assert len("".join(islice(pieces, 5))) == 5
    assert len(calls) == 4


def test_top_k_keeps_the_k_largest_of_equal_ones_the_first():
    x = np.array([1.0, 3.0, 2.0, 3.0, 2.0])
    assert only_top_k(x, 3).tolist() == [-INF, 3, 2, 3, -INF]
    assert only_top_k(x, 1).tolist() == [-INF, 3, -INF, -INF, -INF]
    for k in 0, 5, 9:
        assert only_top_k(x, k).tolist() == x.tolist()


def test_top_p_keeps_the_smallest_set_that_reaches_p():
    p = np.array([0.1, 0.5, 0.15, 0.25])
    for limit, kept in ((0.3, [1]), (0.5, [1]), (0.51, [1, 3]), (0.75, [1, 3]), (0.8, [1, 2, 3]),
                        (0.95, [0, 1, 2, 3]), (1.0, [0, 1, 2, 3])):
        assert np.flatnonzero(only_top_p(np.log(p), limit) > -INF).tolist() == kept, limit
    assert np.count_nonzero(only_top_p(np.zeros(4), 0.5) > -INF) == 2


def test_a_penalty_makes_what_occurred_less_likely_whatever_its_sign():
    x = np.array([2.0, -2.0, 0.5, 1.0])
    assert penalized(x, [0, 1, 0], 2.0).tolist() == [1, -4, 0.5, 1]
    assert penalized(x, [], 2.0).tolist() == penalized(x, [0, 1], 1.0).tolist() == x.tolist()
    assert x.tolist() == [2, -2, 0.5, 1]


def test_tokens_are_drawn_as_often_as_they_are_likely():
    rng, times = np.random.default_rng(0), 10_000
    x = np.array([0.0, 1.0, -INF, 2.0, -1.0])
    for sampling, scores in (({}, x), ({"temperature": 0.5}, 2 * x),
                             ({"top_k": 2}, [-INF, 1, -INF, 2, -INF]),
                             ({"top_p": 0.85}, [-INF, 1, -INF, 2, -INF]),
                             ({"penalty": 2.0}, [0, 0.5, -INF, 2, -1])):
        counts = np.bincount([choose(x, [1], rng, **sampling) for _ in range(times)], minlength=5)
        p = softmax(np.asarray(scores, float))[0]
        allowed = 4 * np.sqrt(times * p * (1 - p))              # four standard deviations
        assert (np.abs(counts - times * p) <= allowed).all(), sampling


@pytest.mark.parametrize("x", [[1, np.nan, 0], [np.nan] * 3, [INF, 0, 0], [-INF] * 3])
def test_scores_that_are_not_numbers_are_told(x):
    for temperature in 0, 1:
        with pytest.raises(InputError, match="the model's scores are not numbers"):
            choose(x, [1], np.random.default_rng(0), temperature=temperature)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("extreme", [5e-324, 1e-310, 1e308])
@pytest.mark.parametrize("setting", ["temperature", "penalty"])
def test_extreme_settings_give_a_token_of_the_vocabulary(setting, extreme):
    rng = np.random.default_rng(0)
    for x in [3.0, 1.0, -2.0], [-1.0, -2.0, -3.0], [0.0, 0.0, -INF], [1e38, -1e38, 1e38]:
        for more in {}, {"temperature": 0}, {"top_k": 2}, {"top_p": 0.5}:
            assert 0 <= choose(x, [0, 1, 2], rng, **{setting: extreme} | more) < 3
    assert choose([1.0, 3.0, -2.0], [], rng, temperature=1e-310) == 1


def test_a_draw_is_where_the_random_point_falls():
    class Point:
        def __init__(self, at):
            self.random = lambda: at
    p = np.array([0.25, 0.0, 0.5, 0.25])
    for at, i in ((0.0, 0), (0.2499, 0), (0.25, 2), (0.7499, 2), (0.75, 3), (0.9999999, 3)):
        assert draw(p, Point(at)) == i
