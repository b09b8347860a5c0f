"""The bug museum: a small automatic differentiation, one number at a time.

Program     A Number knows what it was computed from and, for each, the derivative. `backward` walks
            from the result to the beginnings, in reverse order, and leaves in every Number's `grad`
            the derivative of the result by it.
Symptom     The first call of `backward` is right. Called again on the same numbers, to look at a
            gradient once more, it gives other gradients for the weights, although theirs start at
            zero each time.
"""


class Number:
    def __init__(self, value, parents=()):
        self.value, self.grad = value, 0.0
        self.parents = parents                                  # ((Number, derivative), ...)

    def __add__(self, other):
        return Number(self.value + other.value, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        return Number(self.value * other.value, ((self, other.value), (other, self.value)))

    def backward(self):
        """∂self/∂n in n.grad, for every Number n that self was computed from."""
        order = in_order(self)
        for node in order:
            node.grad = 0.0
        self.grad = 1.0
        for node in reversed(order):
            for parent, derivative in node.parents:
                parent.grad += node.grad * derivative


def in_order(result):
    """All Numbers that `result` was computed from, each after those that it was computed from."""
    order, seen = [], set()

    def visit(node):
        if id(node) not in seen:
            seen.add(id(node))
            for parent, _ in node.parents:
                visit(parent)
            order.append(node)

    visit(result)
    return order
