"""Where the time of our training step goes: op by op, forward and backward.

    python tests/bench/profile_step.py [--setting 1] [--backend numba] [--shares N] [--steps 50]

Each function of the backend is wrapped with a timer. Only the step's own calls count, not those
from one op to another inside the backend. With more than one share the threads' times are added:
they then come to `shares` times the step where no thread waits.
"""

import argparse
import sys
import time
from collections import defaultdict
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


def wrap(module, seconds):
    """Put a timer around every function of the backend; seconds[name] gets one number a call."""
    for name, function in list(vars(module).items()):
        if callable(function) and name not in PLUMBING and not name.startswith("__"):
            setattr(module, name, timer(function, seconds[name]))


def timer(function, seconds):
    def timed(*args, **settings):
        begin = time.perf_counter()
        result = function(*args, **settings)
        seconds.append(time.perf_counter() - begin)             # one bytecode: safe under threads
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
    seconds = defaultdict(list)
    wrap(backend.module(), seconds)

    job = SETTINGS[args.setting]
    model, (x, y) = GPT(GPTConfig(**job["config"]), np.random.default_rng(0)), batch(job)
    shares = args.shares or parallel.automatic_shares(model, len(x))
    parameters, phases = model.parameters(), defaultdict(list)
    state = optim.adamw_state(parameters)
    for i in range(args.steps + 5):
        if i == 5:                                              # warm
            for times in (*seconds.values(), *phases.values()):
                times.clear()
        a = time.perf_counter()
        _, gradients = parallel.loss_and_gradients(model, x, y, shares=shares)
        b = time.perf_counter()
        _, scale = optim.clip_scale(gradients, 1.0)
        c = time.perf_counter()
        optim.adamw(parameters, gradients, state, lr=3e-4, scale=scale)
        for name, time_taken in (("loss and gradients", b - a), ("clipping", c - b),
                                 ("AdamW", time.perf_counter() - c)):
            phases[name].append(time_taken)

    step = sum(map(median, phases.values()))
    print(f"{HEADING} = {label(args.setting)}; {args.backend}, shares {shares}; median of "
          f"{args.steps} steps: {1e3 * step:.2f} ms: " + ", ".join(
              f"{name} {1e3 * median(times):.2f}" for name, times in phases.items()))
    ops = sorted({name.removesuffix("_backward") for name in seconds if seconds[name]},
                 key=lambda op: -sum(seconds[op]) - sum(seconds[f"{op}_backward"]))
    rows = [(op, len(seconds[op]) // args.steps, *(
        1e3 * sum(times) / args.steps for times in (seconds[op], seconds[f"{op}_backward"],
                                                    seconds[op] + seconds[f"{op}_backward"])))
            for op in ops]
    print_table("milliseconds in one step, all threads together",
                [("op", "calls", "forward", "backward", "both"), *rows,
                 ("sum", *map(sum, list(zip(*rows))[1:]))])


if __name__ == "__main__":
    main()
