"""Attention's backward on the GPU: two kernels, and no thread adds to another's number.

The mathematics is in nanollm/ops/attention.py. dq of a query is a sum over keys, dk and dv of a key
are sums over queries. One kernel could make all three only if its blocks added into shared sums, in
an order that changes from run to run. So the first keeps queries and walks along keys, for dq; the
second keeps keys and walks along queries, for dk and dv. Both multiply q kᵀ and dy vᵀ again, and
find the weight of a score s as exp(s - m) times its row's share: 7 products where 5 would do.

The sum of backward's softmax needs no walk, δ = Σ_s p dp = Σ_s p (dy · v) = dy · y: the first
kernel finds it for each of its queries and leaves it to the second. Where p itself had a gradient,
its part of δ, Σ_s p dp, comes in as `extra`.
Causal, keys in the future of all queries of a tile are skipped, and queries before all its keys.

Source      Dao et al. 2022 (arXiv 2205.14135), appendix B; the two walks apart: Triton's tutorial
            on fused attention
"""

import math
from functools import cache

from kernels.cuda.arrays import empty
from kernels.cuda.attention_tiles import ACROSS, BACKWARD, DOWN, THREADS, allowed, fetcher
from kernels.cuda.attention_tiles import keys_seen, multipliers, padded, saver, shape
from kernels.cuda.attention_tiles import shared_weights
from kernels.cuda.block import as_rows, launch_grid
from kernels.cuda.device import cuda
from kernels.cuda.elementwise import mul
from kernels.cuda.products import aligned
from kernels.cuda.shape import sum_axis
from kernels.cuda.vectors import aligned_shared, width


@cache
def query_kernel(dtype, D, vectors):
    """The kernel for dq and δ, and how many queries a block has."""
    R, C = shape(dtype, D, *BACKWARD)
    NEAR, FAR, WIDTH, of = DOWN * R, ACROSS * C, width(dtype), dtype.type
    ZEROS = ((of(0),) * (padded(D, dtype) // ACROSS),) * R
    SCALE = of(1 / math.sqrt(D))
    tiles = aligned_shared((2 * NEAR + 2 * FAR, padded(D, dtype) + WIDTH), dtype)
    weight_tiles = shared_weights((2 * FAR, NEAR + WIDTH), dtype)
    fetch_near, fetch_far = (fetcher(dtype, D, vectors, rows) for rows in (NEAR, FAR))
    save = saver(dtype, D, vectors)
    products, weigh, _, put_c, put_y = multipliers(dtype, D, R, C)

    @cuda.jit
    def kernel(q, k, v, firsts, mask, steps, sizes, y, m, share, dy, dp, extra, delta, dq):
        rows, pair = tiles(), weight_tiles()
        near_q, near_dy, far_k, far_v = (rows[:NEAR], rows[NEAR:2 * NEAR],
                                         rows[2 * NEAR:2 * NEAR + FAR], rows[2 * NEAR + FAR:])
        scores, ds = pair[:FAR], pair[FAR:]
        (T, S, H, _), given = sizes, dp.size > 0
        blocks = (T + NEAR - 1) // NEAR
        heads = cuda.gridDim.x // blocks
        n, t0 = cuda.blockIdx.x % heads, (blocks - 1 - cuda.blockIdx.x // heads) * NEAR
        z, first, row = n // H, n % H * D, cuda.threadIdx.x % NEAR
        t = t0 + row
        fetch_near(q, z * T + t0, T - t0, firsts[0] + first, near_q)
        fetch_near(dy, z * T + t0, T - t0, first, near_dy)
        cuda.syncthreads()
        seen, sum_dp, largest, part = keys_seen(t, sizes), of(0), of(0), of(0)
        if t < T:
            largest, part = m[n, t], share[n, t]
            for d in range(D):
                sum_dp = cuda.fma(near_dy[row, d], y[z * T + t, first + d], sum_dp)
            if extra.size > 0:
                sum_dp += extra[n, t]
            if cuda.threadIdx.x < NEAR:
                delta[n, t] = sum_dp
        result = ZEROS
        for s0 in range(0, keys_seen(min(T, t0 + NEAR) - 1, sizes), FAR):
            cuda.syncthreads()                   # all have left the tiles before these
            fetch_far(k, z * S + s0, S - s0, firsts[1] + first, far_k)
            fetch_far(v, z * S + s0, S - s0, firsts[2] + first, far_v)
            cuda.syncthreads()
            put_c(scores, products(far_k, near_q))
            put_c(ds, products(far_v, near_dy))
            cuda.syncthreads()
            for i in range(cuda.threadIdx.x // NEAR, FAR, THREADS // NEAR):
                s, g = s0 + i, of(0)
                if s < seen and allowed(mask, z, t, s, steps):
                    p = math.exp(SCALE * (scores[i, row] - largest)) * part
                    g = ds[i, row] - sum_dp
                    if given:
                        g += dp[n, t, s]
                    g *= SCALE * p
                ds[i, row] = g
            cuda.syncthreads()
            result = weigh(result, ds, far_k)
        cuda.syncthreads()
        put_y(near_q, result)
        cuda.syncthreads()
        save(near_q, dq, z * T + t0, T - t0, firsts[0] + first)

    return kernel, NEAR


@cache
def key_kernel(dtype, D, vectors):
    """The kernel for dk and dv, and how many keys a block has."""
    R, C = shape(dtype, D, *BACKWARD)
    NEAR, FAR, WIDTH, of = DOWN * R, ACROSS * C, width(dtype), dtype.type
    ZEROS = ((of(0),) * (padded(D, dtype) // ACROSS),) * R
    SCALE = of(1 / math.sqrt(D))
    tiles = aligned_shared((2 * NEAR + 2 * FAR, padded(D, dtype) + WIDTH), dtype)
    weight_tiles = shared_weights((2 * FAR, NEAR + WIDTH), dtype)
    fetch_near, fetch_far = (fetcher(dtype, D, vectors, rows) for rows in (NEAR, FAR))
    save = saver(dtype, D, vectors)
    products, weigh, _, put_c, put_y = multipliers(dtype, D, R, C)

    @cuda.jit
    def kernel(q, k, v, firsts, mask, steps, sizes, m, share, dy, dp, delta, dk, dv):
        rows, pair = tiles(), weight_tiles()
        near_k, near_v, far_q, far_dy = (rows[:NEAR], rows[NEAR:2 * NEAR],
                                         rows[2 * NEAR:2 * NEAR + FAR], rows[2 * NEAR + FAR:])
        weights, ds = pair[:FAR], pair[FAR:]
        (T, S, H, causal), given = sizes, dp.size > 0
        blocks = (S + NEAR - 1) // NEAR
        heads = cuda.gridDim.x // blocks
        n, s0 = cuda.blockIdx.x % heads, cuda.blockIdx.x // heads * NEAR
        z, first, row = n // H, n % H * D, cuda.threadIdx.x % NEAR
        s = s0 + row
        fetch_near(k, z * S + s0, S - s0, firsts[1] + first, near_k)
        fetch_near(v, z * S + s0, S - s0, firsts[2] + first, near_v)
        dk_part, dv_part = ZEROS, ZEROS
        begin = max(0, s0 - (S - T)) // FAR * FAR if causal else 0
        for t0 in range(begin, T, FAR):
            cuda.syncthreads()                   # all have left the tiles before these
            fetch_far(q, z * T + t0, T - t0, firsts[0] + first, far_q)
            fetch_far(dy, z * T + t0, T - t0, first, far_dy)
            cuda.syncthreads()
            put_c(weights, products(far_q, near_k))
            put_c(ds, products(far_dy, near_v))
            cuda.syncthreads()
            for i in range(cuda.threadIdx.x // NEAR, FAR, THREADS // NEAR):
                t, p, g = t0 + i, of(0), of(0)
                if s < keys_seen(t, sizes) and allowed(mask, z, t, s, steps):
                    p = math.exp(SCALE * (weights[i, row] - m[n, t])) * share[n, t]
                    g = ds[i, row] - delta[n, t]
                    if given:
                        g += dp[n, t, s]
                    g *= SCALE * p
                weights[i, row] = p
                ds[i, row] = g
            cuda.syncthreads()
            dv_part = weigh(dv_part, weights, far_dy)
            dk_part = weigh(dk_part, ds, far_q)
        cuda.syncthreads()
        put_y(near_k, dk_part)
        put_y(near_v, dv_part)
        cuda.syncthreads()
        save(near_k, dk, z * S + s0, S - s0, firsts[1] + first)
        save(near_v, dv, z * S + s0, S - s0, firsts[2] + first)

    return kernel, NEAR


def backward(dy, dp, p, saved, dq, dk, dv):
    """Fill dq, dk, dv, in the columns that q, k, v have; dp, if there is one, p's gradient."""
    (q, k, v, firsts, mask, steps, sizes), y, m, share, vectors = saved
    T, S, H, _ = sizes
    heads, D = m.shape[0], y.shape[y.ndim - 1] // H
    if dp is None:
        dp, extra = nothing(y.dtype, 3), nothing(y.dtype, 2)
    else:
        dp = dp.reshape(heads, T, S)
        extra = sum_axis(mul(p, dp)[0], 2).reshape(heads, T)
    delta, rows = empty((heads, T), y.dtype), as_rows(dy)
    vectors = vectors and aligned(rows)
    kernel, NEAR = query_kernel(y.dtype, D, vectors)
    launch_grid(kernel, -(-T // NEAR) * heads, THREADS, q, k, v, firsts, mask, steps, sizes,
                as_rows(y), m, share, rows, dp, extra, delta, dq)
    kernel, NEAR = key_kernel(y.dtype, D, vectors)
    launch_grid(kernel, -(-S // NEAR) * heads, THREADS, q, k, v, firsts, mask, steps, sizes,
                m, share, rows, dp, delta, dk, dv)


@cache
def nothing(dtype, ndim):
    """An array without entries, where there is nothing to pass."""
    return cuda.device_array((0,) * ndim, dtype)
