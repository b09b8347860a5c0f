"""What long work shows and hears: a progress bar, and Ctrl-C as a wish.

The wish is granted at the next good moment, not in the middle of a step.
"""

import os
import signal
import sys

from tqdm import tqdm


def progress(total, unit, quiet, **settings):
    """The progress bar: where nobody watches (a log file), a line every ten seconds."""
    return tqdm(total=total, unit=unit, dynamic_ncols=True, disable=quiet,
                mininterval=0.2 if sys.stderr.isatty() else 10, **settings)


class Interrupt:
    """`with Interrupt() as stop:` Ctrl-C sets `stop.asked`; a second one ends at once.

    answer    what to tell the user on stderr at the first
    """

    def __init__(self, answer=""):
        self.answer = answer

    def __enter__(self):
        self.asked = False
        try:
            self.before = signal.signal(signal.SIGINT, self.ask)
        except ValueError:                              # not the main thread: no signals here
            self.before = None
        return self

    def __exit__(self, *_):
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def ask(self, *_):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        os.write(2, self.answer.encode())               # print may be at work just now: no second
