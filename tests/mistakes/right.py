"""Other right answers: what a solved page may become, and all checks still pass.

The columns are those of the files of mistakes, without a message.
"""

from mistakes.kernels import COLUMNS
from nanollm.exercises.specs import beam, kv_cache

ROWS = [
    ("softmax", "logsumexp", "(m + np.log(total))[..., 0]", "np.logaddexp.reduce(x, axis=-1)"),
    ("softmax", "softmax",
     "    e = np.exp(x - x.max(axis=-1, keepdims=True))               # (..., K)  in (0, 1]\n"
     "    y = e / e.sum(axis=-1, keepdims=True)",
     "    y = np.empty_like(x)\n    np.subtract(x, x.max(-1, keepdims=True), out=y)\n"
     "    np.exp(y, out=y)\n    np.divide(y, y.sum(-1, keepdims=True), out=y)"),
    ("softmax", "softmax",
     "    e = np.exp(x - x.max(axis=-1, keepdims=True))               # (..., K)  in (0, 1]\n"
     "    y = e / e.sum(axis=-1, keepdims=True)",
     "    z = x.astype(np.float64)\n    z = np.exp(z - z.max(axis=-1, keepdims=True))\n"
     "    y = (z / z.sum(axis=-1, keepdims=True)).astype(x.dtype)"),
    ("cross_entropy", "cross_entropy", "    loss = np.where(counted, lse - picked, 0).sum() / n",
     "    loss = ((lse - picked) * counted).sum() / n"),
    ("cross_entropy", "cross_entropy", "    loss = np.where(counted, lse - picked, 0).sum() / n",
     "    loss = (lse - picked)[counted].mean(dtype=np.float64).astype(x.dtype) if "
     "counted.any() else x.dtype.type(0)"),
    ("layernorm", "layernorm", "(centered ** 2).mean(axis=-1, keepdims=True)",
     "np.var(x, axis=-1, keepdims=True)"),
    ("layernorm", "residual_layernorm_backward", "    return ds, ds,", "    return ds, ds.copy(),"),
    ("embedding", "embedding_backward", "    np.add.at(dw, ids, dy)",
     "    for i in range(ids.reshape(-1).size): dw[ids.reshape(-1)[i]] += dy.reshape(-1, "
     "dy.shape[-1])[i]"),
    ("embedding", "embedding_backward",
     "    dw = np.zeros((V, dy.shape[-1]), dy.dtype)                  # (V, C)\n"
     "    np.add.at(dw, ids, dy)",
     "    dw = (np.arange(V)[:, None] == ids.reshape(1, -1)).astype(dy.dtype) @ "
     "dy.reshape(ids.size, dy.shape[-1])"),
    ("dropout", "dropout", "x * keep / (1 - rate)", "np.where(keep, x, 0) / (1 - rate)"),
    ("dropout", "keep", "return rng.random(shape, np.float32) >= rate",
     "return rng.binomial(1, 1 - rate, shape).astype(bool)"),
    ("positions", "sinusoidal", "frequency = 10000 ** (-np.arange(0, C, 2) / C)",
     "frequency = np.exp(-np.log(10000) * np.arange(0, C, 2) / C)"),
    ("shape", "sum_backward", "(np.broadcast_to(dy, shape),)", "(dy * np.ones(shape, dy.dtype),)"),
    ("shape", "transpose_backward", "np.argsort(axes)",
     "[axes.index(i) for i in range(len(axes))]"),
    ("elementwise", "sigmoid", "y = np.where(x >= 0, 1, e) / (1 + e)",
     "y = 0.5 * (1 + np.tanh(0.5 * x))"),
    ("elementwise", "unbroadcast", "    if dy.shape == shape:\n        return dy\n", ""),
    ("elementwise", "relu", "np.maximum(x, 0), (positive,)", "x * positive, (positive,)"),
    ("attention", "attention", "q @ k.swapaxes(-1, -2) / math.sqrt(D)",
     "np.einsum('...td,...sd->...ts', q, k) * (1 / math.sqrt(D))"),
    ("linear", "linear",
     "    y = x.reshape(x.size // E, E) @ w                          # (N, C)  one product for "
     "all rows\n    y = y.reshape(*x.shape[:-1], C)                             # (..., C)\n",
     "    y = x @ w\n"),
    ("gelu", "gelu", "0.5 * x * (1 + np.tanh(u)), (x, exact)",
     "x / (1 + np.exp(-2 * np.clip(u, -40, 40))), (x, exact)"),
    ("adam", "adam_", "    m *= beta1\n    m += (1 - beta1) * g\n",
     "    m[...] = beta1 * m + (1 - beta1) * g\n"),
    ("adam", "adam_", "    w -= lr * mhat / (np.sqrt(vhat) + eps)",
     "    w -= lr * m / (1 - beta1 ** t) / (np.sqrt(v) / np.sqrt(1 - beta2 ** t) + eps)"),
    ("adam", "adam_", "    v *= beta2\n    v += (1 - beta2) * g * g\n",
     "    v += (1 - beta2) * (g ** 2 - v)\n"),
    ("adam", "adam_", "    g = scale * dw\n", "    dw = dw * scale\n    g = dw.copy()\n"),
    ("adam", "adamw_", "    w *= 1 - lr * decay\n", "    w -= lr * decay * w\n"),
    ("adam", "adamw_", "    w *= 1 - lr * decay\n    adam_(w, dw, m, v, lr=lr, t=t, beta1=beta1, "
     "beta2=beta2, eps=eps, scale=scale)",
     "    shrunk = lr * decay * w\n    adam_(w, dw, m, v, lr=lr, t=t, beta1=beta1, beta2=beta2, "
     "eps=eps, scale=scale)\n    w -= shrunk"),
    ("adam", "adamw_", "    adam_(w, dw", "    return adam_(w, dw"),
    ("descent", "sgd_", "w -= lr * scale * dw", "np.subtract(w, lr * scale * dw, out=w)"),
    ("descent", "sgd_", "w -= lr * scale * dw", "w[...] = w - lr * (scale * dw)"),
    ("descent", "momentum_", "    u *= mu\n    u += scale * dw\n    w -= lr * u",
     "    u[...] = mu * u + scale * dw\n    sgd_(w, u, lr=lr)"),
    ("descent", "squared_norm",
     'float(np.einsum("i,i->", x.reshape(-1), x.reshape(-1), dtype=np.float64))',
     "sum(float(a) ** 2 for a in x.flat)"),
    ("descent", "squared_norm",
     'float(np.einsum("i,i->", x.reshape(-1), x.reshape(-1), dtype=np.float64))',
     "np.linalg.norm(x.astype(np.float64)) ** 2"),
    ("descent", "clip_factor", "    return limit / norm if limit and most * norm > limit else most",
     "    if not limit or most * norm <= limit:\n        return most\n    return limit / norm"),
    ("descent", "clip_factor", "limit / norm if limit and most * norm > limit else most",
     "most * min(1, limit / (most * norm)) if limit and norm else most"),
    ("descent", "squared_norm",
     'float(np.einsum("i,i->", x.reshape(-1), x.reshape(-1), dtype=np.float64))',
     "float((x.astype(np.float64) ** 2).sum())"),
    ("descent", "clip_factor", "limit / norm if limit and most * norm > limit else most",
     "min(most, limit / max(norm, 1e-300)) if limit else most"),
    ("tape", "Tape.gradient",
     "        lines = self.lines if tear else list(self.lines)\n        while lines:\n"
     "            line = lines.pop()",
     "        lines = list(self.lines)\n        if tear: self.lines.clear()\n"
     "        while lines:\n            line = lines.pop()"),
    ("tape", "Tape.gradient", "kernels.add(known, dx)[0]", "known + dx"),
    ("tape", "Tape.gradient", "lines = self.lines if tear else list(self.lines)\n"
     "        while lines:\n"
     "            line = lines.pop()",
     "def last_to_first():\n"
     "            if not tear: yield from reversed(self.lines)\n"
     "            while tear and self.lines: yield self.lines.pop()\n"
     "        for line in last_to_first():"),
    ("tape", "Tape.gradient", "lines = self.lines if tear else list(self.lines)\n"
     "        while lines:\n"
     "            line = lines.pop()",
     "for n in reversed(range(len(self.lines))):\n"
     "            line = self.lines[n]\n"
     "            if tear: self.lines = self.lines[:n]"),
    ("tape", "Tape.gradient", "grads.get(id(y)) if id(y) in wanted else grads.pop(id(y), None)",
     "grads.get(id(y))"),
    ("tape", "Tape.gradient", "kernels.ones(loss.shape, loss.dtype)", "np.ones_like(loss.data)"),
    ("tape", "Tape.gradient", "kernels.zeros(y.shape, y.dtype)", "np.zeros_like(y.data)"),
    ("tape", "Tape.gradient", "dx if known is None else kernels.add(known, dx)[0]",
     "np.array(dx) if known is None else np.add(known, dx, out=known)"),
    ("tape", "Tape.gradient", "return [grads[id(t)] for t in wrt]",
     "return tuple(grads[id(t)] for t in wrt)"),
    ("tape", "apply", "tapes = _open.get()\n    if tapes:\n        tapes[-1].lines",
     "if recording():\n        _open.get()[-1].lines"),
    ("bpe", "encode", "word = join(word, pair, first + ranks[pair])",
     "i = [p for p in pairwise(word)].index(pair); word = (*word[:i], first + ranks[pair], "
     "*word[i+2:])"),
    ("bpe", "learn", "while len(merges) < wanted:", "for _ in range(wanted):"),
    ("bpe", "learn", "min(counts, key=lambda pair: (-counts[pair], pair), default=None)",
     "max(sorted(counts), key=counts.get, default=None)"),
    ("bpe", "count", "    counts = Counter()\n    for word, times in words.items():\n"
     "        for pair in pairwise(word):\n            counts[pair] += times",
     "    counts = {}\n    for word in words:\n        for p in range(len(word) - 1):\n"
     "            pair = word[p], word[p + 1]\n"
     "            counts[pair] = counts.get(pair, 0) + words[word]"),
    ("bpe", "join", "return tuple(joined)", "return (*joined,)"),
    ("bpe", "encode", "    while fits := [",
     "    for pair in merges:\n        word = join(word, pair, first + ranks[pair])\n"
     "    while fits := ["),
    ("bpe", "decode", "    for id in ids:\n        given += [id] if id < first else "
     "decode(merges[id - first], merges, first)",
     "    stack = list(ids)[::-1]\n    while stack:\n        id = stack.pop()\n"
     "        if id < first:\n            given.append(id)\n        else:\n"
     "            stack += merges[id - first][::-1]"),
    ("beam", "log_softmax", "    x = x - x.max()\n    return x - np.log(np.exp(x).sum())",
     "    return x - np.logaddexp.reduce(x)"),
    ("beam", "beam_search", "            break", "            continue"),
    ("beam", "beam_search", "sorted(longer, key=lambda pair: -pair[0])",
     "sorted(longer, reverse=True)"),
    ("beam", "beam_search", "sorted(longer, key=lambda pair: -pair[0])[:beam]",
     "[longer[i] for i in np.argsort([-total for total, _ in longer])[:beam]]"),
    ("beam", "beam_search", "for v in range(len(log_p))]",
     "for v in np.flatnonzero(log_p > -np.inf)]"),
    ("beam", "beam_search", "for v in range(len(log_p))]", "for v in np.argsort(-log_p)[:beam]]"),
    ("beam", "beam_search", beam.ROUND, beam.apart(
        "longer = sorted(longer + apart, key=lambda pair: -pair[0])[:beam]\n        apart = []")),
    ("kv_cache", "attention_step_", kv_cache.THEN,
     kv_cache.by_hand().replace("D ** 0.5", "float(D) ** 0.5")),
    ("kv_cache", "attention_step_", kv_cache.THEN, kv_cache.one_by_one(":length + t + 1")),
    ("kv_cache", "attention_step_", kv_cache.WRITE + "\n    " + kv_cache.THEN,
     "import numpy as np\n    y = np.zeros_like(q)\n    for t in range(len(q)):\n"
     "        n = length + t + 1\n        keys[n - 1], values[n - 1] = k[t], v[t]\n"
     "        y[t] = attention(q[[t]], keys[:n], values[:n], heads=heads)[0][0]"),
    ("kv_cache", "attention_step_", kv_cache.THEN,
     "import numpy as np\n    D = q.shape[1] // heads\n    y = np.empty_like(q)\n"
     "    for h in range(heads):\n        of = slice(h * D, (h + 1) * D)\n"
     "        y[:, of] = attention(q[:, of], keys[:end, of], values[:end, of], causal=True)[0]"),
    ("kv_cache", "attention_step_", kv_cache.WRITE + "\n    " + kv_cache.THEN,
     "import numpy as np\n    past = [np.concatenate([a[:length], b]) for a, b in "
     "((keys, k), (values, v))]\n    keys[:end], values[:end] = past\n"
     "    y, _ = attention(q, *past, heads=heads, causal=True)"),
    ("kv_cache", "attention_step_", "not 0 <= length <= end <= len(keys)",
     "len(keys) - length < q.shape[0]"),
    ("lstm_step", "lstm_step", "cell = f * c + i * g ", "cell = np.add(f * c, i * g)"),
    ("lstm_step", "lstm_step", "np.split(x @ w + h @ u + b, 4, axis=-1)",
     "((x @ w + h @ u + b)[:, n * h.shape[1]:(n + 1) * h.shape[1]] for n in range(4))"),
    ("lstm_step", "lstm_step", "np.split(x @ w + h @ u + b, 4, axis=-1)",
     "np.split(np.hstack((x, h)) @ np.vstack((w, u)) + b[None], 4, axis=1)"),
    ("lstm_step", "lstm_step", "    i, f, o = sigmoid(i)[0], sigmoid(f)[0], sigmoid(o)[0]\n",
     "    i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))\n"),
    ("lstm_step", "lstm_step_backward",
     "dh, dc = dy\n    x, h, c, w, u, i, f, g, o, shown = saved\n",
     "x, h, c, w, u, i, f, g, o, _ = saved\n    dh, dc = dy\n    shown = np.tanh(f * c + i * g)\n"),
    ("lstm_step", "lstm_step_backward", "return da @ w.T, da @ u.T, dc * f,",
     "dc *= f\n    return da @ w.T, np.einsum('bk,hk->bh', da, u), dc,"),
    ("lstm_step", "lstm_step_backward", "da = np.concatenate((",
     "da = np.empty((len(x), 4 * h.shape[1]), x.dtype)\n    da[...] = np.concatenate(("),
    ("kernel_gelu", "gelu",
     "        tanh = one - two / (exp(two * u) + one)\n        y[i] = half * x[i] * (one + tanh)",
     "        y[i] = x[i] / (one + exp(-two * u))"),
    ("kernel_gelu", "gelu", "cubic * x[i] * x[i] * x[i]", "cubic * x[i] ** 3"),
    ("kernel_gelu", "", "@njit(**OPTIONS)", "@njit(parallel=True, **OPTIONS)"),
    ("kernel_softmax", "softmax", "        for k in range(1, K):\n            m = max(m, x[n, k])",
     "        for k in range(K):\n            m = x[n, k] if x[n, k] > m else m"),
    ("kernel_softmax", "softmax", "        for k in range(1, K):\n            m = max(m, x[n, k])",
     "        for k in range(1, K):\n            if x[n, k] > m: m = x[n, k]"),
    ("kernel_softmax", "softmax",
     "        scale = x.dtype.type(1) / total\n        for k in range(K):\n"
     "            y[n, k] *= scale",
     "        for k in range(K):\n            y[n, k] /= total"),
    ("kernel_softmax", "softmax",
     "        m = x[n, 0]\n        for k in range(1, K):\n            m = max(m, x[n, k])",
     "        m = x[n].max()"),
    ("kernel_scatter", "scatter", COLUMNS,
     "    for v in prange(dw.shape[0]):\n        for c in range(dw.shape[1]):\n"
     "            dw[v, c] = 0\n        for n in range(ids.size):\n            if ids[n] == v:\n"
     "                for c in range(dw.shape[1]):\n                    dw[v, c] += dy[n, c]\n"),
    ("kernel_scatter", "scatter", COLUMNS,
     "    for c in prange(dw.shape[1]):\n        dw[:, c] = 0\n"
     "        for n in range(ids.size):\n            dw[ids[n], c] += dy[n, c]\n"),
    ("kernel_scatter", "scatter", COLUMNS,
     "    dw[:] = 0\n    for half in prange(4):\n        for n in range(ids.size):\n"
     "            if ids[n] % 4 == half:\n                for c in range(dw.shape[1]):\n"
     "                    dw[ids[n], c] += dy[n, c]\n"),
    ("kernel_scatter", "scatter", COLUMNS,
     "    C = dw.shape[1]\n    for block in prange((C + 1) // 2):\n"
     "        for c in range(2 * block, min(2 * block + 2, C)):\n"
     "            for v in range(dw.shape[0]):\n                dw[v, c] = 0\n"
     "            for n in range(ids.size):\n                dw[ids[n], c] += dy[n, c]\n"),
    ("kernel_scatter", "",
     "@njit(parallel=True)\ndef scatter(ids, dy, dw):\n" + COLUMNS,
     "import numpy as np\n\n\n@njit(parallel=True)\ndef scatter(ids, dy, dw):\n"
     "    parts = np.zeros((4, dw.shape[0], dw.shape[1]), dw.dtype)\n"
     "    size = (ids.size + 3) // 4\n    for p in prange(4):\n"
     "        for n in range(p * size, min((p + 1) * size, ids.size)):\n"
     "            for c in range(dw.shape[1]):\n                parts[p, ids[n], c] += dy[n, c]\n"
     "    dw[:] = parts.sum(axis=0)\n"),
    ("cuda01_map", "relu", "y[i] = x[i] if x[i] > 0 else 0", "y[i] = max(x[i], 0)"),
    ("cuda01_map", "relu", "y[i] = x[i] if x[i] > 0 else 0",
     "y[i] = 0\n    if x[i] > 0:\n        y[i] = x[i]"),
    ("cuda02_guard", "add", "    i = cuda.threadIdx.x\n    if i < y.size:\n        y[i]",
     "    i = cuda.threadIdx.x\n    if i >= y.size:\n        return\n    y[i]"),
    ("cuda03_grid", "sgd_step", "    if i < w.size:\n        w",
     "    for i in range(i, w.size, cuda.gridDim.x * cuda.blockDim.x):\n        w"),
    ("cuda04_broadcast", "add_bias",
     "    k = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x\n"
     "    n = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y",
     "    k, n = cuda.grid(2)"),
    ("cuda05_shared", "transpose", "    tile = cuda.shared.array(TILE, x.dtype)",
     "    tile = cuda.shared.array((4, 5), x.dtype)"),
    ("cuda07_reduce", "block_sums",
     "    half = THREADS // 2\n    while half > 0:\n        if t < half:\n"
     "            part[t] += part[t + half]\n        cuda.syncthreads()\n        half //= 2",
     "    step = 1\n    while step < THREADS:\n        if t % (2 * step) == 0:\n"
     "            part[t] += part[t + step]\n        cuda.syncthreads()\n        step *= 2"),
    ("cuda08_scan", "running_sums",
     "        left = part[t - distance] if t >= distance else zero\n        cuda.syncthreads()\n"
     "        part[t] += left\n        cuda.syncthreads()\n        distance *= 2\n",
     "        if t >= distance:\n            left = part[t - distance]\n"
     "        cuda.syncthreads()\n        if t >= distance:\n            part[t] += left\n"
     "        cuda.syncthreads()\n        distance *= 2\n"),
    ("cuda08_scan", "",
     "    part = cuda.shared.array(THREADS, x.dtype)\n"
     "    t, zero = cuda.threadIdx.x, x.dtype.type(0)\n    i = cuda.blockIdx.x * THREADS + t\n"
     "    part[t] = x[i] if i < x.size else zero\n    cuda.syncthreads()\n    distance = 1\n"
     "    while distance < THREADS:\n"
     "        left = part[t - distance] if t >= distance else zero\n        cuda.syncthreads()\n"
     "        part[t] += left\n        cuda.syncthreads()\n        distance *= 2\n"
     "    if i < y.size:\n        y[i] = part[t]",
     "    a = cuda.shared.array((2, THREADS), x.dtype)\n    t = cuda.threadIdx.x\n"
     "    i = cuda.blockIdx.x * THREADS + t\n    a[0, t] = x[i] if i < x.size else 0\n"
     "    cuda.syncthreads()\n    here, distance = 0, 1\n    while distance < THREADS:\n"
     "        a[1 - here, t] = a[here, t] + (a[here, t - distance] if t >= distance else 0)\n"
     "        cuda.syncthreads()\n        here, distance = 1 - here, 2 * distance\n"
     "    if i < y.size:\n        y[i] = a[here, t]"),
    ("cuda09_matmul", "matmul", "for k in range(0, K, SIDE):",
     "for k in range(0, K - K % SIDE + SIDE, SIDE):"),
    ("cuda10_softmax", "softmax", "        total += math.exp(x[n, k] - m)",
     "        e = math.exp(x[n, k] - m)\n        y[n, k] = e\n        total += e"),
    ("cuda10_softmax", "softmax", "largest = x.dtype.type(LOWEST)", "largest = -math.inf"),
    ("museum_bias", "Adam.step", "self.m += (1 - self.beta1) * (dw - self.m)",
     "self.m = self.beta1 * self.m + (1 - self.beta1) * dw"),
    ("museum_broadcast", "loss_of",
     "    error = F.add(predicted, -y[:, None])                       # (N, 1)",
     "    predicted = F.reshape(predicted, shape=(len(y),)); error = F.add(predicted, -y)"),
    ("museum_dropout", "evaluate",
     "    before, network.training = network.training, False\n    try:\n"
     "        return float(((network(x) - y) ** 2).mean())\n    finally:\n"
     "        network.training = before",
     "    h = np.maximum(x @ network.w1, 0)\n"
     "    return float(((h @ network.w2 - y) ** 2).mean())"),
    ("museum_ids", "dtype_of", "np.uint16 if V <= 2 ** 16 else np.uint32",
     "np.min_scalar_type(max(V - 1, 256))"),
    ("museum_leak", "causal_weights", "np.where(past, scores, -np.inf)",
     "np.where(past, scores, np.finfo(scores.dtype).min)"),
    ("museum_mask", "only_top_k",
     "    least = np.sort(x)[-k]                                      # the k-th largest\n"
     "    return np.where(x < least, -np.inf, x)",
     "    y = np.full_like(x, -np.inf)\n    i = np.argpartition(x, -k)[-k:]\n    y[i] = x[i]\n"
     "    return y"),
    ("museum_merges", "encode", "tokens[p:p + 2] = [tokens[p] + tokens[p + 1]]",
     "tokens = tokens[:p] + [tokens[p] + tokens[p + 1]] + tokens[p + 2:]"),
    ("museum_nucleus", "nucleus", "    keep[order] = ends - probabilities[order] < p",
     "    keep[order[:np.searchsorted(ends, p) + 1]] = True"),
    ("museum_overflow", "softmax",
     "    e = np.exp(x - x.max(axis=-1, keepdims=True))\n"
     "    return e / e.sum(axis=-1, keepdims=True)",
     "    z = x.astype(np.float64)\n    z = np.exp(z - z.max(axis=-1, keepdims=True))\n"
     "    return (z / z.sum(axis=-1, keepdims=True)).astype(x.dtype)"),
    ("museum_padding", "loss", "float((each * counted).sum() / counted.sum())",
     "float(each[counted].mean())"),
    ("museum_scale", "weights", "softmax(q @ k.swapaxes(1, 2) / scale)[0]",
     "softmax(np.einsum('htd,hsd->hts', q, k) / scale)[0]"),
    ("museum_scatter", "embed_backward", "np.add.at(dw, ids, dy)",
     "dw += (ids.reshape(-1)[:, None] == np.arange(V)).T.astype(dy.dtype) @ dy.reshape(-1, "
     "dy.shape[-1])"),
    ("museum_stale", "train",
     "    for _ in range(steps):\n        model.dw[...] = 0\n"
     "        losses.append(model.backward(x, y))\n        model.w -= lr * model.dw\n",
     "    model.dw[...] = 0\n    for _ in range(steps):\n"
     "        losses.append(model.backward(x, y))\n        model.w -= lr * model.dw\n"
     "        model.dw[...] = 0\n"),
    ("museum_utf8", "stream",
     '    decoder = codecs.getincrementaldecoder("utf-8")("replace")\n'
     "    for piece in pieces:\n        yield decoder.decode(piece)\n"
     '    yield decoder.decode(b"", final=True)',
     "    d = codecs.getincrementaldecoder('utf-8')('replace')\n"
     "    return iter([*map(d.decode, pieces), d.decode(b'', True)])"),
    ("museum_gates", "train", "length = np.sqrt((dw ** 2).sum() + (du ** 2).sum())",
     "length = np.hypot(np.linalg.norm(dw), np.linalg.norm(du))"),
]
