"""The command line: one file a command. Each has `add(commands)`, its options, and `run(args)`;
some have `large(args)`, those of their options that decide how much memory it takes.

Exit codes: 0 done; 1 a check failed; 2 bad input, or a file or disk that fails, told in one line;
130 stopped by Ctrl-C.
A command imports what it needs when it runs, so that --help answers at once.
"""

import argparse
import os
import sys
from contextvars import copy_context

from nanollm.cli import bench, check, compare, data, exercise, fit, generate, info, train
from nanollm.cli import vanishing, vectors
from nanollm.errors import InputError

DESCRIPTION = """Large language models from scratch, in NumPy, with kernels in Numba.

  python -m nanollm train            train a small model on English prose (about two minutes)
  python -m nanollm generate         read what it has learned to write
  python -m nanollm COMMAND --help   what else a command can do
"""

# What NumPy says of an array that no memory could hold.
BEYOND = "array is too big", "Maximum allowed dimension exceeded"


class Parser(argparse.ArgumentParser):
    """Bad options are bad input like any other: one line."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False,
                         formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message):
        raise InputError(f"{message} (`{self.prog} --help` lists the options)")


def main(argv=None):
    """Run one command; returns the exit code."""
    sys.stdout = sys.stdout or open(os.devnull, "w")    # closed by the caller: >&-
    sys.stderr = sys.stderr or open(os.devnull, "w")
    for stream in sys.stdout, sys.stderr:               # a terminal may lack a character: show "?"
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    parser = Parser(prog="python -m nanollm", description=DESCRIPTION)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for command in (train, fit, generate, vectors, compare, vanishing, data, info, check, bench,
                    exercise):
        command.add(commands)
    args = None
    try:
        args, unknown = parser.parse_known_args(argv)
        if unknown:
            command = args.run.__module__.rpartition(".")[2]
            raise InputError(f"{command} does not know {unknown[0]!r} (`python -m nanollm "
                             f"{command} --help` lists its options)")
        code = copy_context().run(args.run, args) or 0      # a backend it chose ends with it
        sys.stdout.flush()
        return code
    except InputError as error:
        return fail(error, 2)
    except MemoryError:
        return fail(f"not enough memory: {advice(args)}", 2)
    except ValueError as error:
        if str(error).startswith(BEYOND):
            return fail(f"not enough memory: {advice(args)}", 2)
        raise
    except KeyboardInterrupt:
        print(file=sys.stderr)                          # the terminal shows "^C" in this line
        return fail("stopped", 130)
    except BrokenPipeError:                             # `| head` has read enough
        drop_output()
        return 141
    except OSError as error:
        drop_output()
        what = f" {error.filename}" if error.filename else ""
        return fail(f"cannot read or write{what} ({error.strerror or error})", 2)
    except OverflowError as error:
        return fail(f"a number is too large ({error})", 2)


def advice(args):
    """What to do where memory is short, by the options that the command has."""
    options = args.large(args) if hasattr(args, "large") else []
    if not options:
        return "end other programs, or use a larger machine"
    return "choose a smaller " + ", ".join(options[:-1]) + " or " * (len(options) > 1) + options[-1]


def drop_output():
    """Forget what stdout cannot take, or Python would complain of it at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(message, code):
    print("nanollm:", " ".join(str(message).splitlines()), file=sys.stderr)
    return code
