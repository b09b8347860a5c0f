"""The recurrent network, through time."""

from nanollm.exercises.of_recurrence import exercise

EXERCISE = exercise(
    "rnn", title="The recurrent network, through time",
    blanks=("tokens", "in_order", "over_steps", "rnn", "rnn_backward"),
    suspects=(
        ("in_order", "if reverse", "if not reverse",
         "the steps are taken backward where they should go forward"),
        ("over_steps", "np.tensordot(x, da, axes=((0, 1), (0, 1)))", "x[:, -1].T @ da[:, -1]",
         "only the last step teaches the weights: their gradients add up over all steps"),
        ("rnn", "np.tanh(a[:, t] + h @ u)", "(a[:, t] + h @ u)", "the tanh is missing"),
        ("rnn", "a[:, t] + h @ u", "a[:, t]", "the state before is not used: h u is missing"),
        ("rnn", "in_order(x.shape[1], reverse)", "range(x.shape[1])",
         "`reverse` is not used: with it the steps are taken from the last to the first"),
        ("rnn_backward", "(dy[:, t] + dh)", "dy[:, t]",
         "time is forgotten: h_t is used by y_t and by the next step, so dh comes in, too"),
        ("rnn_backward", "(dy[:, t] + dh)", "dh",
         "dy_t is forgotten: h_t is used by y_t and by the next step"),
        ("rnn_backward", "1 - y[:, t] * y[:, t]", "1 - y[:, t]", "1 - h in place of 1 - h²"),
        ("rnn_backward", "1 - y[:, t] * y[:, t]", "1 - past[:, t] * past[:, t]",
         "the slope of tanh is taken at the state before; it is 1 - h_t²"),
        ("rnn_backward", "g * (1 - y[:, t] * y[:, t])", "g",
         "the slope of tanh is missing: 1 - h²"),
        ("rnn_backward", "not reverse", "reverse",
         "the steps are taken in the forward's order: go back from the last to the first"),
        ("rnn_backward", "not reverse", "True",
         "the way back ignores `reverse`: it goes against the order of the forward"),
        ("rnn_backward", "da[:, t] @ u.T", "da[:, t] @ u", "u is not transposed on the way back"),
        ("rnn_backward", "over_steps(past, da)", "over_steps(y, da)",
         "du is made of h_t; it is made of the state before, h_{t-1}")),
    hints=(
        ("The loop over time is a deep network whose layers share their weights. Going back, each "
         "state gets two gradients, from its output and from the next step, and each step adds to "
         "the weights' gradients. At padding nothing happens: the state passes as it is.",
         "沿时间的循环就是一个各层共用权重的深层网络。反向时，每个状态收到两份梯度：来自它的输出和"
         "来自下一步；"
         "每一步都往权重的梯度里累加。在填充处什么也不发生：状态原样通过。"),
        ("h_t = tanh(x_t w + h_{t-1} u + b). g_t = dy_t + dh_t, da_t = g_t (1 - h_t²), "
         "dh_{t-1} = da_t uᵀ; dx = da wᵀ, dw = Σ x_tᵀ da_t, du = Σ h_{t-1}ᵀ da_t, db = Σ da_t.",
         "前向 h_t = tanh(x_t w + h_{t-1} u + b)。反向 g_t = dy_t + dh_t，da_t = g_t (1 - h_t²)，"
         "dh_{t-1} = da_t uᵀ；dx = da wᵀ，dw = Σ x_tᵀ da_t，du = Σ h_{t-1}ᵀ da_t，db = Σ da_t。"),
        ("x @ w + b for all steps at once; inside the loop only h @ u. Keep the state before each "
         "step in `past`. h = np.where(live[:, t], state, h), y[:, t] = live[:, t] * state; "
         "backward: dh = da[:, t] @ u.T + ~live[:, t] * dh. over_steps is a tensordot over axes 0 "
         "and 1.",
         "x @ w + b 对所有时间步一次算完，循环里只做 h @ u。把每步之前的状态存进 past。"
         "h = np.where(live[:, t], state, h)，y[:, t] = live[:, t] * state；"
         "反向：dh = da[:, t] @ u.T + ~live[:, t] * dh。over_steps 是对第 0、1 轴的 tensordot。")))
