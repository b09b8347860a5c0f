"""Sums, products, relu, tanh, sigmoid: one entry in, one entry out."""

from nanollm.exercises.of_ops import exercise

EXERCISE = exercise(
    "elementwise", title="Add, mul, relu, tanh, sigmoid; broadcasting", notebook="05_gradients",
    ops=("add", "mul", "relu", "tanh", "sigmoid"),
    blanks=("unbroadcast", "add", "add_backward", "mul", "mul_backward", "relu", "relu_backward",
            "tanh", "tanh_backward", "sigmoid", "sigmoid_backward"),
    suspects=(
        ("unbroadcast", "dy.sum(axis=tuple(range(extra)) + stretched, keepdims=True)",
         "dy[(-1,) * extra]", "only the last copy counts: a broadcast's gradient is the sum over "
         "all places to which a number was copied"),
        ("unbroadcast", "dy.sum(", "dy.mean(",
         "a mean over the copies: a broadcast's gradient is the sum over them"),
        ("unbroadcast", "+ stretched", "",
         "axes of size 1 that were stretched are not summed"),
        ("mul_backward", "unbroadcast(dy * b, a.shape), unbroadcast(dy * a, b.shape)",
         "unbroadcast(dy * a, a.shape), unbroadcast(dy * b, b.shape)",
         "the factors are exchanged: the gradient of a is dy times b"),
        ("mul_backward", "dy * b", "dy * a",
         "the gradient of a holds a: it is dy times the other factor"),
        ("mul_backward", "unbroadcast(dy * b, a.shape), unbroadcast(dy * a, b.shape)",
         "dy * a, dy * b", "the factors are exchanged, and unbroadcast is missing"),
        ("mul_backward", "unbroadcast(dy * b, a.shape), unbroadcast(dy * a, b.shape)",
         "unbroadcast(dy * b, b.shape), unbroadcast(dy * a, a.shape)",
         "unbroadcast gets the other's shape: the gradient of a has a's"),
        ("relu", "np.maximum(x, 0), (positive,)", "np.where(x > -1, x, 0), (x > -1,)",
         "the corner of relu is at 0, not at -1"),
        ("relu", "np.maximum(x, 0)", "np.abs(x)", "negative entries become 0, not positive"),
        ("relu_backward", "dy * positive", "dy",
         "dy passes where x was negative, too: there relu is constant"),
        ("tanh", "(y,)", "(x,)", "1 - x² in place of 1 - y²: save y"),
        ("tanh_backward", "1 - y * y", "1 - y", "1 - y in place of 1 - y²"),
        ("tanh_backward", "1 - y * y", "1 + y * y", "1 + y² in place of 1 - y²: a sign"),
        ("tanh_backward", "dy * (1 - y * y)", "(1 - y * y)", "dy is not used: the chain rule"),
        ("sigmoid", "(y,)", "(x,)", "x (1 - x) in place of y (1 - y): save y"),
        ("sigmoid_backward", "* y * (1 - y)", "* (1 - y)", "a factor y is missing in y (1 - y)"),
        ("sigmoid_backward", "* y * (1 - y)", "* (1 - y * y)",
         "this is the derivative of tanh; that of the sigmoid is y (1 - y)")),
    hints=(
        ("Each entry of y depends on one entry of x: a backward multiplies dy by the derivative "
         "there. Where a small array was copied to fit a large one, the gradients of all copies "
         "add up. For the sigmoid, think of what exp does with a large number.",
         "y 的每个元素只依赖 x 的一个元素，所以反向就是 dy 逐元素乘导数。小数组被广播（复制）的地"
         "方，"
         "各个副本的梯度要相加。写 sigmoid 时想一想 exp 遇到很大的数会怎样。"),
        ("da = dy b and db = dy a; relu'(x) = [x > 0]; tanh' = 1 - y²; sigmoid' = y (1 - y). "
         "sigmoid(x) = 1 / (1 + e) for x ≥ 0 and e / (1 + e) for x < 0, with e = exp(-|x|), which "
         "never overflows.",
         "da = dy b，db = dy a；relu'(x) = [x > 0]；tanh' = 1 - y²；sigmoid' = y (1 - y)。"
         "令 e = exp(-|x|)，不会溢出：x ≥ 0 时 sigmoid = 1 / (1 + e)，x < 0 时为 e / (1 + e)。"),
        ("unbroadcast: the first dy.ndim - len(shape) axes were put in front, and where shape has "
         "a 1 the axis was stretched; dy.sum(axis=those, keepdims=True).reshape(shape). Sigmoid: "
         "np.where(x >= 0, 1, e) / (1 + e).",
         "unbroadcast：最前面的 dy.ndim - len(shape) 个轴是补上的，shape 中为 1 的轴是被拉伸的；"
         "对这些轴 dy.sum(axis=..., keepdims=True).reshape(shape)。"
         "sigmoid：np.where(x >= 0, 1, e) / (1 + e)。")))
