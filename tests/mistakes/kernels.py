"""Mistakes planted in the exercises of the group "kernels"; the columns are in __init__.py."""

FLAGS = '"fastmath": {"reassoc", "nsz"}'
BEGIN = """\
OPTIONS = {"error_model": "numpy", "fastmath": {"reassoc", "nsz"}}    # what the compiler may do


@njit(**OPTIONS)
def softmax(x, y):
    N, K = x.shape
    for n in range(N):
        m = x[n, 0]
"""
COLUMNS = """    for c in prange(dw.shape[1]):
        for v in range(dw.shape[0]):
            dw[v, c] = 0
        for n in range(ids.size):
            dw[ids[n], c] += dy[n, c]
"""

ROWS = [
    ("kernel_gelu", "gelu", "half * x[i]", "0.5 * x[i]", "computes in float64.*0.5"),
    ("kernel_gelu", "gelu", "tanh = one - two / (exp(two * u) + one)", "tanh = math.tanh(u)",
     "calls tanh of the C library"),
    ("kernel_gelu", "", '{"error_model": "numpy"}', "{}", "not SIMD.*may raise"),
    ("kernel_gelu", "", '{"error_model": "numpy"}', '{"error_model": "numpy", "fastmath": True}',
     "y is wrong.*no inf and no nan"),
    ("kernel_gelu", "gelu", "of(0.044715)", "of(0.44715)", "y is wrong"),
    ("kernel_gelu", "gelu", "of(math.sqrt(2 / math.pi))", "of(0.797885)",
     "y is wrong.*too few digits"),
    ("kernel_gelu", "gelu", "scale, cubic = of(math.sqrt(2 / math.pi)), of(0.044715)",
     "scale, cubic = np.float32(math.sqrt(2 / math.pi)), np.float32(0.044715)",
     "Numba refuses.*NameError"),
    ("kernel_gelu", "gelu", "        y[i] = half", "        x[i] = half", "changes its input x"),
    ("kernel_gelu", "gelu", "two / (exp(two * u) + one)",
     "two * exp(two * u) / (exp(two * u) + one)", "y is wrong"),
    ("kernel_gelu", "gelu", "range(x.size)", "range(x.size - 1)",
     "does not write all of y.*does the loop reach it"),
    ("kernel_gelu", "", "@njit(**OPTIONS)\n", "", "is not compiled"),

    ("kernel_softmax", "softmax", "exp(x[n, k] - m)", "exp(x[n, k])", "wrong.*overflows"),
    ("kernel_softmax", "", f", {FLAGS}", "", "not SIMD.*permit the"),
    ("kernel_softmax", "softmax", "        total = x.dtype.type(0)\n        for k in range(K):\n",
     "        total = m\n        for k in range(K):\n", "y is wrong"),
    ("kernel_softmax", "softmax", "total = x.dtype.type(0)", "total = 0.0",
     "computes in float64"),
    ("kernel_softmax", "softmax", "m = x[n, 0]", "m = x.dtype.type(0)", "wrong"),
    ("kernel_softmax", "softmax", "m = max(m, x[n, k])", "m = x[n, k]", "wrong.*overflows"),
    ("kernel_softmax", "softmax", "m = max(m, x[n, k])", "m = m", "wrong.*overflows"),
    ("kernel_softmax", "", BEGIN, BEGIN.replace('"error_model": "numpy", ', "").replace(
        "x[n, 0]", "x.dtype.type(0)"), "divides by 0.*-999.*which sum can be 0"),
    ("kernel_softmax", "", FLAGS, '"fastmath": True', "promises too much.*-inf"),
    ("kernel_softmax", "", "error_model", "error_modell", "refuses the options.*error_modell"),
    ("kernel_softmax", "softmax", "m = x[n, 0]", "m = x.max(axis=1)",
     r"Numba refuses.*kernel_softmax\.py:\d+: +m = x\.max\(axis=1\)\n.*axis"),
    ("kernel_softmax", "softmax", "y[n, k] *= scale", "y[n, k] *= total", "wrong"),
    ("kernel_softmax", "", "    for n in range(N):\n", "    for n in range(N):\n"
     "        row = x[n] - x[n].max()\n        y[n, 0] = row[0]\n", "makes an array"),
    ("kernel_softmax", "softmax", "            total += e\n        scale", "        total += e\n"
     "        scale", "wrong"),

    ("kernel_scatter", "", COLUMNS, """    dw[:] = 0
    for n in prange(ids.size):
        for c in range(dw.shape[1]):
            dw[ids[n], c] += dy[n, c]
""", r"race: turn 0 .* writes dw\[0, 0\], and turn 1 reads it.*is lost"),
    ("kernel_scatter", "", COLUMNS, """    dw[:] = 0
    for half in prange(2):
        for n in range(half, ids.size, 2):
            dw[ids[n]] += dy[n]
""", r"race: turn 0 .* writes dw\[0, 0\], and turn 1 reads it"),
    ("kernel_scatter", "", COLUMNS, """    dw[:] = 0
    for n in range(ids.size):
        for c in prange(dw.shape[1]):
            dw[ids[n], c] += dy[n, c]
""", "10 tokens start 10 loops.*the outer one"),
    ("kernel_scatter", "scatter", "for v in range(dw.shape[0]):\n            dw[v, c] = 0",
     "dw[:] = 0", r"race: turn 0 .* writes dw\[0, 0\], and turn 1 writes it.*wipes out"),
    ("kernel_scatter", "scatter", "prange(dw.shape[1])", "range(dw.shape[1])", "on one thread"),
    ("kernel_scatter", "", "@njit(parallel=True)", "@njit", "on one thread"),
    ("kernel_scatter", "scatter",
     "        for v in range(dw.shape[0]):\n            dw[v, c] = 0\n",
     "", "is not filled.*set all of it"),
    ("kernel_scatter", "scatter", "+= dy", "= dy", "dw is wrong.*occurs twice"),
    ("kernel_scatter", "scatter", "range(dw.shape[0])", "ids", "is not filled"),
    ("kernel_scatter", "scatter", "prange(dw.shape[1])", "prange(min(dw.shape[1], 4))",
     "is not filled"),
    ("kernel_scatter", "scatter", "dw[ids[n], c] += dy[n, c]",
     "dw[ids[n], c] += dy[n, c]\n            dy[n, c] = 0", "changes its input dy"),
]
