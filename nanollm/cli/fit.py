"""fit: a recurrent model learns a task from examples, is evaluated on others, and can be tried."""

import shlex
from dataclasses import fields, replace
from pathlib import Path

from nanollm import backend
from nanollm.cli.options import add_backend, choose_backend, program, tell_change
from nanollm.errors import InputError
from nanollm.files import write_json

EXAMPLES = """examples:
  python -m nanollm fit dates                                 dates to ISO form, a few minutes
  python -m nanollm fit g2p                                   about an hour: how words sound
  python -m nanollm fit g2p --resume runs/fit/g2p             go on where it stopped
  python -m nanollm fit g2p --evaluate runs/fit/g2p --beam 5  error rates on the test part
  python -m nanollm fit g2p --try "recurrence"                ask the newest run of this task
  python -m nanollm fit dates --try "May 1st, 2001" --draw alignment.png
                                                              what it looked at for each digit
  python -m nanollm fit g2p --pretrained g2p-en --try "tea"   ask the weights of that package

A run is a folder: settings, vocabularies, weights, losses.csv, loss.png, and in the end
metrics.json. --evaluate adds its measures to that file, and where there are labels report.txt
(precision, recall and F1 of each) and confusion.png.
"""

SIZES = {                       # of a model; a task has some of them
    "width": (int, "numbers that describe a token"),
    "encoder": (int, "width of the encoder's state, in each direction"),
    "decoder": (int, "width of the decoder's state"),
    "hidden": (int, "width of the LSTM's state"),
    "layers": (int, "recurrences on top of each other"),
    "cell": (str, "lstm or gru"),
    "attention": (str, "none, multiplicative or additive"),
    "pooling": (str, "last or mean: how the states of a row become one"),
    "dropout": (float, "share of numbers left out at random in training")}


def add(commands):
    parser = commands.add_parser(
        "fit", help="fit a recurrent model to a task", epilog=EXAMPLES,
        description="Fit a recurrent model to a task:" + listed() + "\n\nCtrl-C saves; --resume "
        "goes on, bit for bit. The weights with the lowest validation error are kept.")
    parser.add_argument("task", metavar="TASK", help="one of those above")
    parser.add_argument("--run", dest="folder", metavar="FOLDER",
                        help="where to keep the run (default runs/fit/TASK, runs/fit/TASK-2 ...)")
    parser.add_argument("--resume", metavar="FOLDER",
                        help="go on with this run; of the settings only --epochs may be given")
    parser.add_argument("--evaluate", metavar="FOLDER", help="measure a run on the test part")
    parser.add_argument("--try", dest="text", metavar="TEXT", help="the answer to a text, by the "
                        "run of --run (default the newest of this task)")
    parser.add_argument("--draw", metavar="FILE", help="with --try: where each token of the "
                        "answer looked in the text, as a picture, if the model has attention")
    parser.add_argument("--pretrained", metavar="PATH", help="g2p, in place of a run: the folder "
                        "of the package g2p-en, or its .npz; with --try, else it is measured")
    parser.add_argument("--beam", type=int, metavar="K", default=1,
                        help="with --evaluate and --try: beginnings kept in the search [1]")
    parser.add_argument("--vectors", metavar="FOLDER", help="begin with the word vectors of a run "
                        "of `vectors train`, where they know a word; they decide the width")
    parser.add_argument("--frozen", action="store_true",
                        help="with --vectors: the embedding stays as it is, the rest learns")
    parser.add_argument("--seconds", type=float, metavar="X",
                        help="stop after so long; all is saved, as after Ctrl-C")
    add_backend(parser)
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors and results")
    add_settings(parser)
    parser.set_defaults(run=run, large=large)


def large(args):
    """The options that could be smaller: of a run that is there, at most the beam."""
    if any(given is not None for given in (args.resume, args.evaluate, args.text, args.pretrained)):
        return ["--beam"] * (args.beam > 1)
    return ["--batch", "--width", "--layers"]


def listed():
    """A line for each task."""
    from nanollm.tasks import TASKS
    return "".join(f"\n  {name:12}{task.what}" for name, task in TASKS.items())


def add_settings(parser):
    """An option for each size of a model and each field of FitSettings."""
    from nanollm.fitting import FitSettings
    group = parser.add_argument_group("model (the task's, unless given; not every task has all)")
    for name, (kind, words) in SIZES.items():
        group.add_argument(f"--{name}", type=kind, metavar=letter(kind), help=words)
    group = parser.add_argument_group("settings (the task's, unless given)")
    for f in fields(FitSettings):
        group.add_argument(f"--{f.name}", type=f.type, metavar=letter(f.type),
                           help=f.metadata["help"])


def letter(kind):
    return {int: "N", float: "X", str: "NAME"}[kind]


def run(args):
    task = asked(args)
    if args.pretrained is not None:
        return pretrained(args, task)
    if args.evaluate is not None:
        return evaluate(args, task)
    if args.text is not None:
        return answer(args, task)
    return learn(args, task)


def asked(args):
    """The task as the options change it. Raises InputError for options that do not go together."""
    from nanollm.fitting import FitSettings
    from nanollm.solvers import Rewriter
    from nanollm.tasks import task
    found = task(args.task)
    sizes = {name: getattr(args, name) for name in SIZES if getattr(args, name) is not None}
    settings = {f.name: getattr(args, f.name) for f in fields(FitSettings)
                if getattr(args, f.name) is not None}
    modes = [name for name in ("resume", "evaluate", "text") if getattr(args, name) is not None]
    if len(modes) > 1:
        raise InputError("--resume, --evaluate and --try are three different things: give one")
    if modes:
        other = [name for name in (*sizes, *settings, *beginning(args))
                 if (modes[0], name) != ("resume", "epochs")]
        if other:
            raise InputError(f"a run keeps its settings: leave out --{other[0]}")
    if args.pretrained is not None:
        check_pretrained(args, [*sizes, *settings, *beginning(args)])
    if args.frozen and args.vectors is None:
        raise InputError("--frozen is for an embedding of word vectors: give their folder "
                         "(--vectors)")
    if args.folder is not None and modes and modes[0] != "text":
        raise InputError(f"--{modes[0]} names the run: leave out --run")
    if args.seconds is not None and not args.seconds > 0:
        raise InputError(f"--seconds is {args.seconds}, expected more than 0")
    if args.beam < 1:
        raise InputError(f"--beam is {args.beam}, expected at least 1")
    if args.beam > 1 and args.pretrained is None and modes not in (["evaluate"], ["text"]):
        raise InputError("--beam is for answers: give --evaluate or --try with it, or leave it out")
    if args.beam > 1 and found.kind is not Rewriter:
        raise InputError(f"--beam searches for an answer, but {found.name} has none to search for: "
                         "leave it out")
    if args.seconds is not None and modes in (["evaluate"], ["text"]):
        raise InputError("--seconds stops a fit, and this is none: leave it out")
    if args.draw is not None:
        check_draw(args, found)
    found = found.resized(sizes)
    return found if modes else replace(found, settings=replace(found.settings, **settings))


def beginning(args):
    """The options given that a new run alone has."""
    return ["vectors"] * (args.vectors is not None) + ["frozen"] * args.frozen


def check_draw(args, task):
    """Raises InputError where there is no alignment to draw."""
    from nanollm.solvers import Rewriter
    if args.text is None:
        raise InputError("--draw shows how one answer came about: give a text (--try)")
    if task.kind is not Rewriter:
        raise InputError(f"--draw shows where an answer looked in the text, but {task.name} writes "
                         "no answer to a text: leave out --draw")


def check_pretrained(args, changed):
    """Raises InputError for options that do not go with --pretrained."""
    if args.task != "g2p":
        raise InputError(f"--pretrained is a model of the task g2p, not of {args.task}")
    given = [option for option, value in (
        ("resume", args.resume), ("evaluate", args.evaluate), ("run", args.folder),
        ("seconds", args.seconds)) if value is not None] + changed
    if given:
        raise InputError(f"--pretrained is no run and is not fitted: leave out --{given[0]}")


def learn(args, task):
    """Fit a new run, or go on with one."""
    from nanollm import fit, fitting
    before = None if args.resume is None else fitting.read_config(args.resume)["backend"]
    choose_backend(args, before)
    parts = task.read()
    t = (begun if args.resume is None else resumed)(args, task, parts)
    if not args.quiet:
        print(header(t, task, parts), flush=True)
        tell_change(before)
    metrics = fit.run(t, quiet=args.quiet, seconds=args.seconds,
                      on_look=None if args.quiet else show)
    if metrics is None:
        if not args.quiet:
            print(f"stopped after step {t.step:,} of {t.steps:,}, all is saved; go on with\n"
                  f"  {program()} fit {task.name} --resume {shlex.quote(str(t.folder))}")
        return 130 if t.interrupted else 0
    if not args.quiet:
        minutes, seconds = divmod(round(metrics["seconds"]), 60)
        print(f"best after epoch {metrics['best_epoch']}: validation error {metrics['error']:.4f}, "
              f"loss {metrics['val_loss']:.4f}; {metrics['epochs']} epochs, {minutes} min {seconds}"
              f" s\nmeasure it  {program()} fit {task.name} --evaluate "
              f"{shlex.quote(str(t.folder))}\nask it      {program()} fit {task.name} --run "
              f"{shlex.quote(str(t.folder))} --try TEXT")
    return 0


def begun(args, task, parts):
    from nanollm import fitting
    from nanollm.word_vectors import Vectors, load_into
    known = ""
    if args.vectors is not None:
        vectors = Vectors.load(args.vectors)
        if args.width is None:
            task = task.resized({"width": vectors.w.shape[1]})
    solver = task.begin(parts)
    if args.vectors is not None:
        found = load_into(solver.embedding, vectors, solver.source)
        known = f"{found:,} of {len(solver.source.ids):,} words from {args.vectors}"
    frozen = [path for path, t in solver.model.parameters().items()
              if args.frozen and t is solver.embedding.w]
    folder = new_name(task.name) if args.folder is None else args.folder
    return fitting.begin(solver.problem(parts.learn, parts.check), solver.model, task.settings,
                         folder, {"task": task.name, "model": task.sizes, "vectors": known},
                         solver.save, frozen)


def resumed(args, task, parts):
    from nanollm import fitting
    solver = task.load(args.resume, best=False)
    return fitting.resume(solver.problem(parts.learn, parts.check), solver.model, args.resume,
                          epochs=args.epochs)


def header(t, task, parts):
    """What is about to happen, a line for each part of it."""
    from nanollm import fitting
    from nanollm.cli.options import table
    rows = [*t.model.summary(), ("total", "", t.model.count())]
    return (f"task   {task.what}\n"
            f"data   {len(t.problem.learn):,} examples to learn from, {len(t.problem.check):,} to "
            f"check on, tests: " + ", ".join(f"{name} {len(rows):,}"
                                             for name, rows in parts.tests.items()) +
            f"\nfit    {t.settings.epochs} epochs of {t.per_epoch:,} steps, batch "
            f"{t.settings.batch}, on {backend.current()}\nrun    {t.folder}\n"
            + "".join(f"{name:8}{value}\n" for name, value in fitting.started(t.config)) + "\n"
            + table(rows, ["layer", "output", "parameters"]) + "\n")


def show(t):
    """One line about an epoch."""
    from tqdm import tqdm
    loss, error = t.looks[-1]
    tqdm.write(f"epoch {len(t.looks):3}  validation loss {loss:.4f}  error {error:.4f}"
               + ("  best so far" if t.stale == 0 else "") + f"  {t.seconds:,.0f} s")


def evaluate(args, task):
    """Print the measures of a run on each test part."""
    choose_backend(args)
    from nanollm import fitting
    from nanollm.solvers import Labeler
    folder, solver = Path(args.evaluate), task.load(args.evaluate)
    metrics = {"task": task.name, **fitting.read_metrics(folder)}
    for name, rows in task.read().tests.items():
        matrix = solver.judged(rows) if isinstance(solver, Labeler) else None
        found = solver.evaluate(rows, args.beam) if matrix is None else solver.measures(matrix)
        print(measured(name, rows, found))
        metrics["tests"] = {**metrics.get("tests", {}),
                            f"{name}, beam {args.beam}" if args.beam > 1 else name:
                            {"rows": len(rows), **found}}
    try:
        write_json(folder / "metrics.json", metrics)
        if matrix is not None:
            solver.report(matrix, folder)
    except OSError as error:
        raise InputError(f"cannot write in {folder} ({error.strerror}): make room, or the folder "
                         "writable") from None


def measured(name, rows, found):
    """One line: a test part and the measures on it."""
    return f"{name:10}{len(rows):,} rows   " + "   ".join(
        f"{measure} {value:.4f}" for measure, value in found.items())


def pretrained(args, task):
    """Print the answer of g2p-en's weights to a word, or their measures on the test part."""
    from nanollm.pretrained import g2p_en
    choose_backend(args)
    solver = g2p_en.load(args.pretrained)
    if args.text is not None:
        reply(args, task, solver, g2p_en.cut(args.text))
        return
    for name, rows in task.read().tests.items():
        rows = [(g2p_en.cut("".join(word)), found) for word, found in rows]
        print(measured(name, rows, solver.evaluate(rows, args.beam)))
    print("for information only: g2p-en was trained on CMUdict, these words among them")


def answer(args, task):
    """Print the answer of a run to a text."""
    choose_backend(args)
    folder = newest(task.name) if args.folder is None else args.folder
    reply(args, task, task.load(folder), task.cut(args.text))


def reply(args, task, solver, source):
    """Print what a solver answers to a source, and draw its alignment if that is asked for."""
    if not args.text.strip() or not solver.source.cut(source):
        raise InputError("--try: the text is empty, expected something to answer")
    if args.draw is not None:
        solver.draw_alignment(source, args.draw, args.beam)
    print(solver.answer(source, task.between, args.beam))


def new_name(name):
    """runs/fit/name, or runs/fit/name-2 ... if that is taken."""
    from nanollm.runs import new_name
    return new_name(f"fit/{name}")


def newest(name):
    """The run of this task that was saved last. Raises InputError where there is none."""
    from nanollm.fitting import read_config
    from nanollm.runs import HOME
    found = sorted((HOME / "fit").glob("*/step-*/state.json"), key=lambda p: p.stat().st_mtime)
    for path in reversed(found):
        if read_config(path.parents[1])["task"] == name:
            return path.parents[1]
    raise InputError(f"there is no run of {name} in {HOME / 'fit'} yet; `python -m nanollm fit "
                     f"{name}` makes one")
