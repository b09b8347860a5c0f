"""The museum: backward called twice."""

from nanollm.exercises.spec import Exercise, Wrong


def grads(*numbers):
    return [number.grad for number in numbers]


def expect(what, got, want, tried, likely=None):
    if got != want:
        raise Wrong(what, tried=tried, got=str(got), expected=str(want), likely=likely)


def check_once(student):
    "called once"
    a, b, d = map(student.Number, (3.0, 2.0, 5.0))
    e = (a + b) * d
    e.backward()
    expect("the gradients of a, b, d are wrong at the first call", grads(a, b, d), [5.0, 5.0, 5.0],
           "e = (a + b) d with a = 3, b = 2, d = 5",
           "the result's own gradient is 1, and a Number's is complete before it is passed on")


def check_shared(student):
    "a number that is used twice"
    x = student.Number(3.0)
    y = x * x
    z = y + y * x
    z.backward()
    expect("the gradient of a number that is used twice is wrong", grads(x, y), [33.0, 4.0],
           "z = y + y x, y = x x, x = 3: dz/dx = 2 x + 3 x²",
           "its contributions add up, each once")


def check_again(student):
    "called again"
    a, b, d = map(student.Number, (3.0, 2.0, 5.0))
    e = (a + b) * d
    e.backward()
    first = grads(a, b, d)
    for n in 2, 3:
        e.backward()
        expect(f"call {n} of backward gives other gradients than the first", grads(a, b, d), first,
               "e = (a + b) d, nothing changed between the calls",
               "print the gradient of every Number, also of a + b, after each call")


def check_other_result(student):
    "two results of the same numbers"
    a, b = map(student.Number, (3.0, 2.0))
    c = a * b
    y, z = c + a, c * b
    y.backward()
    z.backward()
    expect("after z.backward() the gradients are not those of z", grads(a, b, c), [4.0, 12.0, 2.0],
           "c = a b, y = c + a, z = c b with a = 3, b = 2; y.backward(), then z.backward()",
           "z.backward() begins anew for every Number that z was computed from")


EXERCISE = Exercise(
    name="museum_twice", title="Backward called twice", group="museum", notebook="06_tape",
    page="nanollm/exercises/pages/museum_twice.py",
    broken=(("            node.grad = 0.0\n",
             "            if not node.parents:\n                node.grad = 0.0\n"),),
    checks=(check_once, check_shared, check_again, check_other_result),
    hints=(
        ("The weights' gradients start at zero in each call. Whose do not?",
         "每次调用时权重的梯度都从零开始。还有谁的不是？"),
        ("Print the gradient of a + b after the first call and after the second.",
         "在第一次和第二次调用之后，分别打印 a + b 的梯度。"),
        ("What lies between the weights and the result accumulates as well: set grad to 0 for "
         "every Number of the order, with parents or without.",
         "权重与结果之间的中间量同样会累积：对 order 中的每个 Number，无论有没有 parents，都先把 "
         "grad 置 0。")),
    thread="https://github.com/karpathy/micrograd/pull/102",
    explanation="""\
Cause     Every Number accumulates with +=, but only those without parents, the weights, are set to
          zero. What lies between keeps the gradient of the last call, adds the new one to it, and
          passes the sum on to the weights.
Hidden    In a training loop the numbers between are made anew in each step, with gradient 0. It
          shows only where backward is called twice on the same graph.
Found     By calling it twice and printing: the gradients of a graph that did not change must not
          change.
Repair    Every Number of the graph starts at 0, in backward itself.
Thread    karpathy/micrograd PR #102 (open), with the remark of a user that zero_grad zeros only the
          leaves; issue #53, "Ensure backward() is idempotent", gives an example of five numbers.
          Why our tape has no such state: nanollm/tape.py keeps gradients in a dict of one call.""")
