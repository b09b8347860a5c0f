"""Timing that can be believed: in turns, after a warm-up, and the median of many."""

import os
import platform
import time
from pathlib import Path
from statistics import median


def in_turns(calls, rounds, seconds, prepare=lambda name: None):
    """{name: seconds a call takes} for calls = {name: function}: medians over `rounds` rounds.

    The calls take turns, so that a slow moment of the machine is slow for all of them. The first
    round (caches, compilation) does not count, and no round begins after `seconds` seconds.
    prepare(name) is called before each call and not timed.
    """
    times, began = {name: [] for name in calls}, time.perf_counter()
    for i in range(rounds + 1):
        for name, call in calls.items():
            prepare(name)
            before = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - before)
        if i > 0 and time.perf_counter() - began > seconds:
            break
    return {name: median(taken[1:]) for name, taken in times.items()}


def machine():
    """What a timing must be read with: processor, cores, versions."""
    from nanollm.runs import versions
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return {"processor": model, "cores": os.cpu_count(), **versions()}
