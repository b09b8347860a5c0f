"""train: a model learns from a text; everything about it stays in one folder."""

import argparse
import shlex
from dataclasses import fields, replace

from nanollm import backend
from nanollm.cli.options import add_backend, choose_backend, program, tell_change
from nanollm.errors import InputError

EXAMPLES = """examples:
  python -m nanollm train                              the demo: about two minutes
  python -m nanollm train --preset nanogpt-cpu         Shakespeare, letter by letter
  python -m nanollm train --data my.txt --steps 3000   your own text (UTF-8), longer
  python -m nanollm train --resume runs/quick          go on where Ctrl-C stopped it

A run is a folder: settings, tokenizer, weights, losses.csv, loss.png, and in the end metrics.json.
"""


def add(commands):
    from nanollm.presets import PRESETS, Settings
    parser = commands.add_parser(
        "train", help="train a model", epilog=EXAMPLES,
        description="Train a model on a text. Ctrl-C saves; --resume goes on, bit for bit.")
    parser.add_argument("--preset", metavar="NAME", help="settings to start from: "
                        f"{', '.join(PRESETS)} (default quick)")
    parser.add_argument("--run", dest="folder", metavar="FOLDER",
                        help="where to keep the run (default runs/PRESET, or runs/PRESET-2, ...)")
    parser.add_argument("--resume", metavar="FOLDER",
                        help="go on with this run; of the settings below only --steps may be given")
    add_backend(parser)
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    group = parser.add_argument_group("settings (the preset's, unless given; in brackets: quick's)")
    for f in fields(Settings):
        add_setting(group, f, getattr(PRESETS["quick"], f.name))
    parser.set_defaults(run=run, large=large)


def large(args):
    """The options that could be smaller: none of a run that goes on."""
    return [] if args.resume is not None else ["--batch", "--context", "--width", "--depth"]


def add_setting(group, f, default):
    """An option for a field of Settings."""
    kind = {"action": argparse.BooleanOptionalAction} if f.type is bool else {
        "type": f.type, "metavar": {int: "N", float: "X", str: "NAME"}[f.type]}
    if f.name == "tokenizer":
        kind["type"] = lambda name: name.replace("-", " ")      # byte-pairs needs no quotes
    group.add_argument("--" + f.name.replace("_", "-"), dest=f.name, default=None,
                       help=f"{f.metadata['help']} [{default}]", **kind)


def run(args):
    from nanollm import runs, train
    settings, preset = asked(args)
    before = None if args.resume is None else runs.read_config(args.resume)["backend"]
    choose_backend(args, before)
    if args.resume is not None:
        training = train.resume(args.resume, steps=args.steps, quiet=args.quiet)
    else:
        folder = runs.new_name(preset) if args.folder is None else args.folder
        training = train.begin(settings, folder, preset=preset, quiet=args.quiet)
    if args.quiet:
        return 0 if train.run(training, quiet=True) else 130
    print(header(training), flush=True)
    tell_change(before)
    metrics = train.run(training, on_look=sample)
    if metrics is None:
        print(f"stopped after step {training.step:,}, all is saved; go on with\n"
              f"  {program()} train --resume {shlex.quote(str(training.folder))}")
        return 130
    print(outcome(training, metrics))


def asked(args):
    """(Settings, name of the preset) as the options say."""
    from nanollm.presets import Settings, preset
    given = {f.name: getattr(args, f.name) for f in fields(Settings)
             if getattr(args, f.name) is not None}
    if args.resume is not None:
        other = [name for name in ("preset", "folder", *given)
                 if name != "steps" and getattr(args, name) is not None]
        if other:
            name = other[0].replace("folder", "run").replace("_", "-")
            raise InputError(f"--resume goes on with the settings of its run: leave out "
                             f"--{name} (only --steps may change)")
        return None, None
    name = "quick" if args.preset is None else args.preset
    settings = replace(preset(name), **given)
    if args.vocab is not None and settings.tokenizer == "characters":
        raise InputError("--vocab is for byte pairs; characters are counted in the text (add "
                         "--tokenizer byte-pairs)")
    return settings, name


def header(t):
    """What is about to happen, a line for each part of it."""
    s = t.settings
    return "\n".join([
        f"data       {s.data}: {len(t.learn):,} tokens to learn from, {len(t.check):,} to check on",
        f"tokenizer  {t.tokenizer.kind}, {t.tokenizer.vocab:,} tokens",
        f"model      {t.model.count():,} parameters: {s.depth} blocks, {s.heads} heads, width "
        f"{s.width}, context {s.context}",
        f"training   {s.steps - t.step:,} steps, each of {s.accumulate * s.batch} x {s.context} "
        f"tokens, on {backend.current()}",
        f"run        {t.folder}"])


def sample(t):
    """One line about the training so far: the loss, and what the model would write now."""
    from tqdm import tqdm

    from nanollm.generate import generate
    pieces = generate(t.model, t.tokenizer, tokens=80, temperature=0.8, seed=t.step)
    text = " ".join("".join(pieces).split())
    tqdm.write(f"step {t.step:6,}  validation loss {t.val_loss:.3f}  it writes: {text[:64]}")


def outcome(t, metrics):
    """What came of it, and what to do next."""
    minutes, seconds = divmod(round(metrics["seconds"]), 60)
    return (f"validation loss {metrics['val_loss']:.4f} (best {metrics['best_val_loss']:.4f}), "
            f"{metrics['tokens_per_second']:,} tokens/s, {minutes} min {seconds} s\n"
            f"loss curve  {t.folder / 'loss.png'}\n"
            f"read more   {program()} generate {shlex.quote(str(t.folder))} --prompt \"The\"")
