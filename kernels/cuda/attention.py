"""Attention on the GPU: scores live in shared memory for a moment, and never in memory.

The mathematics is in nanollm/ops/attention.py. A matrix of scores (T, S) for each head is more than
all else of a layer, and to write and read it takes longer than to multiply. Here a block has a tile
of queries of one head, and walks along the keys and values, a tile of them at a time
(attention_tiles.py): it multiplies, takes the softmax so far, multiplies by the values and adds.
When a larger score m' comes than the largest so far, m, the sums made with exp(s - m), that of the
weights and that of the weighted values, are multiplied by exp(m - m'). Keys that all queries of a
tile have in their future are never fetched; the tiles that see most keys begin first.

Saved are q, k, v and y, and two numbers a row: m and the share 1 / Σ exp(s - m) of the largest. For
each score they give its weight again (attention_backward.py), which takes less time than to keep
them. m stays unscaled: scores of 10⁴ have no digits to lose.
q, k and v of self_attention are columns of one array, which is read where it is.
weights=True asks for p itself: a second kernel multiplies once more and writes it.

Source      Dao et al. 2022 (arXiv 2205.14135), algorithm 1; the loops as in Dao 2023 (arXiv
            2307.08691); the softmax: Milakov & Gimelshein 2018 (arXiv 1805.02867), algorithm 3
"""

import math
from functools import cache

from kernels.cuda.arrays import empty
from kernels.cuda.attention_backward import backward
from kernels.cuda.attention_tiles import ACROSS, DOWN, FORWARD, THREADS, allowed
from kernels.cuda.attention_tiles import expect_room, fetcher, keys_seen, multipliers, padded
from kernels.cuda.attention_tiles import saver, shape, shared_weights
from kernels.cuda.block import as_rows, flat, launch_grid
from kernels.cuda.broadcast import fold
from kernels.cuda.device import cuda
from kernels.cuda.products import aligned
from kernels.cuda.softmax import LOWEST
from kernels.cuda.vectors import aligned_shared, width
from nanollm.errors import InputError
from nanollm.ops.attention import check_attention, check_self_attention
from nanollm.ops.checks import expect


@cache
def forward_kernel(dtype, D, vectors):
    """The kernel, and how many queries a block has; `vectors`: memory can be read in vectors."""
    R, C = shape(dtype, D, *FORWARD)
    NEAR, FAR, WIDTH, of = DOWN * R, ACROSS * C, width(dtype), dtype.type
    ZEROS = ((of(0),) * (padded(D, dtype) // ACROSS),) * R
    SCALE = of(1 / math.sqrt(D))
    tiles = aligned_shared((NEAR + 2 * FAR, padded(D, dtype) + WIDTH), dtype)
    weights_tile = shared_weights((FAR + 1, NEAR + WIDTH), dtype)
    fetch_near, fetch_far = (fetcher(dtype, D, vectors, rows) for rows in (NEAR, FAR))
    save = saver(dtype, D, vectors)
    products, weigh, rescale, put_c, put_y = multipliers(dtype, D, R, C)

    @cuda.jit
    def kernel(q, k, v, firsts, mask, steps, sizes, y, m, share):
        rows, weights = tiles(), weights_tile()  # below the weights: a factor for each query
        near_q, far_k, far_v = rows[:NEAR], rows[NEAR:NEAR + FAR], rows[NEAR + FAR:]
        T, S, H, causal = sizes
        blocks = (T + NEAR - 1) // NEAR
        heads = cuda.gridDim.x // blocks
        n, t0 = cuda.blockIdx.x % heads, (blocks - 1 - cuda.blockIdx.x // heads) * NEAR
        z, first, row = n // H, n % H * D, cuda.threadIdx.x
        t = t0 + row
        seen, largest, total, result = keys_seen(t, sizes), of(LOWEST), of(0), ZEROS
        end = keys_seen(min(T, t0 + NEAR) - 1, sizes)
        fetch_near(q, z * T + t0, T - t0, firsts[0] + first, near_q)
        for s0 in range(0, end, FAR):
            cuda.syncthreads()                   # all have left the tiles before these
            fetch_far(k, z * S + s0, S - s0, firsts[1] + first, far_k)
            fetch_far(v, z * S + s0, S - s0, firsts[2] + first, far_v)
            cuda.syncthreads()
            put_c(weights, products(far_k, near_q))
            cuda.syncthreads()
            if row < NEAR:                       # the softmax of query t
                highest = largest
                for i in range(FAR):
                    s = s0 + i
                    if s >= seen or not allowed(mask, z, t, s, steps):
                        weights[i, row] = of(LOWEST)
                    highest = max(highest, weights[i, row])
                factor = math.exp(SCALE * (largest - highest))
                total *= factor
                for i in range(FAR):
                    score = weights[i, row]
                    e = math.exp(SCALE * (score - highest))
                    if score == of(LOWEST):      # after it: no exp waits for a comparison
                        e = of(0)
                    weights[i, row] = e
                    total += e
                largest = highest
                weights[FAR, row] = factor
            cuda.syncthreads()
            result = weigh(rescale(result, weights), weights, far_v)
        cuda.syncthreads()
        if row < NEAR:
            part = of(0) if total == of(0) else of(1) / total    # a row without keys: zeros
            weights[FAR, row] = part
            if t < T:
                m[n, t], share[n, t] = largest, part
        cuda.syncthreads()
        put_y(near_q, rescale(result, weights))
        cuda.syncthreads()
        save(near_q, y, z * T + t0, T - t0, first)

    return kernel, NEAR


@cache
def weights_kernel(dtype, D, vectors):
    """The kernel that writes p, and how many queries a block has."""
    R, C = shape(dtype, D, *FORWARD)
    NEAR, FAR, WIDTH, of = DOWN * R, ACROSS * C, width(dtype), dtype.type
    SCALE = of(1 / math.sqrt(D))
    tiles = aligned_shared((NEAR + FAR, padded(D, dtype) + WIDTH), dtype)
    weights_tile = shared_weights((FAR, NEAR + WIDTH), dtype)
    fetch_near, fetch_far = (fetcher(dtype, D, vectors, rows) for rows in (NEAR, FAR))
    products, _, _, put_c, _ = multipliers(dtype, D, R, C)

    @cuda.jit
    def kernel(q, k, firsts, mask, steps, sizes, m, share, p):
        rows, weights = tiles(), weights_tile()
        near_q, far_k = rows[:NEAR], rows[NEAR:]
        T, S, H, _ = sizes
        blocks = (T + NEAR - 1) // NEAR
        n, t0 = cuda.blockIdx.x // blocks, cuda.blockIdx.x % blocks * NEAR
        z, first = n // H, n % H * D
        fetch_near(q, z * T + t0, T - t0, firsts[0] + first, near_q)
        for s0 in range(0, S, FAR):
            cuda.syncthreads()                   # all have left the tiles before these
            fetch_far(k, z * S + s0, S - s0, firsts[1] + first, far_k)
            cuda.syncthreads()
            put_c(weights, products(far_k, near_q))
            cuda.syncthreads()
            for e in range(cuda.threadIdx.x, min(NEAR, T - t0) * FAR, THREADS):
                t, s, score = t0 + e // FAR, s0 + e % FAR, weights[e % FAR, e // FAR]
                if s < S:
                    sees = s < keys_seen(t, sizes) and allowed(mask, z, t, s, steps)
                    p[n, t, s] = (math.exp(SCALE * (score - m[n, t])) * share[n, t] if sees
                                  else of(0))

    return kernel, NEAR


def mask_steps(mask, lead):
    """The mask, flat, and how `allowed` walks through it."""
    if mask is None:
        return no_mask(), ((1,), (0,), 0, 0, 0)
    rows, columns = ((1, 1) + mask.shape)[-2:]
    return flat(mask), (*fold(lead, mask.shape[:-2]), rows * columns,
                        columns if rows > 1 else 0, 1 if columns > 1 else 0)


@cache
def no_mask():
    return cuda.device_array(0, bool)


def forward(q, k, v, firsts, mask, y, sizes):
    """Fill y; the heads are columns of q, k, v from `firsts` on; return what backward needs."""
    if not q.dtype == k.dtype == v.dtype:
        raise InputError(f"attention: q, k, v are {q.dtype}, {k.dtype}, {v.dtype}; expected one "
                         "type (convert with astype)")
    T, S, H, causal = sizes
    D = y.shape[y.ndim - 1] // H
    expect_room(y.dtype, D)
    vectors = D % width(y.dtype) == 0 and aligned(q) and aligned(k) and aligned(v)
    heads = math.prod(y.shape[:-2]) * H
    m, share = empty((heads, T), y.dtype), empty((heads, T), y.dtype)
    mask, steps = mask_steps(mask, y.shape[:-2])
    inputs = as_rows(q), as_rows(k), as_rows(v), firsts, mask, steps, sizes
    kernel, NEAR = forward_kernel(y.dtype, D, vectors)
    launch_grid(kernel, -(-T // NEAR) * heads, THREADS, *inputs, as_rows(y), m, share)
    return inputs, y, m, share, vectors


def attention_weights(saved):
    """p (heads of all sequences, T, S)."""
    (q, k, v, firsts, mask, steps, sizes), y, m, share, vectors = saved
    T, S, H, _ = sizes
    p = empty((m.shape[0], T, S), y.dtype)
    kernel, NEAR = weights_kernel(y.dtype, y.shape[y.ndim - 1] // H, vectors)
    launch_grid(kernel, -(-T // NEAR) * m.shape[0], THREADS, q, k, firsts, mask, steps, sizes,
                m, share, p)
    return p


def attention(q, k, v, mask=None, *, heads=1, causal=False, weights=False):
    T, S, D = check_attention(q, k, v, mask, heads, causal)
    y = empty(q.shape, q.dtype)
    saved = forward(q, k, v, (0, 0, 0), mask, y, (T, S, heads, int(causal)))
    if not weights:
        return y, (saved, k.shape, None)
    p = attention_weights(saved)
    return (y, p.reshape(*q.shape[:-2], heads, T, S)), (saved, k.shape, p)


def attention_backward(dy, saved):
    saved, keys, p = saved
    dy, dp = dy if p is not None else (dy, None)
    y = saved[1]
    expect("attention_backward", "dy", dy, y.shape)
    dq, dk, dv = (empty(x, y.dtype) for x in (y.shape, keys, keys))
    backward(dy, dp, p, saved, as_rows(dq), as_rows(dk), as_rows(dv))
    return dq, dk, dv, None


def self_attention(qkv, mask=None, *, heads=1, causal=False):
    check_self_attention(qkv)
    *lead, T, C3 = qkv.shape
    C = C3 // 3
    y = empty((*lead, T, C), qkv.dtype)
    check_attention(y, y, y, mask, heads, causal)
    return y, forward(qkv, qkv, qkv, (0, C, 2 * C), mask, y, (T, T, heads, int(causal)))


def self_attention_backward(dy, saved):
    y = saved[1]
    *lead, C = y.shape
    expect("self_attention_backward", "dy", dy, y.shape)
    dqkv = empty((*lead, 3 * C), y.dtype)
    rows = as_rows(dqkv)
    backward(dy, None, None, saved, rows, rows, rows)
    return dqkv, None
