"""nanollm against PyTorch, both on the CPU: training steps, decoding, and the first step's wait.

    python tests/bench/bench.py [--setting 1 2 3] [--only train decode start] [--json FILE]

Every side is a process of its own (sides.py); they take turns, a few runs at a time, while the
others sleep, so that a slow minute of the machine is slow for all of them. A round in which other
programs were busy is repeated; if that does not help, the quietest rounds count. Times are medians,
and a ratio is the median of the rounds' ratios. The floor of a training step is the time of its
matrix products alone (NumPy's BLAS, all threads), of attention's the whole square: a step that
leaves out the masked half can fall below it. The floor of decoding is the time to read all weights
once, at the speed at which this machine reads as many bytes.

This process must stay small: Linux hands its peak of memory down to the processes it starts.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAUSE = 0.3                     # seconds after which idle threads no longer spin
QUIET = 0.05                    # share of the machine that other programs may use in a round


def setting(vocab, context, depth, heads, width, batch, bias, **counts):
    """counts: rounds, and runs in a turn of training (steps) and of decoding (sequences)."""
    config = {"vocab": vocab, "context": context, "width": width, "heads": heads, "depth": depth,
              "bias": bias, "tied": True}
    return {"config": config, "batch": batch, **counts}


SETTINGS = {1: setting(65, 64, 4, 4, 128, 12, False, rounds=10, steps=20, sequences=10),
            2: setting(65, 256, 6, 6, 384, 16, False, rounds=5, steps=3, sequences=1),
            3: setting(50257, 64, 12, 12, 768, 4, True, rounds=5, steps=3, sequences=1)}
DECODED = 1, 3                  # settings whose decoding is timed
HEADING = "V, T, layers, heads, C, B"


def note(words):
    print(words, file=sys.stderr, flush=True)


class Side:
    """A process of sides.py. Its first answer is what starting it gave."""

    def __init__(self, task, side, **job):
        self.name, self.turns, self.results, self.peak_mb = side, [], [], 0
        environment = {**os.environ, "PYTHONPATH": str(ROOT),
                       **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                        "NANOLLM_THREADS"), str(job["threads"])),
                       **({"NANOLLM_BACKEND": side} if side in ("numba", "numpy") else {}),
                       **job.pop("environment", {})}
        self.process = subprocess.Popen(
            [sys.executable, HERE / "sides.py", json.dumps({"task": task, "side": side, **job})],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.first = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: the side {self.name!r} ended without an answer; see above")
        return json.loads(line)

    def run(self, n):
        """n runs: a list of results; the times are kept in `turns`. Returns what others used."""
        before, begin = busy_seconds(), time.perf_counter()
        print(n, file=self.process.stdin, flush=True)
        answer = self.answer()
        others = busy_seconds() - before - answer["cpu"]
        self.turns.append(answer["seconds"])
        self.results += answer["results"]
        self.peak_mb = answer["peak_mb"]
        return others / (time.perf_counter() - begin) / os.cpu_count()

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def seconds(self):
        return median(s for turn in self.turns for s in turn)

    def ratio(self, rival):
        """How many times the rival's time is ours, turn by turn."""
        return median(median(b) / median(a) for a, b in zip(self.turns, rival.turns))


def busy_seconds():
    """Processor time that all programs together have had; 0 where the system does not say."""
    if not os.path.exists("/proc/stat"):
        return 0.0
    with open("/proc/stat") as f:
        user, nice, system, _, _, *more = map(int, f.readline().split()[1:])
    return (user + nice + system + sum(more[:3])) / os.sysconf("SC_CLK_TCK")


def in_turns(task, names, s, runs, job):
    """({name: Side}, the most that other programs used), each side with its times of some rounds.

    The first round is for warming up, and so is the first run of each later turn: the side has
    slept, its data has left the caches.
    """
    sides, rounds = {}, []
    for name in names:
        note(f"  {task}: starting {name}")
        sides[name] = Side(task, name, config=s["config"], batch=s["batch"], **job)
        sides[name].run(runs + 1)
    wanted = s["rounds"]
    while len(rounds) < 3 * wanted and sum(others < QUIET for others, _ in rounds) < wanted:
        others = 0
        for side in sides.values():
            time.sleep(PAUSE)
            others = max(others, side.run(runs + 1))
        rounds.append((others, len(rounds) + 1))
        note(f"  {task}: round {len(rounds)}: others used {others:.0%}, " + ", ".join(
            f"{name} {1e3 * median(side.turns[-1][1:]):.4g} ms" for name, side in sides.items()))
    kept = sorted(rounds)[:wanted]
    for side in sides.values():
        side.turns = [side.turns[i][1:] for _, i in kept]
        side.close()
    if kept[-1][0] >= QUIET:
        note(f"  {task}: NOT QUIET: do not believe these times, run it again")
    return sides, kept[-1][0]


def train(number, names, job):
    """A row of the training table."""
    s = SETTINGS[number]
    sides, others = in_turns("train", ["eager", "compiled", *names, "floor"], s, s["steps"], job)
    first = {name: sides[name].results[:3] for name in sides if name != "floor"}
    if max(abs(a - b) for losses in first.values()
           for a, b in zip(losses, first["eager"])) > 1e-3:
        raise SystemExit(f"bench: these are not the same training: first losses {first}")
    best = min(sides["eager"], sides["compiled"], key=Side.seconds)
    tokens = s["batch"] * s["config"]["context"]
    row = {HEADING: label(number), "others": others, "eager ms": 1e3 * sides["eager"].seconds(),
           "compiled ms": 1e3 * sides["compiled"].seconds(),
           "floor ms": 1e3 * sides["floor"].seconds(),
           "torch tokens/s": tokens / best.seconds(), "eager MB": sides["eager"].peak_mb}
    for name in names:
        side = sides[name]
        row |= {f"{name} ms": 1e3 * side.seconds(), f"{name} ratio": side.ratio(best),
                f"{name} of floor": sides["floor"].ratio(side) ** -1,
                f"{name} tokens/s": tokens / side.seconds(), f"{name} MB": side.peak_mb}
    return row, {name: side.turns for name, side in sides.items()}


def decode(number, names, job):
    """A row of the decoding table."""
    s = SETTINGS[number]
    sides, others = in_turns("decode", ["eager", *names, "floor"], s, s["sequences"], job)
    want, floor = sides["eager"].results[0], sides["floor"].seconds()
    timed = len(want) - 1                                       # the prompt gave the first one
    row = {HEADING: label(number), "others": others,
           "eager tokens/s": timed / sides["eager"].seconds(),
           "floor tokens/s": 1 / floor, "floor GB/s": job["bytes"] / floor / 1e9}
    for name in names:
        side = sides[name]
        same = next((i for i, (a, b) in enumerate(zip(side.results[0], want)) if a != b), len(want))
        if same < 8:
            raise SystemExit(f"bench: {name} decodes {side.results[0][:8]}, PyTorch {want[:8]}")
        row |= {f"{name} tokens/s": timed / side.seconds(),
                f"{name} ratio": side.ratio(sides["eager"]),
                f"{name} of floor": timed * floor / side.seconds(), f"{name} same tokens": same}
    return row, {name: side.turns for name, side in sides.items()}


def start(job):
    """Seconds until a process has done its first training step, and until it has imported us."""
    s, row = SETTINGS[1], {}
    with tempfile.TemporaryDirectory() as folder:
        for name in "cold", "warm":
            note(f"  start: {name}")
            begin = time.perf_counter()
            side = Side("train", "numba", config=s["config"], batch=s["batch"],
                        environment={"NUMBA_CACHE_DIR": folder}, **job)
            side.run(1)
            row[f"first step, {name}, s"] = time.perf_counter() - begin
            side.close()
    for module in "nanollm", "nanollm.models":
        code = f"from time import perf_counter as t; a = t(); import {module}; print(t() - a)"
        row[f"import {module}, s"] = median(
            float(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT))
            for _ in range(5))
    return row


def label(number):
    s, c = SETTINGS[number], SETTINGS[number]["config"]
    return ", ".join(str(n) for n in (c["vocab"], c["context"], c["depth"], c["heads"], c["width"],
                                      s["batch"]))


def machine(threads):
    """The names and numbers to print above any timing."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        fields = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
        model = fields.get("model name", model)
        if "cpu family" in fields:
            model += f" (family {fields['cpu family']}, model {fields['model']})"
    return {"processor": model, "cores": os.cpu_count(), "threads": threads,
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "numba", "torch")}}


def print_table(title, lines):
    """Aligned; the first cell of each line is text, the others may be numbers."""
    def text(value):
        if isinstance(value, float):
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
        return str(value)
    cells = [[text(value) for value in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells)]
    print(f"\n{title}")
    for line in cells:
        print("  ".join([line[0].ljust(widths[0]),
                         *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--setting", type=int, nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--only", nargs="+", choices=("train", "decode", "start"),
                        default=("train", "decode", "start"))
    parser.add_argument("--backend", nargs="+", choices=("numba", "numpy"), default=["numba"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", metavar="FILE", help="write the tables and all times there")
    args = parser.parse_args()
    if not find_spec("torch"):
        raise SystemExit("bench: PyTorch is not installed here; "
                         "pip install -r requirements.txt -r tests/bench/requirements.txt")
    about = machine(args.threads)
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    all_of_it = {"machine": about, "train": [], "decode": [], "start": [], "seconds": {}}
    for number in args.setting:
        todo = [(task, f) for task, f in (("train", train), ("decode", decode))
                if task in args.only and (task == "train" or number in DECODED)]
        if not todo:
            continue
        note(f"setting {number}: {HEADING} = {label(number)}")
        with tempfile.TemporaryDirectory() as folder:
            job = {"threads": args.threads, "weights": f"{folder}/weights.npz"}
            writer = Side("weights", "numpy", config=SETTINGS[number]["config"], **job)
            writer.close()
            job["bytes"] = writer.first
            for task, f in todo:
                row, seconds = f(number, args.backend, job)
                all_of_it[task].append(row)
                all_of_it["seconds"][f"{task} {number}"] = seconds
    if "start" in args.only:
        all_of_it["start"].append(start({"threads": args.threads}))
    for task, title in (
            ("train", "training step: forward, backward, clipping, AdamW; float32; peak of eager"),
            ("decode", "decoding with a key-value cache, greedy, batch 1, float32"),
            ("start", "from the start of a process")):
        if all_of_it[task]:
            rows = all_of_it[task]
            print_table(title, [(name, *(row[name] for row in rows)) for name in rows[0]])
    if args.json:
        Path(args.json).write_text(json.dumps(all_of_it, indent=1) + "\n")


if __name__ == "__main__":
    main()
