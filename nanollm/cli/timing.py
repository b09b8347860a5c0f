"""Timing that can be believed: in turns, after a warm-up, and the median of many."""

import os
import platform
import time
from pathlib import Path
from statistics import median


def in_turns(calls, rounds, seconds=60):
    """{name: seconds a call takes} for calls = {name: function}: medians over `rounds` rounds.

    The calls take turns, so that a slow moment of the machine is slow for all of them. A first
    round (caches, compilation) does not count, and no round begins after `seconds` seconds.
    """
    for call in calls.values():
        call()
    times, began = {name: [] for name in calls}, time.perf_counter()
    for _ in range(rounds):
        for name, call in calls.items():
            before = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - before)
        if time.perf_counter() - began > seconds:
            break
    return {name: median(taken) for name, taken in times.items()}


def machine():
    """What a timing must be read with: processor, cores, versions."""
    from nanollm.runs import versions
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return {"processor": model, "cores": os.cpu_count(), **versions()}
