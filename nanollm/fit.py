"""Fitting: a model learns from a list of examples, epoch by epoch, and the best weights are kept.

    t = fitting.begin(problem, model, settings, "runs/fit/mine", config)    a new run, or
    t = fitting.resume(problem, model, "runs/fit/mine")                     one that was stopped
    metrics = run(t)                            to the end, or to Ctrl-C, which saves

An epoch shows every example once. Rows of a batch are padded to the longest, so a batch is made of
examples of similar length: shuffle, sort pieces of POOL batches by length, cut, shuffle the
batches. After each epoch the error on the validation part is measured, and the weights with the
lowest are kept. Where it has not fallen for `patience` epochs, the run ends.

Equation    a step is train.py's: g ← g min(1, clip / ‖g‖),  θ ← AdamW(θ, g, η).  η by schedule:
            cosine      a warm-up, then half a cosine from lr to floor over all epochs
            plateau     a warm-up; halved each time the error has not fallen for `wait` epochs

Epoch e is put in order by `default_rng([seed, 0, e])`, the dropout of step i drawn by [seed, 1, i,
share], and the rate follows from i and the errors measured so far: so a run that was stopped and
goes on ends with the same bits as one that was not, on the same machine, backend and number of
threads. A batch is shared among threads as in parallel.py, a share weighing as many targets as it
has; here each share is padded on its own.

A run is a folder like train.py's (checkpoint.py), and in it best.safetensors, the weights of the
epoch with the lowest error.
"""

import math
import time
from contextlib import closing
from functools import partial

import numpy as np

from nanollm import backend, optim
from nanollm.diary import Diary, draw
from nanollm.errors import InputError
from nanollm.files import write_json
from nanollm.fitting import keep_best, load_best
from nanollm.interrupt import Interrupt, progress
from nanollm.parallel import side_by_side, usable, weighted_sum

POOL = 50                       # batches that are sorted by length together


# The order of the examples

def batches(lengths, batch, rng):
    """Arrays of indices: each example is in one batch, examples of similar length together."""
    order = rng.permutation(len(lengths))
    pools = [order[i:i + POOL * batch] for i in range(0, len(order), POOL * batch)]
    order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    cut = [order[i:i + batch] for i in range(0, len(order), batch)]
    return [cut[i] for i in rng.permutation(len(cut))]


def batch_of(t, step):
    """The examples of a step."""
    epoch, i = divmod(step, t.per_epoch)
    if t.order[0] != epoch:
        lengths = np.array([t.problem.length(example) for example in t.problem.learn])
        rng = np.random.default_rng([t.settings.seed, 0, epoch])
        t.order = epoch, batches(lengths, t.settings.batch, rng)
    return [t.problem.learn[n] for n in t.order[1][i]]


# The learning rate

def halvings(errors, wait):
    """How often the rate has been halved: after `wait` epochs in a row without a lower error."""
    count, since, best = 0, 0, math.inf
    for error in errors:
        since = 0 if error < best else since + 1
        best = min(best, error)
        if since == wait:
            count, since = count + 1, 0
    return count


def rate(settings, step, steps, errors):
    """The learning rate of a step, by the schedule."""
    s = settings
    if s.schedule == "plateau" and step >= s.warmup:
        return max(s.floor, s.lr * 0.5 ** halvings(errors, s.wait))
    return optim.warmup_cosine(step, peak=s.lr, floor=s.floor, warmup=s.warmup, steps=steps)


# A step, an epoch, the run

def step(t):
    """One optimizer step; returns (loss, norm of the gradient, learning rate, targets).

    Raises InputError, and leaves the weights alone, once the loss or a gradient is not finite.
    """
    s, i, parameters = t.settings, t.step, t.learned()
    with np.errstate(all="ignore"):                                     # overflow is seen below
        loss, count, gradients = loss_and_gradients(t, batch_of(t, i))
    gradients = backend.module().gather(gradients)
    squared, scale = optim.clip_scale(gradients, s.clip)
    norm = math.sqrt(float(backend.module().numpy(squared)))
    if not math.isfinite(loss + norm):
        raise InputError(f"the loss is {loss:.3g} and its gradient's norm {norm:.3g} in step "
                         f"{i + 1}: the fit diverged; begin anew with a lower --lr")
    lr = rate(s, i, t.steps, t.errors)
    optim.adamw(parameters, gradients, t.optimizer, lr=lr, beta1=s.beta1, beta2=s.beta2,
                decay=s.decay, scale=scale)
    t.step = i + 1
    return loss, norm, lr, count


def loss_and_gradients(t, examples):
    """(mean loss of a target, number of targets, {path: gradient}) of a batch, by shares of it."""
    n, B, kernels = min(usable(t.settings.shares), len(examples)), len(examples), backend.module()
    shares = [t.problem.collate(examples[B * k // n:B * (k + 1) // n]) for k in range(n)]
    total = sum(count for _, count in shares)

    def loss(k):
        arrays, _ = shares[k]
        return t.model.loss(*arrays, rng=np.random.default_rng([t.settings.seed, 1, t.step, k]))

    loss, gradients = weighted_sum(t.learned(), [partial(loss, k) for k in range(n)],
                                   [count / total for _, count in shares])
    return float(kernels.numpy(loss)), total, gradients


def look(t):
    """Validation after an epoch: (loss, error); keeps the weights if the error is the lowest."""
    loss = mean_loss(t.model, t.problem, t.settings.batch)
    error = float(t.problem.error(t.problem.check))
    if not math.isfinite(loss + error):
        raise InputError(f"the validation loss is {loss} and the error {error} after step "
                         f"{t.step}: the fit diverged; begin anew with a lower --lr")
    t.looks.append([loss, error])
    if t.stale == 0:
        keep_best(t)
    return loss, error


def mean_loss(model, problem, batch):
    """The mean loss of a target over all validation examples, in batches of similar length."""
    if not problem.check:
        raise InputError("there are no examples to measure the loss on, expected at least one")
    check = sorted(problem.check, key=problem.length)
    parts = [problem.collate(check[i:i + batch]) for i in range(0, len(check), batch)]

    def total(arrays, count):
        return float(model.loss(*arrays).numpy()) * count

    totals = side_by_side([partial(total, *part) for part in parts])
    return math.fsum(totals) / sum(count for _, count in parts)


def run(t, *, quiet=False, seconds=None, on_look=None):
    """Fit to the end. Returns the metrics, or None if it was stopped; both times all is saved.

    seconds     stop after so long; t.interrupted tells whether Ctrl-C came first
    on_look     called with t after each epoch

    Raises InputError if the fit diverges or the disk is full; the last checkpoint stays.
    """
    began = time.perf_counter() - t.seconds
    until = math.inf if seconds is None else time.perf_counter() + seconds
    answer = "" if quiet else "\nsaving after this step (Ctrl-C again ends at once)\n"
    try:
        with (Interrupt(answer) as stop, closing(Diary(t.folder / "losses.csv", t.step)) as diary,
              progress(t.steps, " steps", quiet, initial=t.step) as bar):
            while not (t.finished or stop.asked or time.perf_counter() >= until):
                before = time.perf_counter()
                loss, norm, lr, count = step(t)
                speed = count / (time.perf_counter() - before)
                measured = look(t) if t.step % t.per_epoch == 0 else None
                t.seconds = time.perf_counter() - began
                diary.add({"step": t.step, "train_loss": loss,
                           "val_loss": measured and measured[0], "lr": lr, "grad_norm": norm,
                           "tokens_per_second": round(speed, 1), "seconds": round(t.seconds, 3)})
                bar.set_postfix_str(f"loss {loss:.3f}, {speed:,.0f} tokens/s", refresh=False)
                bar.update()
                if measured and on_look:
                    on_look(t)
                if t.step % t.settings.save == 0 or measured:
                    diary.flush()
                    t.save()
            t.interrupted = stop.asked
            diary.flush()
            t.save()
            draw(diary.rows, t.folder / "loss.png", f"{t.folder.name}: {t.step:,} steps")
            return finish(t, diary) if t.finished else None
    except OSError as error:
        raise InputError(f"cannot write in {t.folder} ({error.strerror}); the last checkpoint is "
                         "whole") from None


def finish(t, diary):
    """Write metrics.json; the model has the best weights from here on. Returns the metrics."""
    load_best(t.folder, t.model)
    best = int(np.argmin(t.errors))
    metrics = {"task": t.config["task"], "error": t.errors[best], "val_loss": t.looks[best][0],
               "best_epoch": best + 1, "epochs": len(t.looks), "steps": t.step,
               "tokens_per_second": round(diary.speed()), "seconds": round(t.seconds, 1),
               "parameters": t.model.count(), "backend": backend.current(),
               "versions": t.config["versions"]}
    write_json(t.folder / "metrics.json", metrics)
    return metrics
