"""The diary of a training: losses.csv, one line a step, and its picture, loss.png.

    step               optimizer steps done
    train_loss         of this step's batch, before the step, in nats a token
    val_loss           of the whole validation text, after the step; empty where not measured
    lr, grad_norm      learning rate; norm of the whole gradient before clipping
    tokens_per_second  of this step alone; on a GPU, of the steps since it was last waited for
    seconds            the training took so far, with evaluation and saving
"""

import csv
import io
import math
import os
from pathlib import Path
from statistics import median

from nanollm import figures
from nanollm.files import write

COLUMNS = ("step", "train_loss", "val_loss", "lr", "grad_norm", "tokens_per_second", "seconds")


class Diary:
    """The file, and in `rows` all its lines as dicts. Lines of steps after `steps` are dropped."""

    def __init__(self, path, steps=0):
        self.rows = [row for row in read(path) if row["step"] <= steps]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(self.rows)
        write(path, text.getvalue().encode())
        self.file = open(path, "a", newline="", encoding="utf-8", buffering=1)
        self.writer = csv.DictWriter(self.file, COLUMNS)

    def add(self, row):
        self.rows.append(row)
        self.writer.writerow(row)

    def flush(self):
        """Return once all lines are on the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self):
        self.file.close()

    def validation(self):
        """[(step, loss)] of each look at the validation text."""
        return [(row["step"], row["val_loss"]) for row in self.rows if row["val_loss"] is not None]

    def speed(self):
        """Tokens a second, the median over the steps."""
        return median([row["tokens_per_second"] for row in self.rows] or [0.0])


def read(path):
    """The rows of a losses.csv up to the first damaged line; none if there is no file."""
    rows = []
    if Path(path).exists():
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            try:
                for line in csv.DictReader(file):
                    rows.append({name: number(name, line[name]) for name in COLUMNS})
            except (KeyError, TypeError, ValueError, csv.Error):
                pass
    return rows


def number(name, text):
    """The number in a column's cell. Raises ValueError or TypeError where there is none."""
    if name == "val_loss" and text == "":
        return None
    value = int(text) if name == "step" else float(text)
    if not math.isfinite(value):
        raise ValueError(f"{name} is {text}")
    return value


def draw(rows, path, title):
    """Save the loss curves as a picture."""
    with figures.picture(path) as axes:
        axes.plot([row["step"] for row in rows], [row["train_loss"] for row in rows],
                  color=figures.BLUE, alpha=0.4, linewidth=0.8, label="training, each batch")
        looks = [row for row in rows if row["val_loss"] is not None]
        axes.plot([row["step"] for row in looks], [row["val_loss"] for row in looks],
                  "o-", color=figures.ORANGE, markersize=4, label="validation")
        axes.set(title=title, xlabel="optimizer steps", ylabel="loss (nats a token)",
                 xlim=(0, None))
        axes.legend()
