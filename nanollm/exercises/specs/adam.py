"""Adam and AdamW."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "adam", title="Adam and AdamW", notebook="07_optimizers", ops=("adam_", "adamw_"),
    blanks=("adam_", "adamw_"),
    suspects=(
        ("adam_", "g = scale * dw", "g = dw", "the clipping factor `scale` is not used"),
        ("adam_", "mhat = m / (1 - beta1 ** t)\n    vhat = v / (1 - beta2 ** t)",
         "mhat, vhat = m, v",
         "no bias correction: m and v start at 0, too small, and are divided by 1 - βᵗ"),
        ("adam_", "mhat = m / (1 - beta1 ** t)\n    vhat = v / (1 - beta2 ** t)",
         "m /= 1 - beta1 ** t\n    v /= 1 - beta2 ** t\n    mhat, vhat = m, v",
         "m and v themselves are corrected; what is kept stays as it is, m̂ and v̂ are new arrays"),
        ("adam_", "m / (1 - beta1 ** t)", "m", "m is not corrected: it starts at 0, too small"),
        ("adam_", "m / (1 - beta1 ** t)", "m / (1 - beta1 ** (t + 1))",
         "t is counted one too far: the first step has t = 1"),
        ("adam_", "** t)", "** (t + 1))", "t is counted one too far: the first step has t = 1"),
        ("adam_", "** t)", "** (t - 1))", "t is counted from 0: the first step has t = 1"),
        ("adam_", "** t)", "* t)", "1 - β t in place of 1 - βᵗ: β to the power t"),
        ("adam_", " ** t)", ")", "1 - β in place of 1 - βᵗ: right in the first step alone"),
        ("adam_", " / (1 - beta", " * (1 - beta",
         "m and v are too small at first: they are divided by 1 - βᵗ, not multiplied"),
        ("adam_", "v / (1 - beta2 ** t)", "v", "v is not corrected: it starts at 0, too small"),
        ("adam_", "v / (1 - beta2 ** t)", "v / (1 - beta1 ** t)",
         "v is corrected with β₁; its mean runs with β₂"),
        ("adam_", "(1 - beta2) * g * g", "(1 - beta2) * g", "g in place of g²: v averages squares"),
        ("adam_", "(1 - beta1) * g", "g", "m adds the whole gradient; a mean adds (1 - β₁) g"),
        ("adam_", "np.sqrt(vhat) + eps", "np.sqrt(vhat + eps)",
         "ε stands under the root; it is added to the root"),
        ("adam_", "np.sqrt(vhat) + eps", "vhat + eps", "divided by v̂; it is divided by its root"),
        ("adam_", "w -=", "w +=", "uphill: the step goes against the gradient"),
        ("adamw_", "w *= 1 - lr * decay", "dw = dw + decay * w",
         "the decay is put into the gradient, as L2 would be; AdamW shrinks the weight itself"),
        ("adamw_", "w *= 1 - lr * decay", "w *= 1 - decay",
         "the decay is not multiplied by the learning rate"),
        ("adamw_", "w *= 1 - lr * decay", "pass", "the weight does not decay"),
        ("adamw_", "    w *= 1 - lr * decay\n    adam_(w, dw, m, v, lr=lr, t=t, beta1=beta1, "
         "beta2=beta2, eps=eps, scale=scale)", "    adam_(w, dw, m, v, lr=lr, t=t, beta1=beta1, "
         "beta2=beta2, eps=eps, scale=scale)\n    w *= 1 - lr * decay",
         "the weight shrinks after Adam's step, and the step with it; it shrinks first"),
        ("adamw_", ", beta1=beta1, beta2=beta2, eps=eps, scale=scale", "",
         "adam_ is called without beta1, beta2, eps and scale, and takes their defaults")),
    hints=(
        ("Two running means: of the gradient and of its square. Both start at 0 and are corrected "
         "for it when they are used, without changing what is stored. Everything is written in "
         "place. AdamW shrinks the weight before, apart from the gradient.",
         "两个滑动平均：梯度的和梯度平方的。二者从 0 开始，使用时要修正偏差，但不改变存下来的值。"
         "全部原地写入。AdamW 先单独让权重衰减，与梯度无关。"),
        ("m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g², m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ), "
         "w ← w - η m̂ / (√v̂ + ε); AdamW: first w ← w - η λ w.",
         "m ← β₁ m + (1 - β₁) g，v ← β₂ v + (1 - β₂) g²，m̂ = m / (1 - β₁ᵗ)，v̂ = v / (1 - β₂ᵗ)，"
         "w ← w - η m̂ / (√v̂ + ε)；AdamW 先做 w ← w - η λ w。"),
        ("m *= beta1; m += (1 - beta1) * g; likewise v with g * g; then mhat = m / (1 - beta1 ** "
         "t) "
         "as a new array. w -= lr * mhat / (np.sqrt(vhat) + eps). adamw_: w *= 1 - lr * decay, "
         "then "
         "call adam_ with all settings.",
         "m *= beta1；m += (1 - beta1) * g；v 同理，用 g * g；mhat = m / (1 - beta1 ** t) 是新数"
         "组。"
         "w -= lr * mhat / (np.sqrt(vhat) + eps)。adamw_：先 w *= 1 - lr * decay，"
         "再带着全部设置调用 adam_。")))
