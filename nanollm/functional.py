"""The ops as models call them: tensors in, tensors out, written on the open tape.

One line an op; what each computes stands on its page in nanollm/ops. An argument that is a plain
array instead of a tensor (token ids, masks, constants) gets no gradient.
"""

from nanollm.tape import apply


def add(a, b): return apply("add", a, b)
def mul(a, b): return apply("mul", a, b)
def relu(x): return apply("relu", x)
def tanh(x): return apply("tanh", x)
def sigmoid(x): return apply("sigmoid", x)
def gelu(x, *, exact=False): return apply("gelu", x, exact=exact)
def bias_gelu(x, b, *, exact=False): return apply("bias_gelu", x, b, exact=exact)
def reshape(x, *, shape): return apply("reshape", x, shape=shape)
def transpose(x, *, axes): return apply("transpose", x, axes=axes)
def concat(*xs, axis=-1): return apply("concat", *xs, axis=axis)
def split(x, *, parts, axis=-1): return apply("split", x, parts=parts, axis=axis)
def sum(x, *, axis=None, keepdims=False): return apply("sum", x, axis=axis, keepdims=keepdims)
def mean(x, *, axis=None, keepdims=False): return apply("mean", x, axis=axis, keepdims=keepdims)
def linear(x, w, b=None): return apply("linear", x, w, b)
def matmul(a, b): return apply("matmul", a, b)
def embedding(ids, w): return apply("embedding", ids, w)
def positions(x, w, *, start=0): return apply("positions", x, w, start=start)
def layernorm(x, gamma, beta=None, *, eps=1e-5):
    return apply("layernorm", x, gamma, beta, eps=eps)
def residual_layernorm(x, h, gamma, beta=None, *, eps=1e-5):
    return apply("residual_layernorm", x, h, gamma, beta, eps=eps)
def softmax(x): return apply("softmax", x)
def logsumexp(x): return apply("logsumexp", x)
def cross_entropy(x, targets, *, ignore=-1):
    return apply("cross_entropy", x, targets, ignore=ignore)
def attention(q, k, v, mask=None, *, heads=1, causal=False, weights=False):
    return apply("attention", q, k, v, mask, heads=heads, causal=causal, weights=weights)
def self_attention(qkv, mask=None, *, heads=1, causal=False):
    return apply("self_attention", qkv, mask, heads=heads, causal=causal)
def additive_attention(q, k, v, w, mask=None, *, weights=False):
    return apply("additive_attention", q, k, v, w, mask, weights=weights)
def multiplicative_attention(q, k, v, mask=None, *, weights=False):
    return apply("multiplicative_attention", q, k, v, mask, weights=weights)
def rnn(x, h, w, u, b=None, lengths=None, *, reverse=False):
    return apply("rnn", x, h, w, u, b, lengths, reverse=reverse)
def lstm(x, h, c, w, u, b=None, lengths=None, *, reverse=False):
    return apply("lstm", x, h, c, w, u, b, lengths, reverse=reverse)
def gru(x, h, w, u, b=None, bu=None, lengths=None, *, reverse=False):
    return apply("gru", x, h, w, u, b, bu, lengths, reverse=reverse)
def dropout(x, keep, *, rate): return apply("dropout", x, keep, rate=rate)
