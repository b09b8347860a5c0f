"""GPT: the right gradient as a whole, the same on every backend, and it learns."""

import numpy as np
import pytest

from nanollm import backend as backends, gradcheck, optim
from nanollm.errors import InputError
from nanollm.models import GPT, GPTConfig
from nanollm.models.gpt import KeyValueCache
from nanollm.parallel import loss_and_gradients
from nanollm.tape import Tape

V, T = 11, 8
VARIANTS = {"tied, no biases": {"bias": False}, "tied, biases": {},
            "untied, no biases": {"bias": False, "tied": False}, "untied, biases": {"tied": False},
            "exact GELU, one block": {"exact": True, "depth": 1}}
# The losses of ten AdamW steps of a small GPT, from one seed.
GOLDEN = [2.551781907, 2.332697550, 2.229408009, 2.138683612, 2.040454999,
          1.943121626, 1.850469473, 1.768168383, 1.681065180, 1.583117829]


@pytest.fixture(autouse=True)
def chosen(request):
    """The backend under test, if the test has one, else the reference."""
    parameters = getattr(request.node, "callspec", None)
    with backends.use(parameters.params.get("backend", "numpy") if parameters else "numpy"):
        yield


def gpt(seed=0, **changes):
    settings = {"vocab": V, "context": T, "width": 12, "heads": 3, "depth": 2, **changes}
    return GPT(GPTConfig(**settings), np.random.default_rng(seed))


def shaken(model, seed=5, by=0.3):
    """The model in float64 with weights so far from their start that no gradient is small."""
    rng = np.random.default_rng(seed)
    model.load_state_dict({path: w + rng.normal(0, by, w.shape)
                           for path, w in model.state_dict().items()})
    return model.to("float64")


def batch(B=3, length=T, seed=1):
    ids = np.random.default_rng(seed).integers(V, size=(B, length + 1))
    return ids[:, :-1].copy(), ids[:, 1:].copy()


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_whole_gradient_agrees_along_random_directions(variant, backend):
    model, (x, y) = shaken(gpt(**variant)), batch()
    y[0, -3:] = -1                                      # these do not count
    _, gradients = loss_and_gradients(model, x, y)
    gradcheck.check_direction(lambda: model.loss(x, y).numpy(), model.parameters(), gradients,
                              np.random.default_rng(2))


def test_the_gradient_agrees_where_dropout_is_on(backend):
    model, (x, y) = shaken(gpt(dropout=0.3)), batch()
    _, gradients = loss_and_gradients(model, x, y, rng_seed=[7])
    gradcheck.check_direction(
        lambda: model.loss(x, y, rng=np.random.default_rng([7, 0])).numpy(), model.parameters(),
        gradients, np.random.default_rng(2))


@pytest.mark.parametrize("shares", [2, 3, 8])
def test_a_batch_in_shares_has_the_gradient_of_the_whole(shares, backend):
    model, (x, y) = shaken(gpt()), batch(B=3)
    y[0], y[1, 2:] = -1, -1                             # shares of unequal weight, one of weight 0
    loss, gradients = loss_and_gradients(model, x, y)
    shared_loss, shared = loss_and_gradients(model, x, y, shares=shares)
    assert shared_loss == pytest.approx(loss, rel=1e-12)
    for path, g in gradients.items():
        np.testing.assert_allclose(shared[path], g, rtol=1e-9, atol=1e-12, err_msg=path)


def losses(model, steps, x, y, **settings):
    state, seen = optim.adamw_state(model.parameters()), []
    for _ in range(steps):
        loss, gradients = loss_and_gradients(model, x, y)
        _, scale = optim.clip_scale(gradients, 1.0)
        optim.adamw(model.parameters(), gradients, state, scale=scale, **settings)
        seen.append(loss)
    return seen


@pytest.mark.parametrize("tied", [True, False])
def test_it_learns_one_batch_by_heart(tied, backend):
    x, y = batch()
    seen = losses(gpt(width=24, tied=tied), 120, x, y, lr=1e-2)
    assert seen[0] == pytest.approx(np.log(V), abs=0.1)         # at first it knows nothing
    assert seen[-1] < 0.05


def test_ten_steps_have_the_golden_losses(backend):
    x, y = batch()
    np.testing.assert_allclose(losses(shaken(gpt(), by=0.1), 10, x, y, lr=1e-2, decay=0.1), GOLDEN,
                               rtol=0, atol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_a_later_token_does_not_change_earlier_logits(tied, backend):
    model, (x, _) = shaken(gpt(tied=tied)), batch()
    before = model(x).numpy().copy()
    for t in range(T):
        changed = x.copy()
        changed[:, t] = (changed[:, t] + 1) % V
        after = model(changed).numpy()
        assert np.array_equal(after[:, :t], before[:, :t])
        assert not np.allclose(after[:, t], before[:, t])


def test_a_shorter_text_has_the_logits_of_the_beginning_of_a_longer_one(backend):
    model, (x, _) = shaken(gpt()), batch()
    np.testing.assert_allclose(model(x[:, :3]).numpy(), model(x).numpy()[:, :3], rtol=1e-9,
                               atol=1e-12)


def test_one_seed_gives_the_same_weights_on_every_backend():
    weights = []
    for name in "numpy", "numba":
        with backends.use(name):
            weights.append(gpt(seed=3).state_dict())
    assert weights[0].keys() == weights[1].keys()
    for path, w in weights[0].items():
        assert w.dtype == np.float32 and w.tobytes() == weights[1][path].tobytes()
    assert any(w.tobytes() != gpt(seed=4).state_dict()[path].tobytes()
               for path, w in weights[0].items())


def test_the_logits_are_close_on_every_backend():
    x, _ = batch()
    logits = []
    for name in "numpy", "numba":
        with backends.use(name):
            logits.append(gpt()(x).numpy())
    np.testing.assert_allclose(*logits, rtol=0, atol=1e-6)


def test_state_goes_out_and_comes_in_unchanged(backend):
    first, second = gpt(seed=0), gpt(seed=1)
    second.load_state_dict(first.state_dict())
    x, _ = batch()
    assert np.array_equal(first(x).numpy(), second(x).numpy())
    for path, w in first.state_dict().items():
        assert second.state_dict()[path].tobytes() == w.tobytes()


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_summary_adds_up_to_all_parameters(variant):
    model = gpt(**variant)
    assert sum(n for _, _, n in model.summary()) == model.count()
    assert sum(w.size for w in model.state_dict().values()) == model.count()


class Zeros:
    """In place of random numbers: zeros that nobody touches take no memory and no time."""

    def normal(self, mean, std, shape):
        return np.zeros(shape, np.float32)


def test_gpt2_has_124_439_808_parameters():
    config = GPTConfig(vocab=50257, context=1024, width=768, heads=12, depth=12)
    assert GPT(config, Zeros()).count() == 124_439_808


def test_the_weights_that_write_into_the_stream_start_smaller():
    """GPT-2: 0.02, divided by the root of the number of branches that add to the stream."""
    weights = gpt(width=120, depth=8).state_dict()
    assert weights["blocks.3.mlp.inner.w"].std() == pytest.approx(0.02, rel=0.05)
    assert weights["blocks.3.mlp.outer.w"].std() == pytest.approx(0.02 / 4, rel=0.05)
    assert weights["blocks.3.attention.out.w"].std() == pytest.approx(0.02 / 4, rel=0.05)


def test_attention_maps_are_causal_distributions(backend):
    model, (x, _) = shaken(gpt()), batch()
    maps = model.attention_maps(x)
    assert len(maps) == 2
    for p in maps:
        assert p.shape == (3, 3, T, T)
        np.testing.assert_allclose(p.sum(axis=-1), 1)
        assert not np.triu(p, 1).any()


def test_dropout_acts_in_training_only(backend):
    model, (x, y) = gpt(dropout=0.5), batch()
    quiet = float(model.loss(x, y).numpy())
    assert quiet == float(model.loss(x, y).numpy())
    assert quiet != float(model.loss(x, y, rng=np.random.default_rng(0)).numpy())


@pytest.mark.parametrize("change, words", [
    ({"context": 0}, "context is 0, expected a whole number of at least 1"),
    ({"vocab": -1}, "vocab is -1"), ({"width": 1.5}, "width is 1.5"), ({"depth": True}, "True"),
    ({"heads": 5}, "5 heads do not divide the width 12"), ({"dropout": 1.0}, "dropout is 1.0"),
    ({"hidden": -4}, "hidden is -4")])
def test_numbers_that_make_no_model_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        gpt(**change)


def test_ids_that_do_not_fit_are_refused(backend):
    model = gpt()
    for ids, words in ((np.full((1, 2), V), f"token id {V} is out of range"),
                       (np.array([[0, -1]]), "token id -1 is out of range"),
                       (np.zeros((1, T + 1), int), "the context holds only 8"),
                       (np.zeros(3, int), r"expected \(batch, time\)")):
        with pytest.raises(InputError, match=words):
            model(ids)


def test_weights_of_another_model_are_refused():
    weights = gpt().state_dict()
    with pytest.raises(InputError, match="missing .*head.w"):
        gpt(tied=False).load_state_dict(weights)
    with pytest.raises(InputError, match=r"embedding.w has shape \(11, 12\), expected \(12, 12\)"):
        gpt(vocab=12).load_state_dict(weights)
    other = gpt(seed=9)
    before = other.state_dict()
    with pytest.raises(InputError):
        other.load_state_dict({**weights, "norm.gamma": np.zeros(3)})
    assert all(w.tobytes() == before[path].tobytes() for path, w in other.state_dict().items())


def test_a_key_value_cache_is_refused_under_a_tape_and_a_step_wants_one_sequence():
    config = GPTConfig(vocab=5, context=4, width=4, heads=2, depth=1)
    model = GPT(config, np.random.default_rng(0))
    with Tape(), pytest.raises(InputError, match="GPT: a key-value cache keeps no gradients"):
        model(np.zeros((1, 1), int), cache=KeyValueCache(config))
    with pytest.raises(InputError, match="GPT: a step takes one sequence, but the cache holds 2"):
        model.step(0, KeyValueCache(config, batch=2))


def test_a_cache_shorter_than_the_context_is_refused_when_it_is_full(backend):
    long, short = (GPTConfig(vocab=5, context=n, width=4, heads=2, depth=1) for n in (16, 4))
    with backends.use(backend):
        model, cache = GPT(long, np.random.default_rng(0)), KeyValueCache(short)
        for _ in range(4):
            model.step(0, cache)
        with pytest.raises(InputError, match="4 rows are filled of 4: no room"):
            model.step(0, cache)
