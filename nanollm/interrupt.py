"""Ctrl-C as a wish that is granted at the next good moment, not in the middle of a step."""

import os
import signal


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
