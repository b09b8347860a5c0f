"""The museum: two evaluations, two losses."""

import numpy as np

from nanollm.exercises.spec import Exercise, Wrong, call, expect


def network(student, rate=0.5, seed=0):
    r = np.random.default_rng(seed)
    w1, w2 = r.standard_normal((3, 16)), r.standard_normal(16)
    x, y = r.standard_normal((10, 3)), r.standard_normal(10)
    clean = float(((np.maximum(x @ w1, 0) @ w2 - y) ** 2).mean())
    return student.Network(w1, w2, rate, np.random.default_rng(1)), x, y, clean


def check_twice(student):
    "two evaluations agree"
    net, x, y, _ = network(student)
    first, second = (call(student.evaluate, net, x, y) for _ in range(2))
    if first != second:
        raise Wrong("two evaluations of the same network on the same data differ",
                    got=f"{first:.6g} and {second:.6g}", expected="the same number twice",
                    likely="what in the network is random, and when should it be?")


def check_loss(student):
    "the loss is that of the whole network"
    net, x, y, clean = network(student)
    expect("the held-out loss", call(student.evaluate, net, x, y), clean,
           likely="in evaluation nothing is dropped and nothing is scaled: equal numbers twice are "
                  "not enough")


def check_goes_on(student):
    "training goes on with dropout"
    net, x, y, _ = network(student)
    call(student.evaluate, net, x, y)
    if np.array_equal(net(x), net(x)):
        raise Wrong("after an evaluation the network trains without dropout",
                    got="two forward passes in training agree", expected="each drops other entries",
                    likely="what is switched off for the evaluation is switched on again")
    (net, x, y, _), (other, *_) = network(student), network(student)
    net(x), other(x)
    call(student.evaluate, net, x, y)
    if not np.array_equal(net(x), other(x)):
        raise Wrong("an evaluation changes what is dropped in the training after it",
                    tried="two equal networks, one of them evaluated after the first pass",
                    likely="nothing is drawn in an evaluation, and the network's rng stays as it "
                           "is")


def check_mode(student):
    "a network that is not in training stays so"
    net, x, y, _ = network(student)
    net.training = False
    call(student.evaluate, net, x, y)
    if net.training:
        raise Wrong("after an evaluation a network is in training that was not before",
                    likely="put back what was there, True or False")


def check_mean(student):
    "in training the mean stays"
    net, x, _, _ = network(student)
    mean = np.mean([net(x) for _ in range(4000)], axis=0)
    net.training = False
    got, want = float(np.abs(mean).mean()), float(np.abs(net(x)).mean())
    if abs(got / want - 1) > 0.2:
        raise Wrong("the mean over many passes in training is not what evaluation gives", got=got,
                    expected=want, likely="in training, what is kept is divided by 1 - rate")


EXERCISE = Exercise(
    name="museum_dropout", title="Two evaluations, two losses", group="museum",
    notebook="11_transformer", page="nanollm/exercises/pages/museum_dropout.py",
    broken=(("""\
    before, network.training = network.training, False
    try:
        return float(((network(x) - y) ** 2).mean())
    finally:
        network.training = before
""", """\
    return float(((network(x) - y) ** 2).mean())
"""),),
    checks=(check_twice, check_loss, check_goes_on, check_mode, check_mean),
    hints=(
        ("Evaluate twice and compare. Where does chance come in?",
         "评估两次并比较。随机性从哪里来？"),
        ("network.training says whether entries are dropped. What is it during evaluate?",
         "network.training 决定是否丢弃。evaluate 期间它是什么？"),
        ("Set network.training to False for the evaluation, and put back afterwards what it was.",
         "评估时把 network.training 设为 False，评估之后恢复原来的值。")),
    thread="https://github.com/ipolharvard/ethos-ares/issues/20",
    explanation="""\
Cause     Nobody tells the network that it is being evaluated, so it drops entries as in training.
Hidden    The loss is only somewhat too high, and a single evaluation shows no chance. What turns
          gradients off (no_grad, inference_mode) is easily taken for what turns dropout off.
Found     By reading: no call of eval() anywhere. Evaluating twice would have shown it.
Repair    Say so for the evaluation, and put the old state back afterwards.
Thread    ipolharvard/ethos-ares#20: "definitely a bug", says its author, in the code that produced
          a paper's results; a table of results after this and other repairs is linked.
          mertyg/vision-language-models-are-bows#17: scores that are not deterministic.""")
