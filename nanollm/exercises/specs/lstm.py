"""Long short-term memory, through time."""

from nanollm.exercises.of_recurrence import exercise

EXERCISE = exercise(
    "lstm", title="The LSTM, through time", limit=40,
    blanks=("lstm", "lstm_backward"),
    suspects=(
        ("lstm", "i, f, g, o = np.split", "f, i, g, o = np.split",
         "the input and the forget gate are exchanged: the order is i, f, g, o"),
        ("lstm", "i, f, g, o = np.split", "i, f, o, g = np.split",
         "the candidate and the output gate are exchanged: the order is i, f, g, o"),
        ("lstm", "i, f, g, o = np.split", "f, i, o, g = np.split",
         "the quarters are in another order: it is i, f, g, o"),
        ("lstm", "i, f, g, o = np.split", "i, g, f, o = np.split",
         "the forget gate and the candidate are exchanged: the order is i, f, g, o"),
        ("lstm", "sigmoid(i)[0], sigmoid(f)[0], sigmoid(o)[0]",
         "sigmoid(i), sigmoid(f), sigmoid(o)",
         "sigmoid is an op and gives the pair (y, saved): take its [0]"),
        ("lstm", "in_order(T, reverse)", "range(T)",
         "`reverse` is not used: with it the steps are taken from the last to the first"),
        ("lstm", "state = o * shown[:, t]", "state = o * cell",
         "the cell is shown without its tanh: h = o tanh(c)"),
        ("lstm", "cell = f * c + i * g", "cell = f * c + g",
         "the input gate is missing: i decides how much of g is written"),
        ("lstm", "cell = f * c + i * g", "cell = (1 - i) * c + i * g",
         "the forget gate is not used: f decides how much of the cell stays"),
        ("lstm_backward", "live[:, t] * dc + gh", "gh",
         "the cell's own road is lost: dc comes from the next step, too"),
        ("lstm_backward", "dc = gc * f + ~live", "dc = gc + ~live",
         "the forget gate is missing on the way back: dc_{t-1} = dc_t f"),
        ("lstm_backward", "(dy[:, t] + dh)", "dy[:, t]",
         "time is forgotten: h_t is used by y_t and by the next step, so dh comes in, too"),
        ("lstm_backward", "(dy[:, t] + dh)", "dh",
         "dy_t is forgotten: h_t is used by y_t and by the next step"),
        ("lstm_backward", "not reverse", "True",
         "the way back ignores `reverse`: it goes against the order of the forward"),
        ("lstm_backward", "gh * o * (1 - tanh_c * tanh_c)", "gh * o",
         "the derivative of tanh(c) is missing: 1 - tanh²(c)"),
        ("lstm_backward", "gc * cells[:, t] * f", "gc * tanh_c * f",
         "the forget gate's gradient holds tanh(c_t); it holds the cell before, c_{t-1}"),
        ("lstm", "shown[:, t] = np.tanh(cell)", "shown[:, t], cells[:, t] = np.tanh(cell), cell",
         "the forget gate's gradient holds c_t; it holds the cell before, c_{t-1}"),
        ("lstm_backward", "gc * g * i * (1 - i)", "gc * g * i * (1 - i * i)",
         "i (1 - i²) in place of the sigmoid's i (1 - i)"),
        ("lstm_backward", "gh * tanh_c * o * (1 - o)", "gc * tanh_c * o * (1 - o)",
         "the output gate's gradient comes from dh, not from dc"),
        ("lstm_backward", "da.sum(axis=(0, 1))", "da.sum(axis=0)[-1]",
         "db holds the last step alone: the bias was added at every step")),
    hints=(
        ("Two things go from step to step: the state h, which is shown, and the cell c, which "
         "remembers. On the way back, first collect all that reaches c_t: from h_t, and from the "
         "next step. The quarters of a stand in the order i, f, g, o.",
         "逐步传递的有两样：对外的状态 h 和负责记忆的单元 c。反向时先汇总到达 c_t 的全部梯度：来自 "
         "h_t 的和来自"
         "下一步的。a 的四等分依次是 i, f, g, o。"),
        ("c_t = f c_{t-1} + i g, h_t = o tanh(c_t). With g_h = dy_t + dh: dc += g_h o (1 - "
         "tanh²c); "
         "da_i = dc g i (1 - i), da_f = dc c_{t-1} f (1 - f), da_g = dc i (1 - g²), "
         "da_o = g_h tanh(c) o (1 - o); dh = da uᵀ, dc = dc f.",
         "c_t = f c_{t-1} + i g，h_t = o tanh(c_t)。令 g_h = dy_t + dh：dc += g_h o (1 - tanh²c)；"
         "da_i = dc g i (1 - i)，da_f = dc c_{t-1} f (1 - f)，da_g = dc i (1 - g²)，"
         "da_o = g_h tanh(c) o (1 - o)；dh = da uᵀ，dc = dc f。"),
        ("np.split(a[:, t] + h @ u, 4, axis=-1); sigmoid(i)[0] is its y. Keep, for each step, h "
         "and "
         "c before it, the four gates and tanh(c). Padding: h, c = np.where(live[:, t], new, old), "
         "and ~live[:, t] * dh, ~live[:, t] * dc are added on the way back.",
         "np.split(a[:, t] + h @ u, 4, axis=-1)；sigmoid(i)[0] 是它的 y。每一步保存之前的 h 和 c、"
         "四个门和 "
         "tanh(c)。填充：h、c 用 np.where(live[:, t], 新, 旧)，反向时加上 ~live[:, t] * dh 和 "
         "~live[:, t] * dc。")))
