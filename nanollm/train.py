"""Training: show the model a batch, ask for the gradient, take a small step, again and again.

    training = begin(settings, "runs/mine")     a new run, or
    training = resume("runs/mine")              one that was stopped
    metrics = run(training)                     to the end, or to Ctrl-C, which saves

Equation    for i = 0 ... steps - 1:   g = ∂L/∂θ on batch i,   g ← g min(1, clip / ‖g‖),
            θ ← AdamW(θ, g, η_i),   η_i by a warm-up and half a cosine (optim.py)

Batch i is drawn by `default_rng([seed, 0, i, part])`, its dropout masks by [seed, 1, i, part]: what
a step does depends on the weights, Adam's moments and i alone. So a run that was stopped and goes
on ends with the same bits as one that was not, on the same machine, backend and number of threads.
"""

import math
import time
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from nanollm import backend, checkpoint, datasets, optim
from nanollm.diary import Diary, draw
from nanollm.errors import InputError
from nanollm.evaluate import mean_loss
from nanollm.files import write_json
from nanollm.interrupt import Interrupt, progress
from nanollm.parallel import loss_and_gradients
from nanollm.prepare import begin, forget, resume

AHEAD = 0.25                    # seconds of steps that a GPU gets before one asks for their losses


class Step(NamedTuple):
    """What one step found; on a GPU, numbers that it is still computing.

    losses      of each part of the batch, before the step
    squared     ‖g‖², of the sum over the parts
    """

    number: int
    losses: list
    squared: Any
    lr: float

    @property
    def settled(self):
        """Are these floats, that nobody has to wait for?"""
        return isinstance(self.squared, float)

    def read(self):
        """(loss, norm of the gradient, learning rate). InputError if one is not finite."""
        numpy, n = backend.module().numpy, len(self.losses)
        loss = sum(float(numpy(loss)) for loss in self.losses) / n
        norm = math.sqrt(float(numpy(self.squared))) / n
        if not math.isfinite(loss + norm):
            raise diverged(f"the loss is {loss:.3g} and its gradient's norm {norm:.3g} in step "
                           f"{self.number}")
        return loss, norm, self.lr


def step(t):
    """One optimizer step of Training t; returns a Step.

    Raises InputError, and leaves the weights alone, once the loss or a gradient is not finite; on a
    GPU nobody looks at them before the step is taken, and `read` raises it.
    """
    s, i, kernels = t.settings, t.step, backend.module()
    losses, gradients = [], None
    for part in range(s.accumulate):
        rng = np.random.default_rng([s.seed, 0, i, part])
        x, y = datasets.sample(t.learn, s.batch, s.context, rng)        # (B, T)
        with np.errstate(all="ignore"):                                 # overflow is seen below
            more_loss, more = loss_and_gradients(
                t.model, x, y, shares=s.shares,
                rng_seed=[s.seed, 1, i, part] if s.dropout else None)
        losses.append(more_loss)
        gradients = more if gradients is None else {
            path: kernels.add(g, more[path])[0] for path, g in gradients.items()}
    gradients = kernels.gather(gradients)
    squared, scale = optim.clip_scale(gradients, s.clip, s.accumulate)
    lr = optim.warmup_cosine(i, peak=s.lr, floor=s.min_lr, warmup=s.warmup, steps=s.steps)
    found = Step(i + 1, losses, squared, lr)
    if found.settled:
        found.read()
    with np.errstate(all="ignore"):                     # seen in the next loss
        optim.adamw(t.model.parameters(), gradients, t.optimizer, lr=lr, beta1=s.beta1,
                    beta2=s.beta2, decay=s.decay, scale=scale)
    t.step, t.val_loss = i + 1, None
    return found


def diverged(words):
    return InputError(f"{words}: the training diverged; begin anew with a lower --lr or more "
                      "--warmup")


def look(t):
    """The loss on the whole validation text, measured once a step; InputError if not finite."""
    if t.val_loss is None:
        with np.errstate(all="ignore"):
            loss = mean_loss(t.model, t.check, context=t.settings.context,
                             batch=t.settings.batch, shares=t.settings.shares)
        if not math.isfinite(loss):
            raise diverged(f"the validation loss is {loss} after step {t.step}")
        t.val_loss = loss
        t.best = t.val_loss if t.best is None else min(t.best, t.val_loss)
    return t.val_loss


def run(t, *, quiet=False, on_look=None):
    """Train to the end. Returns the metrics, or None if Ctrl-C stopped it; both times all is saved.

    on_look     called with t after each look at the validation loss

    Raises InputError if the training diverges or the disk is full; the last checkpoint stays. A run
    that ends by an exception before its first checkpoint is removed.
    """
    s, tokens = t.settings, t.settings.batch * t.settings.context * t.settings.accumulate
    began = time.perf_counter() - t.seconds
    try:
        answer = "" if quiet else "\nsaving after this step (Ctrl-C again ends at once)\n"
        with (Interrupt(answer) as stop, closing(Diary(t.folder / "losses.csv", t.step)) as diary,
              progress(s.steps, " steps", quiet, initial=t.step) as bar):
            while t.step < s.steps and not stop.asked:
                before = time.perf_counter()
                found = steps(t, before + AHEAD, stop)
                read = [step.read() for step in found]                  # waits for a GPU
                speed = len(found) * tokens / (time.perf_counter() - before)
                measured = look(t) if t.step % s.evaluate == 0 or t.step == s.steps else None
                t.seconds = time.perf_counter() - began
                for one, (loss, norm, lr) in zip(found, read):
                    last = one is found[-1]
                    diary.add({"step": one.number, "train_loss": loss,
                               "val_loss": measured if last else None, "lr": lr, "grad_norm": norm,
                               "tokens_per_second": round(speed, 1),
                               "seconds": round(t.seconds, 3)})
                bar.set_postfix_str(f"loss {loss:.3f}, {speed:,.0f} tokens/s", refresh=False)
                bar.update(len(found))
                if measured is not None and on_look:
                    on_look(t)
                if t.step % s.save == 0:
                    save(t, diary)
            save(t, diary)
            picture(t, diary)
            return finish(t, diary) if t.step == s.steps else None
    except OSError as error:
        raise InputError(f"cannot write in {t.folder} ({error.strerror}); the last checkpoint is "
                         "whole") from None
    finally:
        forget(t.folder)


def steps(t, until, stop):
    """The Steps up to the next whose numbers are wanted here: one, where nobody has to wait.

    On a GPU as many as were given to it before the time `until`, a look or a checkpoint is due.
    """
    s, found = t.settings, []
    while True:
        found.append(step(t))
        if (found[-1].settled or t.step == s.steps or t.step % s.evaluate == 0
                or t.step % s.save == 0 or stop.asked or time.perf_counter() > until):
            return found


def save(t, diary):
    diary.flush()
    checkpoint.save(t.folder, t.step, t.model, t.optimizer, {
        "val_loss": t.val_loss, "best_val_loss": t.best, "seconds": t.seconds})


def picture(t, diary):
    """Draw loss.png, with the newest validation loss in its title."""
    measured = [row["val_loss"] for row in diary.rows if row["val_loss"] is not None]
    found = f"validation loss {measured[-1]:.3f}" if measured else "training loss"
    draw(diary.rows, t.folder / "loss.png", f"{t.folder.name}: {found}, {t.step:,} steps")


def finish(t, diary):
    """Write metrics.json; returns the metrics (tokens_per_second: the median of the steps)."""
    metrics = {"val_loss": look(t), "best_val_loss": t.best,
               "tokens_per_second": round(diary.speed()), "steps": t.step,
               "backend": backend.current(), "seconds": round(t.seconds, 1),
               "parameters": t.model.count(), "data": t.settings.data,
               "preset": t.config["preset"], "versions": t.config["versions"]}
    write_json(t.folder / "metrics.json", metrics)
    return metrics
