"""Where the time of our training step goes: op by op, forward and backward.

    python tests/bench/profile_step.py [--setting 1] [--backend numba] [--shares N] [--steps 50]

Each function of the backend is wrapped with a timer. Only the step's own calls count, not those
from one op to another inside the backend. With more than one share the threads' times are added:
they then come to `shares` times the step where no thread waits.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

from bench import HEADING, SETTINGS, label, print_table  # noqa: E402
from nanollm import backend, optim, parallel  # noqa: E402
from nanollm.models import GPT, GPTConfig  # noqa: E402
from sides import batch  # noqa: E402

PLUMBING = "activate", "array", "numpy"         # not work of a step
WARM = 5                                        # steps before the ones that count


def wrap(module, calls):
    """Put a timer around every function of the backend: calls gets (its name, seconds)."""
    for name, function in list(vars(module).items()):
        if callable(function) and name not in PLUMBING and not name.startswith("__"):
            setattr(module, name, timer(name, function, calls))


def timer(name, function, calls):
    def timed(*args, **settings):
        begin = time.perf_counter()
        result = function(*args, **settings)
        calls.append((name, time.perf_counter() - begin))       # list.append is safe under threads
        return result
    return timed


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--setting", type=int, choices=SETTINGS, default=1)
    parser.add_argument("--backend", choices=("numba", "numpy"), default="numba")
    parser.add_argument("--shares", type=int, help="parts of the batch; default: automatic")
    parser.add_argument("--steps", type=int, default=50)
    args = parser.parse_args()
    backend.use(args.backend)
    calls = []
    wrap(backend.module(), calls)

    job = SETTINGS[args.setting]
    model, (x, y) = GPT(GPTConfig(**job["config"]), np.random.default_rng(0)), batch(job)
    shares = args.shares or parallel.automatic_shares(model, len(x))
    parameters = model.parameters()
    state = optim.adamw_state(parameters)
    steps = []                                  # {what: milliseconds} of each step
    for _ in range(args.steps + WARM):
        calls.clear()
        a = time.perf_counter()
        _, gradients = parallel.loss_and_gradients(model, x, y, shares=shares)
        b = time.perf_counter()
        _, scale = optim.clip_scale(gradients, 1.0)
        c = time.perf_counter()
        optim.adamw(parameters, gradients, state, lr=3e-4, scale=scale)
        d = time.perf_counter()
        took = {"a step": d - a, "loss and gradients": b - a, "clipping": c - b, "AdamW": d - c}
        for name, seconds in calls:
            took[name] = took.get(name, 0) + seconds
        steps.append({what: 1e3 * seconds for what, seconds in took.items()})
    middle = {what: median(step[what] for step in steps[WARM:]) for what in steps[-1]}

    print(f"{HEADING} = {label(args.setting)}; {args.backend}, shares {shares}; ms, median "
          f"of {args.steps} steps")
    print(", ".join(f"{what} {middle.pop(what):.2f}"
                    for what in ("a step", "loss and gradients", "clipping", "AdamW")))
    count = Counter(name for name, _ in calls)
    rows = [(op, count[op], middle.get(op, 0.0), middle.get(f"{op}_backward", 0.0))
            for op in {name.removesuffix("_backward") for name in middle}]
    rows = sorted(((*row, row[2] + row[3]) for row in rows), key=lambda row: -row[-1])
    print_table("all threads together", [("op", "calls", "forward", "backward", "both"), *rows,
                                         ("sum", *map(sum, list(zip(*rows))[1:]))])


if __name__ == "__main__":
    main()
