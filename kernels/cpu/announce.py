"""Compiling takes seconds and happens once: say so, that nobody takes the program for hung.

Numba broadcasts an event when it begins to compile a function and when it ends, and none when it
loads one from its cache. The kernels of this project count (`ours`), and of those not the ones
compiled on behalf of another. How many will be needed nobody knows: the bar counts, adds up
seconds, and leaves the screen between two kernels, so that it is in nobody's way.

NANOLLM_QUIET=1 silences it. Where stderr is no terminal, the first line is all there is; a
notebook has it on stdout, for stderr is red there, as errors are.
"""

import os
import sys
import time

from numba.core.event import Listener, register
from tqdm import tqdm

FIRST = "compiling kernels for this machine (at first use, about 5 s)"
ours = set()                                     # what the decorator `kernel` made


class Announcement(Listener):
    """Numba compiles one function at a time, whatever the thread, so no lock is needed here."""

    def __init__(self):
        self.depth = 0                           # kernels begun and not ended: each for the last
        self.count, self.seconds = 0, 0.0        # those ended
        self.bar = None

    def on_start(self, event):
        if event.data["dispatcher"] in ours:
            self.depth += 1
            if self.depth == 1:
                self.began = time.perf_counter()
                self.show(event.data["dispatcher"].py_func)

    def on_end(self, event):
        if event.data["dispatcher"] in ours:
            self.depth -= 1
            if self.depth == 0:
                self.count += 1
                self.seconds += time.perf_counter() - self.began
                if self.bar is not None:
                    self.bar.close()

    def show(self, function):
        if os.environ.get("NANOLLM_QUIET") == "1" or sys.stderr is None:
            return
        if self.count == 0:
            tqdm.write(FIRST, file=sys.stdout if "ipykernel" in sys.modules else sys.stderr)
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        self.bar = tqdm(bar_format=f"{self.count} compiled, {self.seconds:.0f} s, now {name}",
                        leave=False, disable=not sys.stderr.isatty())


register("numba:compile", Announcement())
