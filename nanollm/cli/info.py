"""info: this machine, a run, or a model, in a few lines."""

import os
import platform
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path

import numpy as np

from nanollm import backend, checkpoint, datasets, diary, fitting, runs
from nanollm.cli.options import table
from nanollm.errors import InputError
from nanollm.files import read_json
from nanollm.models.gpt import GPT
from nanollm.presets import MODELS

PACKAGES = "numpy", "numba", "matplotlib", "safetensors", "tqdm"

EXAMPLES = """examples:
  python -m nanollm info                 versions, backends, data, where things are kept
  python -m nanollm info runs/quick      how a run was made, and what came of it
  python -m nanollm info runs/fit/dates  the same of a run of `fit`
  python -m nanollm info gpt2            the layers of a model and their sizes
"""


def add(commands):
    parser = commands.add_parser(
        "info", help="show this machine, a run, or a model", epilog=EXAMPLES,
        description="Show this machine, a run, or a model.")
    parser.add_argument("what", nargs="?", metavar="RUN or MODEL",
                        help="the folder of a run, or a model's name (default: this machine)")
    parser.set_defaults(run=run)


def run(args):
    if args.what is None:
        machine()
    elif args.what in MODELS:
        model(MODELS[args.what])
    elif Path(args.what).is_dir():
        fit_folder(Path(args.what)) if is_fit(args.what) else run_folder(Path(args.what))
    else:
        raise InputError(f"{args.what!r} is neither the folder of a run nor a model; models are "
                         f"{', '.join(MODELS)}")


def machine():
    """Versions, threads, backends, data and folders."""
    print(f"system    {platform.platform()}, {os.cpu_count()} cores")
    print(f"python    {platform.python_version()} ({sys.executable})")
    print("packages  " + ", ".join(f"{name} {version(name)}" for name in PACKAGES))
    print("blas      " + (", ".join(blas()) or "not known"))
    print("\nbackend")
    for name in backend.MODULES:
        try:
            backend.module(name)
            print(f"  {name:8}" + (f"available, {kernels()}" if name == "numba" else "available"))
        except InputError as error:
            print(f"  {name:8}{error}")
    print("\ndata")
    for row in datasets.rows():
        print(f"  {row['name']:16}{row['where']}")
    print(f"\nmodels    {', '.join(MODELS)}\nruns      " + (
        ", ".join(sorted(str(path.parent) for path in runs.HOME.glob("*/config.json"))) or "none"))


def blas():
    """NumPy's library for matrix products, as it stands."""
    from threadpoolctl import threadpool_info
    return [f"{found['internal_api']} {found['version']}, {found['num_threads']} threads"
            for found in threadpool_info() if found["user_api"] == "blas"]


def kernels():
    from kernels.cpu.compile import FOLDER
    from kernels.cpu.threads import count
    return f"{count()} threads, compiled kernels kept in {FOLDER or 'memory only'}"


def model(config):
    """The table of a model's layers."""
    class Zeros:
        """In place of random numbers: zeros that nobody touches take no memory and no time."""

        def normal(self, mean, std, shape):
            return np.zeros(shape, np.float32)

    with backend.use("numpy"):
        rows = GPT(config, Zeros()).summary()
    print(table([*rows, ("total", "", sum(count for _, _, count in rows))],
                ["layer", "output", "parameters"]))


def run_folder(folder):
    """How a run was made, how its last steps went, and what came of it."""
    config = runs.read_config(folder)
    for key in "preset", "backend":
        print(f"{key:12}{config[key]}")
    for key in "settings", "versions":
        print(f"{key:12}" + ", ".join(f"{name} {value}" for name, value in config[key].items()))
    print()
    model(runs.shape(folder, config))
    rows = diary.read(folder / "losses.csv")
    if rows:
        print()
        looks = [row for row in rows if row["val_loss"] is not None]
        print(table([row.values() for row in looks[-5:] or rows[-5:]], diary.COLUMNS))
    if (folder / "metrics.json").exists():
        metrics = read_json(folder / "metrics.json")
        print("\nresult      " + ", ".join(f"{key} {metrics.get(key, '-')}" for key in (
            "val_loss", "best_val_loss", "tokens_per_second", "seconds")))


def is_fit(folder):
    """Whether `fit` made this run."""
    path = Path(folder) / "config.json"
    return path.is_file() and read_json(path).get("format") == fitting.FORMAT


def fit_folder(folder):
    """One table of a fit: how it was made, how far it came, what came of it."""
    config, found = fitting.read_config(folder), fitting.read_metrics(folder)
    settings = fitting.read_settings(folder, config["settings"])
    state = checkpoint.read_state(newest_step(folder))
    looks = fitting.read_looks(folder, state)
    rows = [("task", config["task"]), ("backend", config["backend"]),
            ("model", listed(config["model"])), ("settings", listed(config["settings"])),
            ("examples", listed(config.get("examples", {}))),
            *fitting.started(config),
            ("versions", listed(config.get("versions", {}))),
            ("steps", f"{state['step']:,}, {len(looks)} of {settings.epochs} epochs, "
                      + ("ended" if "error" in found else "not ended"))]
    if looks:
        best = min(range(len(looks)), key=lambda i: looks[i][1])
        rows += [(name, f"epoch {i + 1}: validation loss {looks[i][0]:.4f}, error "
                        f"{looks[i][1]:.4f}") for name, i in (("best", best),
                                                              ("last", len(looks) - 1))]
    rows += [(name, listed(test)) for name, test in found.get("tests", {}).items()]
    print(facts(rows))


def newest_step(folder):
    """The folder of a run's newest step. Raises InputError where there is none."""
    folders = checkpoint.step_folders(folder)
    if not folders:
        raise InputError(f"the run {folder} has saved no step; remove it and fit anew")
    return folders[-1]


def listed(values):
    """name value, name value ...; "not known" if these are no pairs."""
    if type(values) is not dict or not values:
        return "not known"
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in values.items())


def facts(rows, width=100):
    """Lines of two columns, a name and what is said of it, none longer than `width`."""
    left = max(len(name) for name, _ in rows) + 2
    return "\n".join(textwrap.fill(
        value, width, initial_indent=name.ljust(left), subsequent_indent=" " * left)
        for name, value in rows)
