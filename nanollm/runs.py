"""The folder of a run: its names, its config.json, and a trained model from it.

config.json
    format            1
    preset, backend   their names
    settings          all of presets.Settings
    model             all of GPTConfig
    text              how many characters the data had, and their sha256
    versions          of Python and the packages
"""

import platform
import shutil
from contextlib import contextmanager
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import numpy as np

from nanollm import checkpoint, text
from nanollm.errors import InputError
from nanollm.files import read_json
from nanollm.models.gpt import GPT, GPTConfig
from nanollm.presets import Settings

FORMAT = 1
FIELDS = {"preset": str, "backend": str, "settings": dict, "model": dict, "text": dict,
          "versions": dict}
HOME = Path("runs")                     # in the folder where one works


def new_name(name):
    """runs/name, or runs/name-2, runs/name-3 ... if that is taken."""
    n, path = 1, HOME / name
    while path.exists():
        n += 1
        path = HOME / f"{name}-{n}"
    return path


@contextmanager
def new_folder(path):
    """A new folder, to be filled in a `with`; if that fails nothing of it stays: no half of a run.

    Raises InputError where it cannot be made, or the disk is full.
    """
    try:
        path.mkdir(parents=True)
        try:
            yield
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
    except OSError as error:
        raise InputError(f"cannot make the folder {path} ({error.strerror}): choose another "
                         "(--run)") from None


def newest():
    """The run that was saved last. Raises InputError where there is none."""
    found = list(HOME.glob("*/step-*/state.json"))
    if not found:
        raise InputError(f"there is no run in {HOME.absolute()} yet; `python -m nanollm train` "
                         "makes one")
    return max(found, key=lambda path: path.stat().st_mtime).parents[1]


def read_config(run):
    """What config.json says. Raises InputError unless this is the folder of a run."""
    run = Path(run)
    if not run.is_dir():
        raise InputError(f"there is no run {str(run)!r}; `train` makes one (to `generate`, a "
                         "text to go on with is given as --prompt)")
    if not (run / "config.json").is_file():
        raise InputError(f"{run} is not the folder of a run: it has no config.json")
    config = read_json(run / "config.json")
    if config.get("format") != FORMAT:
        raise InputError(f"{run / 'config.json'} has format {config.get('format')!r}, expected "
                         f"{FORMAT}: " + ("`fit` made this run, not `train`" if "task" in config
                                          else "another version of nanollm wrote it"))
    for key, kind in FIELDS.items():
        if key not in config:
            raise InputError(f"{run / 'config.json'} is damaged: it has no {key!r}")
        if type(config[key]) is not kind:
            raise InputError(f"{run / 'config.json'} is damaged: {key} is {config[key]!r}, "
                             f"expected {'text' if kind is str else 'a JSON object'}")
    made_of, trained_as = shape(run, config), settings(run, config).model(config["model"]["vocab"])
    if made_of != trained_as:
        other = next(f.name for f in fields(GPTConfig)
                     if getattr(made_of, f.name) != getattr(trained_as, f.name))
        raise InputError(f"{run / 'config.json'} is damaged: model and settings differ in {other}")
    return config


def settings(run, config):
    """The Settings in config.json."""
    try:
        return Settings.from_json(config["settings"])
    except InputError as error:
        raise InputError(f"{Path(run) / 'config.json'} has no good settings: {error}") from None


def untrained(run, config):
    """(tokenizer, model) as config.json and tokenizer.json say, with weights of seed 0."""
    made_of = shape(run, config)
    tokenizer = text.load(Path(run) / "tokenizer.json")
    if tokenizer.vocab != made_of.vocab:
        raise InputError(f"{run}: the tokenizer has {tokenizer.vocab} tokens, but the model "
                         f"{made_of.vocab}: tokenizer.json and config.json are of different runs")
    return tokenizer, GPT(made_of, np.random.default_rng(0))


def shape(run, config):
    """The GPTConfig in config.json."""
    try:
        return GPTConfig(**config["model"])
    except (TypeError, InputError) as error:
        raise InputError(f"{Path(run) / 'config.json'} describes no model: {error}") from None


def trained(run):
    """(tokenizer, model) of a run's newest step. Raises InputError where something is amiss."""
    tokenizer, model = untrained(run, read_config(run))
    checkpoint.load(run, model)
    return tokenizer, model


def versions():
    """{package: version} of what decides the bits of a training."""
    return {"python": platform.python_version(), "numpy": version("numpy"),
            "numba": version("numba")}
