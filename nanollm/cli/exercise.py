"""exercise: write the book's pages yourself, and be told what is wrong."""

import re
import unicodedata

from nanollm.cli.options import program, table
from nanollm.errors import InputError

EXAMPLES = """examples:
  python -m nanollm exercise list
  python -m nanollm exercise start softmax      writes exercises/softmax.py; open it in an editor
  python -m nanollm exercise check softmax      what is right, and what is wrong with the rest
  python -m nanollm exercise hint softmax       a little more each time it is asked

`pytest exercises` does the same checks. Exit code 1: a check fails.
"""
HINT = {                                    # by language: above a hint, and after the last one
    "en": ("{name}, hint {level} of {of}", "That is the last one. A teacher has `{command}`."),
    "zh": ("{name}，提示 {level}/{of}", "这是最后一条提示。教师可用 `{command}` 查看答案。")}
MUSEUM = """
The bug museum: real bugs, each in a small program of our own, to find and to mend.

"""


def add(commands):
    parser = commands.add_parser(
        "exercise", help="exercises that grade themselves", epilog=EXAMPLES,
        description="Write the book's pages yourself; each attempt is checked, and told what is "
        "wrong with it.")
    parts = parser.add_subparsers(metavar="list|start|check|hint|solution", required=True)
    part = parts.add_parser("list", help="all exercises, and how far you are")
    part.set_defaults(run=run_list)
    part = parts.add_parser("start", help="write the file to fill in",
                            description="Write exercises/NAME.py: the page without its answers.")
    part.add_argument("name", metavar="NAME")
    part.add_argument("--again", action="store_true",
                      help="begin anew; what you wrote is kept beside it, as NAME.1.old")
    part.set_defaults(run=run_start)
    part = parts.add_parser("check", help="what is right, what is wrong",
                            description="Check what you wrote. Without NAME: the file changed "
                            "last.")
    part.add_argument("name", metavar="NAME", nargs="?")
    part.add_argument("--all", action="store_true", help="everything that was started, as a table")
    part.add_argument("--json", metavar="FILE", help="write the score sheet there as well")
    part.set_defaults(run=run_check)
    part = parts.add_parser("hint", help="a hint, more each time",
                            description="Three hints: the idea, the equation, nearly the line.")
    part.add_argument("name", metavar="NAME")
    part.add_argument("--level", type=int, choices=(1, 2, 3), help="this one [the next]")
    part.add_argument("--language", choices=("en", "zh"), default="en",
                      help="the hint in English or Chinese [en]")
    part.set_defaults(run=run_hint)
    part = parts.add_parser("solution", help="the solved page, for teachers")
    part.add_argument("name", metavar="NAME")
    part.add_argument("--teacher", action="store_true", help="yes, show it")
    part.set_defaults(run=run_solution)


def run_list(args):
    from nanollm.exercises import catalog, sheet
    scores = sheet.read()
    found = catalog.all_of_them()
    for title, of_museum in ("", False), (MUSEUM, True):
        print(title + table([(e.name, e.title, e.notebook, sheet.state(e.name, scores))
                             for e in found if (e.group == "museum") == of_museum],
                            ["name", "what", "notebook", "state"]))


def run_start(args):
    from nanollm.exercises import catalog, sheet
    exercise = catalog.load(args.name)
    kept = sheet.start(exercise, args.again)
    if kept:
        print(f"your file is now {sheet.shown(kept)}")
    todo = "mend it" if exercise.group == "museum" else "fill it in"
    print(f"wrote {sheet.shown(sheet.path(exercise.name))}: {exercise.title}\n"
          f"  {todo}, then  {program()} exercise check {exercise.name}")


def run_check(args):
    from nanollm import files
    from nanollm.exercises import catalog, isolated, sheet
    if args.name and args.all:
        raise InputError(f"check {args.name}, or --all: not both")
    started = [name for name in catalog.names() if sheet.path(name).is_file()]
    if args.name:
        chosen = [catalog.load(args.name)]
    elif not started:
        raise InputError(f"no exercise is started: `{program()} exercise start NAME` (`list` shows "
                         "the names)")
    elif args.all:
        chosen = [e for e in catalog.all_of_them() if e.name in started]
    else:
        chosen = [catalog.load(max(started, key=lambda n: sheet.path(n).stat().st_mtime))]
    reports = [isolated.check(exercise, sheet.path(exercise.name)) for exercise in chosen]
    if args.all:
        print(table([(r.name, r.passed, len(r.checks), "passed" if r.complete else summary(r))
                     for r in reports], ["name", "passed", "of", "first to mend"]))
    else:
        print(told(reports[0]))
    for report in reports:
        sheet.keep_report(report)
    if args.json:
        files.write_json(args.json, {"passed": sum(r.complete for r in reports),
                                     "of": len(reports), "exercises": [r.json() for r in reports]})
    return 0 if all(r.complete for r in reports) else 1


def summary(report):
    """What to mend first, in one line."""
    from nanollm.exercises.examine import FILE
    first = report.first
    what = first.message.splitlines()[0]
    return what if first.title == FILE else f"{first.title}: {what}"


def told(report):
    """A report as a student reads it: a line a check, then what to mend first.

    Of a file that is wrong as a whole, only that is told.
    """
    from nanollm.exercises import sheet
    from nanollm.exercises.examine import EMPTY, FILE, PASSED, SKIPPED
    file, first, of = sheet.shown(sheet.path(report.name)), report.first, len(report.checks)
    message = [f"  {line}" for line in first.message.splitlines()] if first else []
    if first and first.title == FILE:
        return (f"{file}: {first.message}" if first.state == EMPTY else
                "\n".join([f"{file}: none of the {of} checks can be reached", *message]))
    reached = [v for v in report.checks if v.state != SKIPPED]
    marks = [("ok" if v.state == PASSED else v.state, v.title) for v in reached]
    if len(reached) < of:
        marks.append((SKIPPED, f"{of - len(reached)} more"))
    width = max(len(mark) for mark, _ in marks)
    lines = [f"{file}: {report.passed} of {of} checks pass",
             *(f"  {mark:{width}}  {title}" for mark, title in marks)]
    return "\n".join(lines + ["", f"{first.title}:", *message] if first else lines)


def run_hint(args):
    from nanollm.exercises import catalog, sheet
    exercise = catalog.load(args.name)
    asked = sheet.read().get(exercise.name, {}).get("hints", 0)
    level = args.level or min(asked + 1, len(exercise.hints))
    heading, last = HINT[args.language]
    print(f"{heading.format(name=exercise.name, level=level, of=len(exercise.hints))}\n\n"
          f"{wrapped(exercise.hints[level - 1][args.language == 'zh'])}")
    if not args.level and asked == len(exercise.hints):
        command = f"{program()} exercise solution {exercise.name} --teacher"
        print(f"\n{last.format(command=command)}")
    sheet.folder().mkdir(parents=True, exist_ok=True)
    sheet.keep(exercise.name, hints=max(level, asked))


def wrapped(text, width=88):
    """A text in lines of at most `width` columns; a Chinese character takes two."""
    lines, room = [""], width
    for piece in re.findall(r"\n|(?:[^\s⺀-￯]+|[^\n])[，。；：、）]* ?", text):    # words, or signs
        columns = sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in piece
                      if not unicodedata.combining(c))
        if piece == "\n" or columns > room + piece.endswith(" "):
            lines.append("")
            room = width
        lines[-1] += piece.strip("\n")
        room -= columns
    return "\n".join(line.rstrip() for line in lines)


def run_solution(args):
    from nanollm.exercises import catalog, stubs
    exercise = catalog.load(args.name)
    if not args.teacher:
        raise InputError(f"the solution of {exercise.name} is for teachers: add --teacher to see "
                         f"it, or ask `{program()} exercise hint {exercise.name}`")
    print(f"# {exercise.page}\n{stubs.page(exercise)}", end="")
    if exercise.explanation:
        print(f"\n# Why\n{exercise.explanation}" + (f"\n{exercise.thread}" if exercise.thread
                                                   else ""))
