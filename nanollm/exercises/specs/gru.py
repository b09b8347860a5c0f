"""The gated recurrent unit, through time."""

from nanollm.exercises.of_recurrence import exercise

EXERCISE = exercise(
    "gru", title="The GRU, through time", limit=40,
    blanks=("gru", "gru_backward"),
    suspects=(
        ("gru", "np.tanh(p_n + r * q_n)", "np.tanh(r * (p_n + q_n))",
         "the reset gate acts on the token, too; it acts on q_n, the past, alone"),
        ("gru", "np.tanh(p_n + r * q_n)", "np.tanh(p_n + q_n)", "the reset gate is not used"),
        ("gru", "(1 - z) * n + z * h", "z * n + (1 - z) * h",
         "z is the wrong way round: it says how much of the past stays"),
        ("gru", "(1 - z) * n + z * h", "n + z * h", "the candidate is not weighed by 1 - z"),
        ("gru", "r, z = sigmoid(p_r + q_r)[0], sigmoid(p_z + q_z)[0]",
         "z, r = sigmoid(p_r + q_r)[0], sigmoid(p_z + q_z)[0]",
         "r and z are exchanged: the order of the thirds is r, z, n"),
        ("gru", "sigmoid(p_r + q_r)[0], sigmoid(p_z + q_z)[0]", "sigmoid(p_r + q_r), "
         "sigmoid(p_z + q_z)", "sigmoid is an op and gives the pair (y, saved): take its [0]"),
        ("gru", "h @ u if bu is None else h @ u + bu", "h @ u", "bu is not added to q"),
        ("gru", "in_order(T, reverse)", "range(T)",
         "`reverse` is not used: with it the steps are taken from the last to the first"),
        ("gru_backward", "(dy[:, t] + dh)", "dy[:, t]",
         "time is forgotten: h_t is used by y_t and by the next step, so dh comes in, too"),
        ("gru_backward", "(dy[:, t] + dh)", "dh",
         "dy_t is forgotten: h_t is used by y_t and by the next step"),
        ("gru_backward", "not reverse", "True",
         "the way back ignores `reverse`: it goes against the order of the forward"),
        ("gru_backward", " + g * z + ", " + ",
         "the road past the candidate is lost: h_{t-1} also reaches h_t through z"),
        ("gru_backward", "past[:, t] - n", "past[:, t]",
         "dz misses the candidate: h_t changes with z by h_{t-1} - n"),
        ("gru_backward", "dp_z, dp_n * r)", "dp_z, dp_n)",
         "q_n was multiplied by r: its gradient is dp_n r"),
        ("gru_backward", "dp_n * seen[:, t] * r", "dp_n * r",
         "the reset gate's gradient misses q_n, by which r was multiplied"),
        ("gru_backward", "over_steps(past, dq)", "over_steps(past, dp)",
         "du is made of dp; u belongs to q, so it is made of dq"),
        ("gru_backward", "zip((dp, dq), biases)", "zip((dp, dp), biases)",
         "dbu is made of dp; bu belongs to q, so it is the sum of dq"),
        ("gru_backward", "g * (1 - z) *", "g * z *",
         "the candidate's gradient holds z; n was weighed by 1 - z")),
    hints=(
        ("One gate z both forgets and writes: h_t lies between the candidate n and h_{t-1}. On the "
         "way back h_{t-1} is reached by two roads, straight through z and through the gates. "
         "p comes from the token and q from the past; n sees q only through r.",
         "一个门 z 同时管遗忘和写入：h_t 介于候选 n 与 h_{t-1} 之间。反向时通往 h_{t-1} 有两条路："
         "直接经过 z，"
         "以及经过各个门。p 来自词元，q 来自过去；n 只通过 r 看到 q。"),
        ("h_t = (1 - z) n + z h_{t-1}, n = tanh(p_n + r q_n). With g = dy_t + dh: "
         "dp_n = g (1 - z)(1 - n²), dp_z = g (h_{t-1} - n) z (1 - z), dp_r = dp_n q_n r (1 - r), "
         "dq = (dp_r, dp_z, dp_n r), dh = dq uᵀ + g z.",
         "h_t = (1 - z) n + z h_{t-1}，n = tanh(p_n + r q_n)。令 g = dy_t + dh："
         "dp_n = g (1 - z)(1 - n²)，dp_z = g (h_{t-1} - n) z (1 - z)，dp_r = dp_n q_n r (1 - r)，"
         "dq = (dp_r, dp_z, dp_n r)，dh = dq uᵀ + g z。"),
        ("p = x @ w + b for all steps; in the loop q = h @ u + bu, both split into thirds r, z, n. "
         "Save the state before each step, the gates and q_n. dx and dw come from dp, du and dbu "
         "from dq; add ~live[:, t] * dh.",
         "p = x @ w + b 对所有步一次算完；循环里 q = h @ u + bu，两者都按 r, z, n 三等分。保存每步"
         "之前的状态、"
         "各个门和 q_n。dx、dw 由 dp 得到，du、dbu 由 dq 得到；再加上 ~live[:, t] * dh。")))
