"""Adam and AdamW."""

from nanollm.exercises.of_ops import exercise

M, V = "m / (1 - beta1 ** t)", "v / (1 - beta2 ** t)"
MEAN = "    m *= beta1\n    m += (1 - beta1) * g\n"
SQUARES = "    v *= beta2\n    v += (1 - beta2) * g * g\n"
HATS = f"    mhat = {M}\n    vhat = {V}\n"
STEP = "    w -= lr * mhat / (np.sqrt(vhat) + eps)"
DECAY = "w *= 1 - lr * decay"
SETTINGS = ", beta1=beta1, beta2=beta2, eps=eps, scale=scale"

EXERCISE = exercise(
    "adam", title="Adam and AdamW", notebook="07_optimizers", ops=("adam_", "adamw_"),
    blanks=("adam_", "adamw_"),
    suspects=(
        ("adam_", "g = scale * dw", "g = dw", "the clipping factor `scale` is not used"),
        ("adam_", "g = scale * dw", "g = dw\n    lr = lr * scale",
         "`scale` shortens the step; it belongs to the gradient, before m and v are made of it"),
        ("adam_", "g = scale * dw", "g = dw / scale", "`scale` divides; the gradient is multiplied "
         "by it"),
        ("adam_", "g = scale * dw", "g = np.clip(dw, -scale, scale)",
         "each entry is clipped alone; `scale` is a factor of the whole gradient"),
        ("adam_", "lr * mhat", "lr * scale * mhat",
         "`scale` counts twice: g holds it, and the step is made of g"),
        ("adam_", "(1 - beta1) * g", "(1 - beta1) * dw", "m is made of dw, without `scale`"),
        ("adam_", "(1 - beta2) * g * g", "(1 - beta2) * dw * dw", "v is made of dw, without "
         "`scale`"),
        ("adam_", "(1 - beta2) * g * g", "(1 - beta2) * scale * dw * dw",
         "in v `scale` is not squared: g = scale dw, and v averages g²"),
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
        ("adam_", " ** t)", ")",
         "1 - β in place of 1 - βᵗ, as if t were always 1: right in the first step alone"),
        ("adam_", HATS, HATS.replace(" ** t)", ") ** t"),
         "(1 - β)ᵗ in place of 1 - βᵗ: β alone is raised to the power t"),
        ("adam_", HATS, HATS.replace("(", "").replace(")", ""),
         "parentheses are missing: m / 1 - βᵗ is (m / 1) - βᵗ"),
        ("adam_", M, f"{M} ** 2", "m is divided by 1 - β₁ᵗ twice"),
        ("adam_", V, f"{V} ** 2", "v is divided by 1 - β₂ᵗ twice"),
        ("adam_", M, "m / (1 - beta2 ** t)", "m is corrected with β₂; its mean runs with β₁"),
        ("adam_", " / (1 - beta", " * (1 - beta",
         "m and v are too small at first: they are divided by 1 - βᵗ, not multiplied"),
        ("adam_", "v / (1 - beta2 ** t)", "v", "v is not corrected: it starts at 0, too small"),
        ("adam_", "v / (1 - beta2 ** t)", "v / (1 - beta1 ** t)",
         "v is corrected with β₁; its mean runs with β₂"),
        ("adam_", "(1 - beta2) * g * g", "(1 - beta2) * g", "g in place of g²: v averages squares"),
        ("adam_", "(1 - beta2) * g * g", "(1 - beta2) * abs(g)",
         "|g| in place of g²: v averages squares"),
        ("adam_", "(1 - beta2) * g * g", "((1 - beta2) * g) ** 2",
         "1 - β₂ is squared, too: v adds (1 - β₂) g²"),
        ("adam_", "(1 - beta2) * g * g", "(1 - beta2) * m * m",
         "v averages the squares of m; it averages those of g"),
        ("adam_", "(1 - beta2) * g * g", "(1 - beta1) * g * g", "v adds (1 - β₁) g²; its mean runs "
         "with β₂"),
        ("adam_", SQUARES, SQUARES.replace("beta2", "beta1"), "v runs with β₁; its mean runs with "
         "β₂"),
        ("adam_", MEAN, MEAN.replace("beta1", "beta2"), "m runs with β₂; its mean runs with β₁"),
        ("adam_", "(1 - beta2) * g * g", "(1 - beta2) * np.sum(g * g)",
         "g² is summed over all entries; each entry of v has its own"),
        ("adam_", "(1 - beta2) * g * g", "(1 - beta2) * np.mean(g * g)",
         "g² is averaged over all entries; each entry of v has its own, and averages over the "
         "steps"),
        ("adam_", "(1 - beta1) * g", "g", "m adds the whole gradient; a mean adds (1 - β₁) g"),
        ("adam_", "(1 - beta2) * g * g", "g * g", "v adds the whole g²; a mean adds (1 - β₂) g²"),
        ("adam_", "m *= beta1", "pass", "the old m keeps its whole weight; a mean keeps β₁ m"),
        ("adam_", "v *= beta2", "pass", "the old v keeps its whole weight; a mean keeps β₂ v"),
        ("adam_", "m *= beta1", "m *= 0", "the old m is thrown away; a mean keeps β₁ m"),
        ("adam_", "v *= beta2", "v *= 0", "the old v is thrown away; a mean keeps β₂ v"),
        ("adam_", MEAN, "    m *= 1 - beta1\n    m += beta1 * g\n",
         "β₁ and 1 - β₁ are exchanged: m keeps the share β₁, and g gets 1 - β₁"),
        ("adam_", SQUARES, "    v *= 1 - beta2\n    v += beta2 * g * g\n",
         "β₂ and 1 - β₂ are exchanged: v keeps the share β₂, and g² gets 1 - β₂"),
        ("adam_", MEAN + SQUARES + HATS + STEP,
         STEP.replace("mhat", M).replace("vhat", V) + "\n" + MEAN + SQUARES,
         "the step is taken with the old m and v; they are renewed first"),
        ("adam_", MEAN + SQUARES + HATS, (MEAN + SQUARES + HATS).replace("beta1", "0.9").replace(
            "beta2", "0.999"), "the settings beta1 and beta2 are not used, but 0.9 and 0.999"),
        ("adam_", MEAN + SQUARES + HATS, (MEAN + SQUARES + HATS).replace("beta1", "0.9"),
         "the setting beta1 is not used, but 0.9, its default"),
        ("adam_", MEAN + SQUARES + HATS, (MEAN + SQUARES + HATS).replace("beta2", "0.999"),
         "the setting beta2 is not used, but 0.999, its default"),
        ("adam_", " + eps)", " + 1e-8)", "the setting eps is not used, but 1e-8, its default"),
        ("adam_", "w -= lr *", "w -= 0.1 *", "the learning rate is written as a number"),
        ("adam_", "lr * mhat", "mhat", "the learning rate is not used"),
        ("adam_", "lr * mhat", "lr * g", "the step is made of g; it is made of m̂"),
        ("adam_", "lr * mhat / (np.sqrt(vhat) + eps)", "lr * mhat * (np.sqrt(vhat) + eps)",
         "multiplied by √v̂ + ε; it is divided by it"),
        ("adam_", "np.sqrt(vhat) + eps", "np.linalg.norm(vhat) + eps",
         "the norm of all of v̂; each entry has a root of its own, np.sqrt(vhat)"),
        ("adam_", "np.sqrt(vhat) + eps", "np.sqrt(vhat)", "ε is left out: it is added to the root"),
        ("adam_", "(np.sqrt(vhat) + eps)", "np.sqrt(vhat) + eps",
         "parentheses are missing: ε is added to the step, not to the root"),
        ("adam_", "np.sqrt(vhat) + eps", "np.maximum(np.sqrt(vhat), eps)",
         "ε is the least that the root may be; it is added to the root"),
        ("adam_", "np.sqrt(vhat) + eps", "np.sqrt(vhat) + eps / np.sqrt(1 - beta2 ** t)",
         "ε is added to √v, before the correction; it is added to the root of v̂"),
        ("adam_", "np.sqrt(vhat) + eps", "np.sqrt(vhat + eps)",
         "ε stands under the root; it is added to the root"),
        ("adam_", "np.sqrt(vhat) + eps", "vhat + eps", "divided by v̂; it is divided by its root"),
        ("adam_", "w -=", "w +=", "uphill: the step goes against the gradient"),
        ("adamw_", "w *= 1 - lr * decay", "dw = dw + decay * w / scale",
         "the decay is put into the gradient, as L2 would be; AdamW shrinks the weight itself"),
        ("adamw_", DECAY, "w *= 1 + lr * decay", "the weight grows: a sign of the decay is "
         "flipped"),
        ("adamw_", DECAY, "w *= lr * decay",
         "all but the share η λ of the weight is lost: w is multiplied by 1 - η λ"),
        ("adamw_", DECAY, "w *= (1 - lr) * decay",
         "parentheses in the wrong place: w is multiplied by 1 - η λ"),
        ("adamw_", DECAY, "w -= lr * decay", "η λ itself is subtracted; it is η λ w"),
        ("adamw_", DECAY, "w -= lr * decay * np.sign(w)",
         "η λ itself is subtracted, with w's sign; it is η λ w"),
        ("adamw_", DECAY, "w *= (1 - lr * decay) ** 2", "the weight decays twice in a step"),
        ("adamw_", DECAY, "w *= 1 - lr * 0.01",
         "the setting decay is not used, but 0.01, its default"),
        ("adamw_", DECAY, "w *= 1 - lr * decay * scale",
         "`scale` shortens the decay, too; it is for the gradient alone"),
        ("adamw_", "adam_(w, dw, m", "adam_(w.copy(), dw, m",
         "the decay reaches w and Adam's step does not: `w = w - ...` makes a new array"),
        ("adamw_", "w *= 1 - lr * decay", "dw = dw + decay * w",
         "the decay is put into the gradient, as L2 would be; AdamW shrinks the weight itself"),
        ("adamw_", "w *= 1 - lr * decay", "w *= 1 - decay",
         "the decay is not multiplied by the learning rate"),
        ("adamw_", "w *= 1 - lr * decay", "pass", "the weight does not decay"),
        ("adamw_", "    w *= 1 - lr * decay\n    adam_(w, dw, m, v, lr=lr, t=t, beta1=beta1, "
         "beta2=beta2, eps=eps, scale=scale)", "    adam_(w, dw, m, v, lr=lr, t=t, beta1=beta1, "
         "beta2=beta2, eps=eps, scale=scale)\n    w *= 1 - lr * decay",
         "the weight shrinks after Adam's step, and the step with it; it shrinks first"),
        ("adamw_", SETTINGS, "",
         "adam_ is called without beta1, beta2, eps and scale, and takes their defaults"),
        ("adamw_", "beta1=beta1, beta2=beta2", "beta1=beta2, beta2=beta1",
         "adam_ is called with β₁ and β₂ exchanged"),
        ("adamw_", "dw, m, v, lr", "dw, v, m, lr", "adam_ is called with m and v exchanged")),
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
