"""GELU, in both forms."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "gelu", title="GELU, exact and by tanh", notebook="11_transformer", ops=("gelu", "bias_gelu"),
    blanks=("gelu", "gelu_backward", "bias_gelu", "bias_gelu_backward"),
    suspects=(
        ("gelu", "x / math.sqrt(2)", "x", "the √2 in erf(x / √2) is missing"),
        ("gelu", "ROOT_2_OVER_PI *", "", "the factor √(2/π) of u is missing"),
        ("gelu", "CUBIC * x * x * x", "CUBIC * x * x", "x² in place of x³"),
        ("gelu", "return 0.5 * x * (1 + np.tanh(u))", "return x * (1 + np.tanh(u))",
         "the ½ is missing"),
        ("gelu_backward", "cdf + x * pdf", "cdf + pdf",
         "the product rule: the density is multiplied by x"),
        ("gelu_backward", "cdf + x * pdf", "cdf", "the product rule: x φ(x) is missing"),
        ("gelu_backward", "3 * CUBIC", "CUBIC", "the 3 of the cube's derivative is missing"),
        ("gelu_backward", "3 * CUBIC * x * x", "3 * CUBIC * x",
         "3 x in place of 3 x², the derivative of x³"),
        ("gelu_backward", "(1 - t * t) * du", "(1 - t * t)", "the chain rule: the factor u' is "
         "missing"),
        ("gelu_backward", "-0.5 * x * x", "-x * x", "the ½ in the normal density's exponent"),
        ("bias_gelu", "gelu(x + b, exact=exact)", "gelu(x - b, exact=exact)",
         "the bias is subtracted, not added"),
        ("bias_gelu_backward", "dx.sum(axis=tuple(range(dx.ndim - 1)))",
         "dy.sum(axis=tuple(range(dx.ndim - 1)))",
         "db sums dy; it is the sum of dx, behind GELU's derivative"),
        ("bias_gelu_backward", "dx.sum(axis=tuple(range(dx.ndim - 1)))",
         "dx.reshape(-1, dx.shape[-1])[-1] if dx.size else dx.sum(axis=0)",
         "db holds only the last row: the bias was added to every row")),
    hints=(
        ("Both forms are a product, x times a number between 0 and 1: differentiate them by the "
         "product rule, and the inner function by the chain rule. `exact` chooses the form. A bias "
         "that was added to all rows collects a sum.",
         "两种形式都是乘积：x 乘一个 0 到 1 之间的数。用乘积法则求导，内层函数用链式法则。exact 决"
         "定用哪种形式。"
         "偏置加到了每一行，所以它的梯度是各行之和。"),
        ("exact: y' = Φ(x) + x φ(x), φ(x) = exp(-x²/2) / √(2π). tanh: y' = ½ (1 + t) + "
         "½ x (1 - t²) u', t = tanh(u), u' = √(2/π) (1 + 3 · 0.044715 x²). db = Σ_rows dx.",
         "exact：y' = Φ(x) + x φ(x)，φ(x) = exp(-x²/2) / √(2π)。tanh：y' = ½ (1 + t) + "
         "½ x (1 - t²) u'，t = tanh(u)，u' = √(2/π) (1 + 3 · 0.044715 x²)。db = Σ_行 dx。"),
        ("Save (x, exact) and compute u again. 0.5 * x * (1 + erf(x / math.sqrt(2))) with the "
         "page's erf; write x * x * x, which is faster than x ** 3. bias_gelu is gelu(x + b), and "
         "db = dx.sum(axis=tuple(range(dx.ndim - 1))).",
         "保存 (x, exact)，反向时重新计算 u。用本页的 erf：0.5 * x * (1 + erf(x / math.sqrt(2)))；"
         "x * x * x 比 x ** 3 快。bias_gelu 就是 gelu(x + b)，"
         "db = dx.sum(axis=tuple(range(dx.ndim - 1)))。")))
