"""Layer normalization."""

import numpy as np

from nanollm import ops
from nanollm.exercises.of_ops import exercise
from nanollm.exercises.spec import call, expect, pair


def check_far(student):
    """layernorm: rows far from 0"""
    x, gamma = 1e6 + np.array([[0.1, 1.3, 2.2, 4.7]]), np.ones(4)
    y, _ = pair(call(student.layernorm, x, gamma), "layernorm")
    expect("layernorm's y", y, ops.layernorm(x, gamma)[0], tried={"x": x, "gamma": gamma},
           likely="mean(x²) - mean(x)² takes two large numbers apart, and the digits are lost: "
                  "subtract the mean\nfirst, then square")


EXERCISE = exercise(
    "layernorm", title="Layer normalization", notebook="11_transformer",
    ops=("layernorm", "residual_layernorm"),
    more=(check_far,),
    blanks=("layernorm", "layernorm_backward", "residual_layernorm",
            "residual_layernorm_backward"),
    suspects=(
        ("layernorm", "centered = x - x.mean(axis=-1, keepdims=True)", "centered = x",
         "the mean is not subtracted"),
        ("layernorm", "x.mean(axis=-1, keepdims=True)", "x.mean(axis=0, keepdims=True)",
         "the mean runs over the batch; each row is normalized alone, along the last axis"),
        ("layernorm", "+ eps)", "+ eps ** 2)", "eps is squared: it is added to the variance as it "
         "is"),
        ("layernorm", "keepdims=True) + eps)", "keepdims=True) + 0 * eps)",
         "eps is not added: a row of equal entries would be divided by 0"),
        ("layernorm", "1 / np.sqrt((centered ** 2).mean(axis=-1, keepdims=True) + eps)",
         "1 / (np.sqrt((centered ** 2).mean(axis=-1, keepdims=True)) + eps)",
         "eps stands outside the root: it is added to the variance"),
        ("layernorm", "(centered ** 2).mean(axis=-1, keepdims=True)",
         "((centered ** 2).sum(axis=-1, keepdims=True) / max(x.shape[-1] - 1, 1))",
         "the variance is divided by C - 1; here it is a plain mean"),
        ("layernorm", "else gamma * xhat + beta", "else xhat + beta", "gamma is not used"),
        ("layernorm_backward", "g - g.mean(axis=-1, keepdims=True)", "g",
         "the mean of g is not subtracted: μ depends on x, too"),
        ("layernorm_backward", "- xhat * (g * xhat).mean(axis=-1, keepdims=True)", "",
         "the term x̂ mean(g x̂) is missing: the scale r depends on x, too"),
        ("layernorm_backward", "dx = r * (g - g.mean(axis=-1, keepdims=True)\n              "
         "- xhat * (g * xhat).mean(axis=-1, keepdims=True))", "dx = r * g",
         "μ and r are taken for constants: both depend on x, and each takes a mean out of g"),
        ("layernorm_backward", "xhat * (g * xhat).mean", "xhat * (dy * xhat).mean",
         "the term x̂ mean(g x̂) is made of dy; g = dy γ is what reaches x̂"),
        ("layernorm_backward", "g = dy * gamma", "g = dy",
         "gamma is missing: g = dy γ is what reaches x̂"),
        ("layernorm_backward", "dx = r * (", "dx = (", "the factor r is missing in dx"),
        ("layernorm_backward", "(dy * xhat).sum(axis=rows)", "(dy * gamma * xhat).sum(axis=rows)",
         "dγ holds a gamma: it is Σ dy x̂"),
        ("layernorm_backward", "rows = tuple(range(dy.ndim - 1))",
         "rows = tuple(range(1, dy.ndim - 1))",
         "dγ and dβ sum over some of the leading axes only"),
        ("residual_layernorm", "layernorm(s,", "layernorm(h,",
         "h is normalized; it is the sum x + h that is"),
        ("residual_layernorm", "return (s, y)", "return (x, y)",
         "x goes on; it is the sum s = x + h that does"),
        ("residual_layernorm_backward", "ds = ds + dx", "ds = dx",
         "the gradient that comes along s itself is lost: s goes two ways"),
        ("residual_layernorm_backward", "return ds, ds,", "return ds, dx,",
         "h misses the gradient that comes along s: x and h are summands alike")),
    hints=(
        ("Normalize each row along the last axis. In the backward μ and r depend on every entry of "
         "the row: what would shift or stretch the whole row makes no difference to y, so it must "
         "vanish from dx. gamma and beta serve all rows.",
         "沿最后一个轴对每一行归一化。反向时 μ 和 r 依赖该行的每个元素：整行的平移和缩放不改变 y，"
         "所以 dx 里不应有这两个成分。gamma 和 beta 由所有行共用。"),
        ("x̂ = (x - μ) r, r = 1 / √(var + ε), y = γ x̂ + β. With g = dy γ: dx = r (g - mean(g) - "
         "x̂ mean(g x̂)), dγ = Σ_rows dy x̂, dβ = Σ_rows dy.",
         "x̂ = (x - μ) r，r = 1 / √(var + ε)，y = γ x̂ + β。令 g = dy γ：dx = r (g - mean(g) - "
         "x̂ mean(g x̂))，dγ = Σ_行 dy x̂，dβ = Σ_行 dy。"),
        ("centered = x - x.mean(axis=-1, keepdims=True); r = 1 / np.sqrt((centered ** 2).mean("
         "axis=-1, keepdims=True) + eps). Sum gradients of gamma over tuple(range(dy.ndim - 1)). "
         "Without beta its gradient is None. residual: s = x + h, and both get ds + dx.",
         "centered = x - x.mean(axis=-1, keepdims=True)；r = 1 / np.sqrt((centered ** 2).mean("
         "axis=-1, keepdims=True) + eps)。gamma 的梯度在 tuple(range(dy.ndim - 1)) 上求和；"
         "没有 beta 时其梯度为 None。residual：s = x + h，两者的梯度都是 ds + dx。")))
