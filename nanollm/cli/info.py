"""info: this machine, a run, or a model, in a few lines."""

import os
import platform
import sys
from pathlib import Path

from nanollm.cli.options import table

EXAMPLES = """examples:
  python -m nanollm info                 versions, backends, data, where things are kept
  python -m nanollm info runs/quick      how a run was made, and what came of it
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
    from nanollm.errors import InputError
    from nanollm.presets import MODELS
    if args.what is None:
        machine()
    elif args.what in MODELS:
        model(MODELS[args.what])
    elif Path(args.what).is_dir():
        run_folder(Path(args.what))
    else:
        raise InputError(f"{args.what!r} is neither the folder of a run nor a model; models are "
                         f"{', '.join(MODELS)}")


def model(config):
    """The summary table of a model that is only described: no weights are drawn."""
    rows = summary(config)
    rows.append(("total", "", sum(row[2] for row in rows)))
    print(table(rows, ["layer", "output", "parameters"]))


def summary(config):
    """GPT.summary() without the time and the memory that real weights take."""
    import numpy as np

    from nanollm import backend
    from nanollm.models.gpt import GPT

    class Nothing:
        """A generator of arrays that take no memory: one zero under many addresses."""

        def normal(self, mean, std, shape):
            return np.broadcast_to(np.float32(0), shape)

    with backend.use("numpy"):
        return GPT(config, Nothing()).summary()
