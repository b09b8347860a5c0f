"""Checkpoints: what a run leaves on disk, and why a crash cannot spoil it.

    runs/quick/
        config.json       the model, the settings of its training, the data, the versions
        tokenizer.json    the vocabulary
        step-000500/      weights.safetensors     the parameters
                          optimizer.safetensors   Adam's moments m and v
                          state.json              steps done, best validation loss, time spent
        losses.csv, loss.png, metrics.json        the diary and its picture (diary.py), the result

Arrays are safetensors, a list of names and shapes before the bare numbers; all else is JSON.
Loading either runs no code; loading a pickle would.

A step's folder is written under another name and renamed when it is whole (files.py). Only then
are older steps removed: whenever the power fails, the newest `step-` folder is a good one. Random
numbers need no saving: the batch and the dropout of step i are drawn from generators that seed and
i make anew (train.py), so the number of steps done is all that resuming must know.
"""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from nanollm import backend
from nanollm.errors import InputError
from nanollm.files import flush, read_json, write_json


def step_folders(run):
    """The step folders of a run, oldest first."""
    found = (p for p in Path(run).glob("step-*") if p.name[5:].isdecimal() and p.is_dir())
    return sorted(found, key=lambda p: int(p.name[5:]))


def save(run, step, model, optimizer, state):
    """Write run/step-000123, then remove older steps; returns the folder.

    model      a Layer;     optimizer   its {"t": steps, "m": {path: array}, "v": {path: array}}
    state      a JSON object

    Raises InputError where the disk is full or not ours, or an array holds no finite numbers; the
    checkpoint before stays as it is.
    """
    run = Path(run)
    folder, partial = run / f"step-{step:06d}", run / f".step.{os.getpid()}.partial"
    if not folder.exists():                             # else it is whole, and the same
        try:
            partial.mkdir(exist_ok=True)
            save_arrays(partial / "weights.safetensors", model.state_dict())
            save_arrays(partial / "optimizer.safetensors", moments(optimizer))
            write_json(partial / "state.json", {"step": step, **state})
            flush(partial)
            os.replace(partial, folder)
            flush(run)
        except OSError as error:
            before = "; the checkpoint before it is untouched" if step_folders(run) else ""
            raise InputError(f"step {step} could not be saved in {run} ({error.strerror or error})"
                             f"{before}") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    for old in step_folders(run):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def load(run, model, optimizer=None):
    """Fill `model`, and the optimizer's state if given, from the newest step; returns its state.

    Raises InputError where a file is missing, damaged, or does not fit the model.
    """
    folders = step_folders(run)
    if not folders:
        raise InputError(f"the run {run} has saved no step, so there is nothing to load; "
                         "remove it and train anew")
    folder = folders[-1]
    state = read_state(folder)
    weights = load_arrays(folder / "weights.safetensors", model.parameters())
    if optimizer is not None:
        arrays = load_arrays(folder / "optimizer.safetensors", moments(optimizer))
        for key, a in arrays.items():
            name, path = key.split(".", 1)
            optimizer[name][path] = backend.module().array(a)
        optimizer["t"] = state["step"]
    model.load_state_dict(weights)
    return state


def read_state(folder):
    """What state.json of a step's folder says. Raises InputError where that cannot be."""
    path, done = folder / "state.json", int(folder.name[5:])
    state = read_json(path)
    if type(state.get("step")) is not int or state["step"] != done:
        raise InputError(f"{path} is damaged: step is {state.get('step')!r}, expected {done}")
    for name in "val_loss", "best_val_loss", "seconds":
        value = state.get(name, 0.0)
        if value is None and name != "seconds":         # not measured yet
            continue
        if type(value) not in (int, float) or not 0 <= value < 1e12:
            raise InputError(f"{path} is damaged: {name} is {value!r}, expected a number of at "
                             "least 0")
    return state


def clear(run):
    """Remove what a process that was killed while saving left behind."""
    for partial in Path(run).glob(".step.*.partial"):
        shutil.rmtree(partial, ignore_errors=True)


def moments(optimizer):
    """{"m.path": array, "v.path": array}: an optimizer's arrays by one name each."""
    return {f"{name}.{path}": a for name in optimizer if name != "t"
            for path, a in optimizer[name].items()}


def save_arrays(path, arrays):
    numpy = backend.module().numpy
    arrays = {name: np.ascontiguousarray(numpy(a)) for name, a in arrays.items()}
    expect_finite(path.name, arrays)
    try:
        save_file(arrays, path)
    except SafetensorError as error:                    # the disk is full, or fails
        raise OSError(errno.EIO, str(error), str(path)) from None
    flush(path)


def load_arrays(path, like):
    """{name: array} from a safetensors file; names, shapes, types as in `like`, or InputError."""
    try:
        arrays = load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing: the checkpoint is not whole") from None
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is damaged or cut short ({error})") from None
    except (AttributeError, TypeError) as error:        # bfloat16 and others that NumPy has not
        raise InputError(f"{path} holds numbers of another type ({error})") from None
    missing, extra = like.keys() - arrays.keys(), arrays.keys() - like.keys()
    if missing or extra:
        raise InputError(f"{path} belongs to another model: missing {sorted(missing)[:2]}, "
                         f"not known here {sorted(extra)[:2]}")
    for name, expected in like.items():
        if arrays[name].shape != tuple(expected.shape):
            raise InputError(f"{path}: {name} has shape {arrays[name].shape}, but by config.json "
                             f"it is {tuple(expected.shape)}")
        if arrays[name].dtype != expected.dtype:
            raise InputError(f"{path}: {name} is of {arrays[name].dtype}, expected "
                             f"{expected.dtype}")
    expect_finite(path, arrays)
    return arrays


def expect_finite(file, arrays):
    """Raise InputError unless all of a file's arrays are finite numbers."""
    for name, a in arrays.items():
        if not np.isfinite(a).all():
            raise InputError(f"{file}: {name} holds NaN or infinity: the file is damaged, or the "
                             "training diverged")
