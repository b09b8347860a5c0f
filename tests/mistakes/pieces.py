"""Mistakes planted in the exercises of the group "pieces"; the columns are in __init__.py.

The suspects of bpe, lstm_step, beam and kv_cache must be told by their own words.
"""

import re

from nanollm.exercises.specs import beam, bpe, kv_cache, lstm_step

LOOP = ("lines = self.lines if tear else list(self.lines)\n"
        "        while lines:\n"
        "            line = lines.pop()")

WRITE, ATTEND, by_hand = kv_cache.WRITE, kv_cache.THEN, kv_cache.by_hand

ROWS = [(spec.EXERCISE.name, function, old, new, re.escape(words).replace(r"\ ", r"\s+"))
        for spec in (bpe, lstm_step, beam, kv_cache)
        for function, old, new, words in spec.SUSPECTS] + [
    ("tape", "Tape.gradient", "dx if known is None else kernels.add(known, dx)[0]", "dx",
     "used twice|both inputs are x"),
    ("tape", "Tape.gradient", "grads[id(x)] = dx if known is None else kernels.add(known, dx)[0]",
     "if known is not None: known += dx\n"
     "                    grads[id(x)] = dx if known is None else known",
     "`known \\+= dx` changes both"),
    ("tape", "Tape.gradient", "line = lines.pop()", "line = lines.pop(0)", "read from its end"),
    ("tape", "Tape.gradient", "list(self.lines)", "self.lines", "the lines stay"),
    ("tape", "Tape.gradient", "grads.get(id(y)) if id(y) in wanted else grads.pop(id(y), None)",
     "grads.pop(id(y), None)", "not if it is in `wrt`"),
    ("tape", "Tape.gradient", "if all(dy is None", "if any(dy is None", "nobody used is zero"),
    ("tape", "Tape.gradient", "loss.shape, loss.dtype)}", 'loss.shape, "float64")}',
     "first gradient, has the wrong dtype.*the loss's shape and dtype"),
    ("tape", "Tape.gradient", "kernels.ones(loss.shape, loss.dtype)", "1.0",
     "first gradient, is no array.*float 1\n.*kernels\\.ones"),
    ("tape", "Tape.gradient", "(y.shape, y.dtype)", '(y.shape, "float64")',
     "that nobody used has the wrong dtype.*float64.*float32.*kernels\\.zeros"),
    ("tape", "Tape.gradient", "kernels.zeros(y.shape, y.dtype)", "dy",
     "that nobody used is no array.*zeros in its shape"),
    ("tape", "Tape.gradient", "if loss.data.size != 1:", "if False:", "loss has 3 entries"),
    ("tape", "Tape.gradient", "if missing:", "if missing and len(wrt) == 1:",
     "does not depend on what is asked for.*KeyError"),
    ("tape", "Tape.gradient", "if missing:", "if False:", "is there a tensor in wrt that has"),
    ("tape", "Tape.gradient", 'raise InputError(f"gradient: the loss has',
     'raise ValueError(f"gradient: the loss has',
     "another error is raised than InputError.*got +ValueError.*raise InputError"),
    ("tape", "Tape.gradient", "loss.data.size != 1", "loss.shape != ()",
     "a loss of shape \\(1,\\) has one entry"),
    ("tape", "Tape.gradient", "if all(dy is None for dy in dys):", "if False:",
     "the loss does not depend on.*with\n +dy = 0 the loss would seem to depend"),
    ("tape", "Tape.gradient", "kernels.ones(", "kernels.zeros(", "first gradient, is wrong"),
    ("tape", "Tape.gradient", "dys[0] if len(dys) == 1 else tuple(dys)", "tuple(dys)",
     "a tuple of 1.*of one output dy is the array itself"),
    ("tape", "Tape.gradient", "dys[0] if len(dys) == 1 else tuple(dys)", "dys[0]",
     "expected +a tuple of 2.*of several it is a tuple"),
    ("tape", "Tape.gradient", "dys[0] if len(dys) == 1",
     "kernels.ones(line.outputs[0].shape, line.outputs[0].dtype) if len(dys) == 1",
     "dy of line 0 \\(add\\) is wrong.*the line's own output"),
    ("tape", "Tape.gradient", "zip(line.inputs, dxs, strict=True)", "zip(line.inputs[:1], dxs)",
     "each input of a line gets its own dx"),
    ("tape", "Tape.gradient", "zip(line.inputs, dxs, strict=True)",
     "zip(line.inputs[-1:], dxs[-1:])", "each input of a line gets its own dx"),
    ("tape", "Tape.gradient", " and dx is not None:\n"
     "                    assert dx.shape == x.shape, f\"{line.op}: gradient {dx.shape} for {x}\"",
     ":", "ids have no gradient.*no error is raised.*dx is None: skip it"),
    ("tape", "Tape.gradient", " and dx is not None:", ":", "dx is None where.*skip it"),
    ("tape", "Tape.gradient", "[grads[id(t)] for", "[Tensor(grads[id(t)]) for", "no Tensor"),
    ("tape", "Tape.gradient", "[grads[id(t)] for t in wrt]",
     "[grads[i] for i in grads if i in wanted]", "in the order of wrt"),
    ("tape", "Tape.gradient", LOOP, "def last_to_first():\n"
     "            yield from reversed(self.lines)\n"
     "            if tear: self.lines.clear()\n"
     "        for line in last_to_first():",
     "nothing is freed.*not all at the end"),
    ("tape", "Tape.gradient", LOOP, "lines = self.lines\n"
     "        if tear: self.lines = []\n"
     "        for line in reversed(lines):", "nothing is freed.*a copy of the list"),
    ("tape", "Tape.gradient", LOOP, "for line in self.lines[::-1]:\n"
     "            if tear: self.lines.pop()", "nothing is freed.*a copy of the list"),
    ("tape", "Tape.gradient", LOOP, "for line in reversed(self.lines):\n"
     "            if tear: del self.lines[0]", "a list that loses entries skips some"),
    ("tape", "Tape.gradient", "kernels = backend.module()\n",
     "kernels = backend.module(); loss.grad = 1\n", "gradients stand in a dict"),
    ("tape", "Tape.gradient", "lines = self.lines if tear else list(self.lines)",
     "lines = list(self.lines)", "lines are left.*the tape's own list"),
    ("tape", "Tape.gradient", "continue  ", "self.lines = [line] if tear else self.lines; continue",
     "1 of 5.*passed over is removed, too"),
    ("tape", "Tape.gradient", LOOP, "def along(y, dy):\n"
     "            known = grads.get(id(y))\n"
     "            grads[id(y)] = dy if known is None else known + dy\n"
     "            for line in self.lines:\n"
     "                if any(y is t for t in line.outputs):\n"
     "                    dys = [dy if y is t else np.zeros(t.shape) for t in line.outputs]\n"
     "                    dy = dys[0] if len(dys) == 1 else tuple(dys)\n"
     "                    for x, dx in zip(line.inputs, line.backward(dy, line.saved)):\n"
     "                        if isinstance(x, Tensor): along(x, dx)\n"
     "        along(loss, grads.pop(id(loss)))\n"
     "        lines = []\n"
     "        while lines:", "is read more than once.*along all paths"),
    ("tape", "Tape.gradient", LOOP, "made, lines, done = {}, [], set()\n"
     "        for line in self.lines: made.update({id(y): line for y in line.outputs})\n"
     "        def before(y):\n"
     "            line = made.get(id(y))\n"
     "            if line is None or id(line) in done: return\n"
     "            done.add(id(line))\n"
     "            for x in line.inputs: before(x)\n"
     "            lines.append(line)\n"
     "        before(loss)\n"
     "        made = None\n"
     "        if tear: self.lines.clear()\n"
     "        while lines:\n"
     "            line = lines.pop()", "fails on a long tape.*a loop over the list"),
    ("tape", "apply", "tapes[-1]", "tapes[0]", "innermost open tape"),
    ("tape", "apply", "tuple(map(Tensor, y)) if isinstance(y, tuple) else (Tensor(y),)",
     "(Tensor(y),)", "two results|tuple of two"),
    ("tape", "apply", "tapes[-1].lines.append(",
     "for tape in tapes: tape.lines.append(", "got +2 lines outside, 1 inside.*innermost"),
    ("tape", "apply", "Line(op, inputs,", "Line(op, tuple(map(Tensor, inputs)),",
     "inputs of.*tensors themselves, not copies"),
    ("tape", "apply", "Line(op, inputs, outputs,", "Line(op, inputs, (Tensor(y),),",
     "outputs of.*tensors themselves, not copies"),
    ("tape", "apply", "Line(op, inputs, outputs,", "Line(op, inputs, outputs[0],",
     "outputs of the first line are no tuple.*in a tuple: \\(y,\\)"),
    ("tape", "apply", "Line(op,", "Line(forward,", "the wrong op.*op's name"),
    ("tape", "apply", "Line(op, inputs, outputs, saved, backward)",
     "(op, inputs, outputs, saved, backward)", "is no Line"),
    ("tape", "apply", "saved, backward))", "backward, saved))", "the order of the fields"),
    ("tape", "apply", "y, saved = forward(", "y = saved = forward(", "wrap y in a Tensor"),
    ("tape", "apply", "else outputs[0]", "else outputs",
     "a tuple of 1.*one output comes bare"),
    ("tape", "apply", "else outputs[0]", "else y", "wrap y in a Tensor"),
    ("tape", "apply", "x.data if isinstance(x, Tensor) else x for", "x for",
     "an op computes with arrays.*x\\.data"),
    ("tape", "apply", "inputs), **settings)", "inputs))", "the settings go to the forward"),
    ("tape", "apply", "if tapes:", "if True:", "no tape is open here"),

    ("bpe", "count", "Counter()", "Count()", "no name Count is known here; is it Counter"),
    ("bpe", "count", "for word, times in words.items():\n",
     "while words:\n        word, times = words.popitem()\n", "count changed the `words`"),
    ("bpe", "count", "        for pair in pairwise(word):\n",
     "        last = None\n        for p, pair in enumerate(pairwise(word)):\n"
     "            if pair == last: last = None; continue\n            last = pair\n",
     r"words = \{\(1, 1, 1\): 1\}.*pairs that overlap count each"),
    ("bpe", "count", "        for pair in pairwise(word):\n            counts[pair] += times",
     "        for pair in dict.fromkeys(zip(word, word[1:])):\n            counts[pair] += times",
     "stands twice in a word counts twice"),
    ("bpe", "count", "    for word, times in words.items():\n        for pair in pairwise(word):\n"
     "            counts[pair] += times",
     "    row = [id for word, times in words.items() for id in word * times]\n"
     "    counts.update(zip(row, row[1:]))", r"\(2, 2\) are neighbors in none of the words"),
    ("bpe", "count", "    for word, times in words.items():\n",
     "    left = None\n    for word, times in words.items():\n        for id in word:\n"
     "            if left: counts[left, id] += times\n            left = id\n        continue\n",
     r"\(2, 2\) are neighbors in none of the words"),
    ("bpe", "count", "counts[pair]", "counts[str(pair)]", "a pair is a tuple of two ids"),
    ("bpe", "count", "return counts", "return list(counts.items())", "count returns list, not"),
    ("bpe", "count", "pairwise(word):\n            counts[pair] += times",
     "pairwise(word[:-1]):\n            counts[pair] += 1",
     "two mistakes at once.*add `times`, not 1\n.*the last pair of each word is missing"),
    ("bpe", "join", "return tuple(joined)", "return list(joined)", "cannot be one: return tuple"),
    ("bpe", "join", "    while p < len(word):\n",
     "    for q in range(len(word)):\n        fits = tuple(word[q:q + 2]) == pair\n"
     "        joined.append(new if fits else word[q])\n    while False:\n",
     r"\(9, 2, 3, 9, 2\)\n.*its two ids are gone then"),
    ("bpe", "join", "while p < len(word):", "while p + 1 < len(word):", "the last id is lost"),
    ("bpe", "join", "    while p < len(word):\n        if tuple(word[p:p + 2]) == pair:\n"
     "            joined.append(new)\n            p += 2\n        else:\n",
     "    while p < len(word) - 1:\n        if tuple(word[p:p + 2]) == pair:\n"
     "            joined.append(new)\n            p += 1\n        else:\n",
     "two mistakes at once.*its two ids are gone.*the last id is lost"),
    ("bpe", "join", "    joined, p = [], 0\n",
     "    joined, p = list(word), len(word) - 2\n    while p >= 0:\n"
     "        if (joined[p], *joined[p + 1:p + 2]) == pair: joined[p:p + 2] = [new]\n"
     "        p -= 1\n    p = len(word)\n", "of overlapping pairs the left one is joined"),
    ("bpe", "join", "joined.append(new)", "joined.append(new + 1)", "where the pair is, comes"),
    ("bpe", "learn", ", default=None)", ")", "min.*empty.*words = "),
    ("bpe", "learn", "return merges", "return dict.fromkeys(merges, 0)",
     "learn returns dict, not a list"),
    ("bpe", "learn", "return merges", "yield from merges", "learn returns generator, not a list"),
    ("bpe", "learn", "merges.append(pair)", "merges.append(new)", "pair itself, a tuple of two"),
    ("bpe", "learn", "merges.append(pair)", "merges.append(list(pair))", "a tuple of two ids"),
    ("bpe", "learn", "merges.append(pair)", "merges.append((pair, new))", "a tuple of two ids"),
    ("bpe", "learn", "min(counts, key=lambda pair: (-counts[pair], pair), default=None)",
     "max(counts, key=counts.get, default=None)", "a tie goes to the smaller ids"),
    ("bpe", "learn", "min(counts, key=lambda pair: (-counts[pair], pair), default=None)",
     "sorted(counts, key=counts.get)[-1] if counts else None",
     r"\(2, 3\) and \(1, 9\)\s+both have the count 2.*a tie goes"),
    ("bpe", "learn", "min(counts, key=lambda pair: (-counts[pair], pair), default=None)",
     "max(counts, key=lambda pair: (counts[pair], pair), default=None)", "a tie goes to the sm"),
    ("bpe", "learn", "-counts[pair], pair)", "-counts[pair], pair[::-1])",
     "merge 0, counted from 0, is wrong.*a tie goes to the smaller ids, left"),
    ("bpe", "learn", "-counts[pair], pair)", "-counts[pair], sum(pair))", "a tie goes to"),
    ("bpe", "learn", "-counts[pair], pair)", "-counts[pair], sorted(pair))",
     r"\(9, 1\) and \(2, 3\)\s+both have.*a tie goes to"),
    ("bpe", "learn", "-counts[pair], pair)", "-counts[pair], pair[0])", "a tie goes to"),
    ("bpe", "learn", "-counts[pair], pair)", "counts[pair], pair)",
     r"\(1, 2\) has the count 2 then, \(3, 4\) has 3: the most\s+frequent"),
    ("bpe", "learn", "-counts[pair], pair)", "pair)", "the most\\s+frequent pair comes first"),
    ("bpe", "learn", "counts[pair] < 2", "counts[pair] < 1", "count 1 .*stop at counts below 2"),
    ("bpe", "learn", "counts[pair] < 2", "counts[pair] <= 2",
     "stops too early.*has the count 2 in .*stops only at\\s+counts below 2"),
    ("bpe", "learn", "first + len(merges)", "first + len(merges) + 1",
     r"token\s+first \+ i, so merge\s+1 has become 11"),
    ("bpe", "learn", "first + len(merges)", "first",
     r"\(10, 10\) is nowhere in the words then.*token\s+first \+ i, so merge\s+1 has become 11"),
    ("bpe", "learn", "len(merges) < wanted", "len(merges) < wanted - 1", "stops too early"),
    ("bpe", "learn", "len(merges) < wanted", "len(merges) <= wanted", "stop after `wanted` merges"),
    ("bpe", "learn", "words = joined", "pass", "same pair is learned twice"),
    ("bpe", "learn", "    while len(merges) < wanted:\n",
     "    counts = count(words)\n    return [pair for pair in sorted(counts, key=lambda pair: "
     "(-counts[pair], pair)) if counts[pair] > 1][:wanted]\n    while False:\n",
     "is nowhere in the words then.*count again after each merge"),
    ("bpe", "learn", "+= times", "+= 1",
     r"stops too early.*the count 2 in the words then, \{\(1, 2\): 2, \(10,\): 3\}"),
    ("bpe", "encode", "return list(word)", "return word", "encode returns tuple, not a list"),
    ("bpe", "encode", "    while fits :=",
     "    for p in range(len(word) - 1):\n        if word[p:p + 2] in ranks:\n"
     "            return encode((*word[:p], first + ranks[word[p:p + 2]], *word[p + 2:]), merges, "
     "first)\n    while fits :=", "further left is joined"),
    ("bpe", "encode", "    while fits :=",
     "    for pair in reversed(merges):\n        word = join(word, pair, first + ranks[pair])\n"
     "    while fits :=", "the pair learned last is joined|the one with the smallest rank"),
    ("bpe", "encode", "ranks = {pair: rank for rank, pair in enumerate(merges)}",
     "ranks = dict(zip(merges, range(1, 99)))", "1 too large"),
    ("bpe", "decode", "return given", "return bytes(given)", "decode returns bytes, not a list"),
    ("bpe", "decode", "    for id in ids:\n        given += [id] if id < first else "
     "decode(merges[id - first], merges, first)",
     "    while ids:\n        id = ids.pop(0)\n        if id < first:\n            given.append(id)"
     "\n        else:\n            ids[:0] = merges[id - first]",
     "decode changes what it was given"),
    ("bpe", "decode", "    for id in ids:\n        given += [id] if id < first else "
     "decode(merges[id - first], merges, first)",
     "    stack = list(ids)\n    while stack:\n        id = stack.pop()\n        if id < first:\n"
     "            given.append(id)\n        else:\n            stack += merges[id - first]",
     "all comes out backward: what is put on a stack"),
    ("bpe", "decode", "        given += [id] if id < first else "
     "decode(merges[id - first], merges, first)",
     "        if id < first:\n            given.append(id)\n        else:\n"
     "            given.append(decode(merges[id - first], merges, first))", "not append"),

    ("lstm_step", "lstm_step", "sigmoid(i)[0], sigmoid(f)[0], sigmoid(o)[0]",
     "sigmoid(i), sigmoid(f), sigmoid(o)", r"the pair \(y, saved\)"),
    ("lstm_step", "lstm_step", "g = np.tanh(g)", "g = 2 * np.tanh(g)", r"is g = tanh\(40\) = 1"),
    ("lstm_step", "lstm_step", "x @ w + h @ u + b", "(x @ w + h @ u) / 2 + b",
     "open and closed gates are right; what is left is the sum"),
    ("lstm_step", "lstm_step", "g = np.tanh(g)", "g = np.clip(g, -1, 1)",
     "what the sigmoid and tanh do between their ends"),
    ("lstm_step", "lstm_step", "i, f, o = sigmoid(i)[0], sigmoid(f)[0], sigmoid(o)[0]",
     "i, f, o = sigmoid(i)[0], np.tanh(f), o", "two mistakes at once.*gate f goes through tanh.*"
     "gate o does not go through a sigmoid"),
    ("lstm_step", "lstm_step", "return (o * shown, cell), ", "return o * shown, cell, ",
     "not return a pair"),
    ("lstm_step", "lstm_step", "return (o * shown, cell), ", "return o * shown, ",
     "first part of lstm_step's answer is not"),
    ("lstm_step", "lstm_step", "    cell = f * c + i * g ", "    c *= f; c += i * g; cell = c ",
     r"changes its input c.*c = c \*"),
    ("lstm_step", "lstm_step", "cell = f * c", "cell = np.zeros(c.shape); cell += f * c",
     "from float32 has the wrong dtype.*float64.*float32"),
    ("lstm_step", "lstm_step", "cell), (x, h, c,", "cell), (x, o * shown, c,",
     "du is made of the new h'"),
    ("lstm_step", "lstm_step", "cell), (x, h, c,", "cell), (x, h, cell,",
     "multiplied with the old c, not with the new c'"),
    ("lstm_step", "lstm_step_backward", "dc = dc + dh", "dc += dh",
     r"lstm_step_backward changes dc.*dc = dc \+"),
    ("lstm_step", "lstm_step_backward", "    dc = dc + dh", "    dh *= o\n    dc = dc + dh",
     "lstm_step_backward changes dh"),
    ("lstm_step", "lstm_step_backward", "    return da", "    i *= 1 - i\n    return da",
     "two calls gave different results.*saved array that"),
    ("lstm_step", "lstm_step_backward", "dc * g * i * (1 - i)", "dc * g * i * (2 - i)",
     r"input gate i is wrong.*look at da_i = dc g i \(1 - i\)"),
    ("lstm_step", "lstm_step_backward", "dc + dh * o * (1 - shown * shown)",
     "dc + dh * o * (1 - shown ** 3)", "what i, f and g have in common: dc ← dc"),
    ("lstm_step", "lstm_step_backward", "dc * g * i * (1 - i), dc * c * f * (1 - f)",
     "dc * g * (1 - i), dc * c",
     r"two mistakes at once.*f \(1 - f\), is missing.*i \(1 - i\), and i is missing"),
    ("lstm_step", "lstm_step_backward", "dh, dc = dy", "dh = dy; dc = 0", "take it apart first"),
    ("lstm_step", "lstm_step_backward", "x.T @ da", "da.T @ x", "transposed: exchange the factors"),
    ("lstm_step", "lstm_step_backward", "da @ u.T, dc", "da @ w.T, dc",
     "that is the shape of x; the order is"),
    ("lstm_step", "lstm_step_backward", "da.sum(axis=0)", "da.sum(axis=0, keepdims=True)",
     "an axis is left that should have been summed"),
    ("lstm_step", "lstm_step_backward", ", da.sum(axis=0)", "",
     "returns a tuple of 5.*a tuple of 6: dx, dh, dc, dw, du, db"),
    ("lstm_step", "lstm_step_backward", "da = np.concatenate((",
     "da = np.zeros((len(x), 4 * h.shape[1]))\n    da[...] = np.concatenate((",
     "dx from float32 has the wrong dtype"),
    ("lstm_step", "", "    return (o * shown, cell), (x, h, c, w, u, i, f, g, o, shown)\n\n\n"
     "def lstm_step_backward(dy, saved):\n",
     "    global last\n    last = x, h, c, w, u, i, f, g, o, shown\n"
     "    return (o * shown, cell), last\n\n\n"
     "def lstm_step_backward(dy, saved):\n    saved = last\n",
     "kept from one call to the next"),

    ("beam", "log_softmax", "x = x - x.max()", "x -= x.max()", "changes its input x"),
    ("beam", "log_softmax", "return x - np.log(np.exp(x).sum())",
     "return list(x - np.log(np.exp(x).sum()))", "log_softmax is a list"),
    ("beam", "beam_search", "log_softmax(logits(ids))",
     "log_softmax(logits(ids).astype('float32'))", "score is not.*look for a float32"),
    ("beam", "beam_search", "log_p = log_softmax(logits(ids))",
     "x = logits(ids); x -= x.max(); log_p = log_softmax(x)", "into the model's array"),
    ("beam", "beam_search", "total + log_p[v]", "total + log_softmax(logits(ids))[v]",
     "more than once for a beginning.*before the loop over the tokens"),
    ("beam", "beam_search", "logits(ids)", "logits(tuple(ids))", "called with a tuple"),
    ("beam", "beam_search", "logits(ids)", "logits(np.array(ids))", "called with an array"),
    ("beam", "beam_search", "(ids[:-1] if ids[-1] == end else ids), score",
     "tuple(ids[:-1] if ids[-1] == end else ids), score", "ids are a tuple.*ids a list"),
    ("beam", "beam_search", "return (ids[:-1] if ids[-1] == end else ids), score",
     "return score, (ids[:-1] if ids[-1] == end else ids)", "ids come first"),
    ("beam", "beam_search", "else ids), score", "else ids)", "does not return a pair"),
    ("beam", "beam_search", "(ids[:-1] if ids[-1] == end else ids), score",
     "list(map(str, ids[:-1] if ids[-1] == end else ids)), score", "no whole numbers"),
    ("beam", "beam_search", "if ids and ids[-1] == end:", "if end in ids[:1]:",
     "asked after `end`.*not continued"),
    ("beam", "beam_search", "longer.append((total, ids))", "longer.append((total - 1, ids))",
     "score is not"),
    ("beam", "beam_search", "in finished or kept", "in kept[:1] * 2",
     "first of those kept is taken"),
    ("beam", "beam_search", "(total / len(ids) ** normalize, ids) for total, ids in finished or "
     "kept", "(total, ids) for total, ids in kept[:1]", "two mistakes at once.*nothing is divided"),

    ("kv_cache", "attention_step_", WRITE,
     "keys[:-len(k)], values[:-len(k)] = keys[len(k):].copy(), values[len(k):].copy(); "
     "keys[-len(k):], values[-len(k):] = k, v", "y is wrong.*one key has weight 1"),
    ("kv_cache", "attention_step_", WRITE, WRITE + "; keys[length:end] /= 2", "row 0 of `keys`"),
    ("kv_cache", "attention_step_", WRITE, WRITE + "; values[:length] = 0", "row 0 of `values`"),
    ("kv_cache", "attention_step_", "return y", "values[length:end] = y\n    return y",
     "row 1 of `values`"),
    ("kv_cache", "attention_step_", ATTEND,
     by_hand(mask="np.tri(T, len(keys), length, dtype=bool)").replace("[:end]", ""),
     "unfilled rows.*0 · nan"),
    ("kv_cache", "attention_step_", WRITE + "\n    " + ATTEND,
     "import numpy as np\n    global PAST\n    PAST = [k, v] if length == 0 else "
     "[np.concatenate(pair) for pair in zip(PAST, (k, v))]\n    " + WRITE + "\n"
     "    y, _ = attention(q, *PAST, heads=heads, causal=True)",
     "handed in: keep nothing|PAST.*is not defined"),
    ("kv_cache", "attention_step_", "return y", "return y, _", "returns a tuple.*y, _ = attention"),
    ("kv_cache", "attention_step_", "return y", "return y, keys, values", "return y alone"),
    ("kv_cache", "attention_step_", "return y", "return y.tolist()", "returns a list.*the array y"),
    ("kv_cache", "attention_step_", "return y", "return y[-1:]", "last token's row alone"),
    ("kv_cache", "attention_step_", "return y", "return y.squeeze()", "has a row of its own"),
    ("kv_cache", "attention_step_", "return y", "q[...] = y\n    return q", "changes its input q"),
    ("kv_cache", "attention_step_", "return y", "q *= 2\n    return y", "changes its input q"),
    ("kv_cache", "attention_step_", "return y", "return v if end == 1 else y",
     "y is a part of `v`"),
    ("kv_cache", "attention_step_", "return y", "return y.astype('float64')",
     "wrong dtype.*float64"),
    ("kv_cache", "attention_step_", "<= end <= len(keys)", "<= end <= len(keys) + 1",
     "there is no room, and no error"),
    ("kv_cache", "attention_step_", "not 0 <= length <= end <= len(keys)", "False",
     "there is no room, and no error"),
    ("kv_cache", "attention_step_", "<= end <= len(keys)", "<= end < len(keys)",
     "an error is raised, and there is room"),
    ("kv_cache", "attention_step_", "end <= len(keys)", "length < len(keys)",
     "broadcast.*compare length \\+ T"),
    ("kv_cache", "attention_step_", "InputError(", "ValueError(", "the page imports it"),
    ("kv_cache", "attention_step_", "    end = length + len(q)\n",
     "    end = length + len(q)\n    left = max(0, len(keys) - length)\n"
     "    keys[length:end], values[length:end] = k[:left], v[:left]\n", "look at the room first"),
]
