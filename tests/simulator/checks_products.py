"""The matrix products on the GPU: each kernel, at the edges of its tiles and of its uses."""

import numpy as np
import pytest

from judges import CLOSE, agree, same_bits
from kernels import cuda
from kernels.cuda import products
from kernels.cuda.device import SIMULATED
from kernels.cuda.ladder import RUNGS, main
from kernels.cuda.products import FEW, SHORTEST, SIDE, SLAB, parts, product
from kernels.cuda.tensor_cores import FLOAT32, TILE as CORE_TILE, tensor_core_product
from kernels.cuda.vectors import width
from nanollm.errors import InputError

TILE = 2 * SIDE * width(FLOAT32)
TURNED = [(False, False), (False, True), (True, False), (True, True)]
turned = pytest.mark.parametrize("a_turned, b_turned", TURNED, ids=["NN", "NT", "TN", "TT"])


def normal(*shape, dtype="float32"):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def check(a, b, bias=None, a_turned=False, b_turned=False):
    """The product of a and b, given turned or not, is NumPy's in float64; y is returned."""
    given = [np.ascontiguousarray(x.swapaxes(-1, -2)) if turned else x
             for x, turned in ((a, a_turned), (b, b_turned))]
    y = cuda.numpy(product(*map(cuda.array, given), None if bias is None else cuda.array(bias),
                           a_turned=a_turned, b_turned=b_turned))
    exact = a.astype(np.float64) @ b.astype(np.float64)
    agree("the product", [y], [exact if bias is None else exact + bias], str(a.dtype))
    return y


@turned
@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("M, N, K", [
    (TILE, TILE, SLAB), (TILE + 1, TILE - 1, SLAB + 1), (FEW + 1, TILE + 2, 2 * SLAB),
    (TILE - 2, 1, 3 * SLAB - 1), (TILE + 4, TILE + 4, 4), (TILE + 1, 4, 4), (4, TILE + 1, 4),
    (4, 4, SLAB + 1),
], ids=["one tile", "odd edges", "few rows more", "one column", "vectors at the edges",
        "only M is odd", "only N is odd", "only K is odd"])
def test_tiles(M, N, K, dtype, a_turned, b_turned):
    check(normal(M, K, dtype=dtype), normal(K, N, dtype=dtype), normal(N, dtype=dtype),
          a_turned, b_turned)


@turned
@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("M", [1, FEW])
@pytest.mark.parametrize("N, K", [(2 * SIDE, SIDE), (SIDE + 1, 3 * SIDE - 1), (1, 1)])
def test_few_rows(M, N, K, dtype, a_turned, b_turned):
    check(normal(M, K, dtype=dtype), normal(K, N, dtype=dtype), normal(N, dtype=dtype),
          a_turned, b_turned)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("K", [2 * SHORTEST, 3 * SHORTEST + 1])
def test_a_long_sum_is_cut_into_parts_and_has_the_same_bits_each_time(K, dtype):
    a, b, bias = normal(FEW + 1, K, dtype=dtype), normal(K, 3, dtype=dtype), normal(3, dtype=dtype)
    assert parts(1, K) > 1
    assert same_bits([check(a, b, bias, a_turned=True)], [check(a, b, bias, a_turned=True)])


def test_more_parts_than_slabs_leave_empty_parts_at_zero(monkeypatch):
    monkeypatch.setattr(products, "parts", lambda tiles, K: 5)
    check(normal(2, FEW + 1, 2 * SLAB), normal(2, 2 * SLAB, 3), normal(3))


def test_parts_fill_the_gpu_and_are_worth_their_table():
    assert parts(10_000, 8192) == 1                      # many tiles: enough blocks without
    assert parts(1, SHORTEST - 1) == 1                   # too short to cut
    assert 1 < parts(1, 2 ** 20) <= 64


@turned
@pytest.mark.parametrize("a, b", [
    ((3, 1, 5, 2), (1, 2, 2, 3)), ((2, 5, 3), (3, 6)), ((5, 3), (2, 3, 1)), ((2, 1, 3), (2, 3, 4)),
])
def test_batches_are_repeated(a, b, a_turned, b_turned):
    check(normal(*a), normal(*b), None, a_turned, b_turned)


@turned
@pytest.mark.parametrize("M, N, K", [(5, 3, 0), (0, 3, 2), (5, 0, 2), (0, 0, 0)])
def test_empty_sizes(M, N, K, a_turned, b_turned):
    check(normal(M, K), normal(K, N), None, a_turned, b_turned)


def test_a_part_of_an_array_may_begin_anywhere():
    x, w = normal(FEW + 3, 6), normal(7, 6)
    y = product(cuda.array(x)[1:], cuda.array(w)[1:], b_turned=True)
    agree("the product", [cuda.numpy(y)], [x[1:].astype(np.float64) @ w[1:].T], "float32")


def test_two_types_are_refused():
    with pytest.raises(InputError, match="float32 times float64"):
        product(cuda.zeros((2, 2), "float32"), cuda.zeros((2, 2), "float64"))
    with pytest.raises(InputError, match="used for float32"):
        tensor_core_product(cuda.zeros((2, 2), "float64"), cuda.zeros((2, 2), "float64"))


@pytest.mark.parametrize("name", RUNGS)
@pytest.mark.parametrize("M, K, N", [(5, 9, 6), (4, 4, 4), (1, 1, 1)])
def test_every_rung_is_the_product(name, M, K, N):
    a, b = normal(M, K), normal(K, N)
    y = cuda.numpy(RUNGS[name](cuda.array(a), cuda.array(b)))
    error = np.abs(y - a.astype(np.float64) @ b).max() / np.abs(a).max() / np.abs(b).max()
    assert error < (K * 2 ** -11 if "TF32" in name else 2e-6)


def whole(*shape):
    """Small whole numbers: TF32 holds them, and float32 their products' sums, exactly."""
    return np.random.default_rng(sum(shape)).integers(-9, 10, shape).astype(np.float32)


@pytest.mark.parametrize("M, K, N", [
    (CORE_TILE, 8, CORE_TILE), (CORE_TILE + 1, 3, 5), (6, 4, CORE_TILE + 2), (3, 17, 2), (3, 0, 2),
])
def test_tensor_cores_put_every_number_in_its_place(M, K, N):
    a, b = whole(M, K), whole(K, N)
    assert (cuda.numpy(tensor_core_product(cuda.array(a), cuda.array(b))) == a @ b).all()


@pytest.mark.skipif(not SIMULATED, reason="on a GPU the instruction rounds")
def test_tf32_keeps_ten_bits_after_the_point():
    from kernels.cuda.tensor_cores import tf32
    for x, rounded in (1, 1), (1 + 2 ** -10, 1 + 2 ** -10), (1 + 2 ** -12, 1), (-3.0001, -3):
        assert tf32(x) == np.float32(rounded)


def test_the_ladder_prints_a_line_for_each_rung(capsys):
    main(5)
    assert [line[:20].strip() for line in capsys.readouterr().out.splitlines()] == list(RUNGS)
