"""Before the first step of a training: data, tokenizer, model, folder.

Whatever can be wrong is found here, before anything is written and before an hour is spent.
"""

import shutil
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from nanollm import backend, checkpoint, datasets, optim, runs, text
from nanollm.errors import InputError
from nanollm.files import write_json
from nanollm.models.gpt import GPT
from nanollm.parallel import automatic_shares
from nanollm.presets import Settings


@dataclass
class Training:
    """A training under way."""

    folder: Path
    settings: Settings
    tokenizer: Any
    model: GPT
    optimizer: dict
    learn: np.ndarray               # ids to learn from
    check: np.ndarray               # ids of the validation text
    config: dict                    # what config.json says
    step: int = 0                   # steps done
    val_loss: float | None = None   # of the whole validation text at this very step, once measured
    best: float | None = None       # the lowest so far
    seconds: float = 0.0            # spent so far


def begin(settings, folder, *, preset="", quiet=False):
    """A new training in a new folder. Raises InputError where data or place will not do."""
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder} exists: go on with it if it is a run (--resume {folder}), or "
                         "choose another folder (--run)")
    content = datasets.text(settings.data, quiet=quiet)
    if settings.data not in datasets.REGISTRY:          # a file: found again from any folder
        settings = replace(settings, data=str(Path(settings.data).resolve()))
    if settings.tokenizer == text.Characters.kind:
        tokenizer = text.Characters.train(content)      # of all of it, or some would be unknown
    else:
        learn, _ = datasets.split(content, settings.holdout)
        try:
            tokenizer = text.BytePairs.train(learn, settings.vocab, quiet=quiet)
        except InputError as error:
            raise InputError(f"{error} (--vocab N, or --tokenizer characters)") from None
    learn, check = encoded(content, tokenizer, settings)
    model = GPT(settings.model(tokenizer.vocab), np.random.default_rng(settings.seed))
    settings = replace(settings,
                       shares=settings.shares or automatic_shares(model, settings.batch))
    config = {"format": runs.FORMAT, "preset": preset, "backend": backend.current(),
              "settings": settings.to_json(), "model": model.config.to_json(),
              "text": fingerprint(content), "versions": runs.versions()}
    expect_room(folder, model)
    with runs.new_folder(folder):
        tokenizer.save(folder / "tokenizer.json")
        write_json(folder / "config.json", config)
    return Training(folder, settings, tokenizer, model, optim.adamw_state(model.parameters()),
                    learn, check, config)


def resume(folder, *, steps=None, quiet=False):
    """The training of a run, where its newest step left off.

    steps    a new number of steps in all, for a run that is to go on further than was planned

    It goes on with the current backend, which config.json names from now on.

    Raises InputError where a file is missing or damaged, the data has changed, or nothing is left
    to do.
    """
    folder = Path(folder)
    config = runs.read_config(folder)
    settings = runs.settings(folder, config)
    tokenizer, model = runs.untrained(folder, config)
    optimizer = optim.adamw_state(model.parameters())
    state = checkpoint.load(folder, model, optimizer)
    if steps is not None:
        settings = replace(settings, steps=steps)
    done = state["step"]
    if done >= settings.steps and (folder / "metrics.json").exists() or done > settings.steps:
        raise InputError(f"{folder} is finished after {done} steps; to go on, ask for more in all "
                         f"(--steps {2 * done})")
    content = datasets.text(settings.data, quiet=quiet)
    if fingerprint(content) != config["text"]:
        raise InputError(f"the text of {settings.data} is not the one that {folder} was begun with "
                         "(another file, or another Python for pydoc): begin a new run")
    expect_room(folder, model)
    learn, check = encoded(content, tokenizer, settings)
    now = {**config, "settings": settings.to_json(), "backend": backend.current()}
    try:
        checkpoint.clear(folder)
        if now != config:
            write_json(folder / "config.json", now)
        if done < settings.steps:
            (folder / "metrics.json").unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write in {folder} ({error.strerror})") from None
    return Training(folder, settings, tokenizer, model, optimizer, learn, check, now, done,
                    state.get("val_loss"), state.get("best_val_loss"), state.get("seconds", 0.0))


def forget(folder):
    """Remove a run that has not saved a step, and its folder if nothing else is in it."""
    if checkpoint.step_folders(folder):
        return
    for name in "config.json", "tokenizer.json", "losses.csv":
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def encoded(content, tokenizer, settings):
    """Ids to learn from and ids to check on. Raises InputError if the text is too short."""
    learn, check = (tokenizer.encode(part) for part in datasets.split(content, settings.holdout))
    if len(learn) <= settings.context or len(check) < 2:
        raise InputError(f"{settings.data} is too short: {len(learn)} tokens to learn from and "
                         f"{len(check)} to check on, but a context of {settings.context} needs "
                         f"{settings.context + 1} and 2; give more text or a shorter --context")
    return learn, check


def fingerprint(content):
    return {"characters": len(content),
            "sha256": sha256(content.encode("utf-8", "surrogatepass")).hexdigest()}


def expect_room(folder, model):
    """Raise InputError unless the disk can hold two checkpoints: the old one and the new one."""
    place = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    free, needed = shutil.disk_usage(place).free, 2 * 12 * model.count() + 2 ** 24
    if free < needed:
        raise InputError(f"{folder} needs {needed / 1e6:,.0f} MB for checkpoints, but only "
                         f"{free / 1e6:,.0f} MB are free there: make room, or choose another disk "
                         "(--run)")
