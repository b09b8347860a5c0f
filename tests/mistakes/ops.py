"""Mistakes planted in the op pages; the columns are in __init__.py."""

ROWS = [
    ("softmax", "softmax_backward", "dy - mean", "dy", "a mean along the row is not subtracted"),
    ("softmax", "softmax", "e / e.sum(axis=-1", "e / e.sum(axis=0", "rows sum to 1"),
    ("softmax", "softmax", "np.exp(x - x.max(axis=-1, keepdims=True))", "np.exp(x)",
     "overflow.*subtract the maximum"),
    ("softmax", "logsumexp", "m + np.log(total)", "np.log(total)", "off by a constant of its own"),
    ("softmax", "logsumexp_backward", "* p,)", "* (p - 1),)", "."),
]
