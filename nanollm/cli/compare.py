"""compare: is the loss of a run what it should be? Drawn over five trainings that were right."""

from pathlib import Path

from nanollm.cli.options import add_backend, choose_backend, table
from nanollm.errors import InputError

EXAMPLES = """examples:
  python -m nanollm compare runs/quick                        beside the curves of its preset
  python -m nanollm compare runs/mine --preset nanogpt-cpu    beside those of another
  python -m nanollm compare --record quick                    train five seeds: new curves

The picture is RUN/compare.png. Exit code 1: the run leaves the band.
"""


def add(commands):
    parser = commands.add_parser(
        "compare", help="a run beside reference curves of five seeds", epilog=EXAMPLES,
        description="Draw a run of `train` over the band of five trainings of its preset, say "
        "where it leaves the band, and name the likeliest cause.")
    parser.add_argument("folder", metavar="RUN", nargs="?", help="the folder of a run")
    parser.add_argument("--preset", metavar="NAME", help="whose curves (default the run's preset)")
    parser.add_argument("--draw", metavar="FILE", help="the picture (default RUN/compare.png)")
    parser.add_argument("--record", metavar="PRESET",
                        help="train this preset with several seeds and keep their curves in "
                        "data/curves")
    parser.add_argument("--seeds", type=int, metavar="N", help="with --record: how many [5]")
    add_backend(parser, "with --record: ")
    parser.set_defaults(run=run)


def run(args):
    from nanollm import curves
    if args.record is not None:
        given = next((name for name in ("folder", "preset", "draw")
                      if getattr(args, name) is not None), None)
        if given:
            raise InputError(f"--record trains and compares nothing: leave out "
                             f"{'RUN' if given == 'folder' else '--' + given}")
        choose_backend(args)
        print(f"wrote {curves.record(args.record, 5 if args.seeds is None else args.seeds)}")
        return 0
    if args.folder is None:
        raise InputError("which run? Give its folder, like runs/quick")
    for name in "seeds", "backend":
        if getattr(args, name) is not None:
            raise InputError(f"--{name} goes with --record: a comparison trains nothing")
    c = curves.compare(args.folder, args.preset and curves.load(args.preset))
    print(report(c))
    path = Path(args.draw or c.run / "compare.png")
    curves.draw(c, path)
    print(f"picture    {path}")
    return 1 if c.outside else 0


def report(c):
    """The comparison as lines of text: a table, where the run is outside, and why."""
    import numpy as np

    from nanollm import curves
    usual, check = c.usual, c.usual_check
    bins = np.unique(np.linspace(0, len(c.train) - 1, 8).round().astype(int))
    rows = [(int(usual.steps[i]), float(usual.low[i]), float(usual.high[i]), float(c.train[i]),
             place(c.train[i], usual.low[i], usual.high[i])) for i in bins]
    for step, low, high, loss in list(zip(check.steps, check.low, check.high, c.check))[-1:]:
        rows.append((int(step), float(low), float(high), float(loss),
                     place(loss, low, high) + ", validation"))
    lines = [table(rows, ["step", "band from", "to", "this run", ""]), ""]
    for first, end, name, where in c.outside[:6]:
        lines.append(f"{where} the band  {name} loss, steps {first:,} to {end:,}")
    if len(c.outside) > 6:
        lines.append(f"and {len(c.outside) - 6} more stretches")
    lines += [f"because    {line}" if i == 0 else f"           {line}"
              for i, line in enumerate(curves.causes(c))]
    if not c.outside:
        lines.append(f"inside the band of {len(c.reference.seeds)} seeds, over {c.done:,} steps")
        lines += [f"although   {name} is {ours}, in the reference {theirs}"
                  for name, (ours, theirs) in c.different.items()]
    return "\n".join(lines)


def place(loss, low, high):
    return "inside" if low <= loss <= high else "above" if loss > high else "below"
