"""Which thread touches which memory: pictures and counts of launches that the simulator has seen.

    with watch() as launches:                    kernels/cuda/watch.py
        kernel[grid, threads](x, y)
    owners(axes, launches[0], "y")               who writes each entry of y
    warps(axes, launches[0], "x")                what threads that run in step touch together
    requests(launches[0], "x")                   in how many pieces of memory that lies
    rounds(axes, launches[0], "part")            who adds what to what between two waits

A GPU runs 32 threads in step, a warp, and fetches memory in pieces of 32 bytes. So that pictures
are legible, a warp has 8 threads here; a piece is 32 bytes, 8 numbers of float32, as there.
"""

import numpy as np

from nanollm.figures import BLACK, BLUE, COLORS

WARP, PIECE = 8, 8                               # threads; numbers


def in_step(launch, name, writes=None):
    """[(block, warp, [(thread's number in its warp, flat index), ...])] of an array, in order.

    Threads of a warp make their first access together, then their second, and so on between waits.
    writes    True: only writes, False: only reads, None: both
    """
    _, array = launch.arrays[name]
    across, down, _ = launch.threads
    count, together = {}, {}
    for access in launch.accesses:
        if access.array != name or writes not in (None, access.writes):
            continue
        x, y, z = access.thread
        thread = x + across * (y + down * z)
        key = access.block, thread, access.waits, access.writes
        n = count[key] = count.get(key, -1) + 1
        together.setdefault((access.block[::-1], thread // WARP, access.waits, access.writes, n),
                            []).append((thread % WARP, int(np.ravel_multi_index(
                                access.index, array.shape))))
    return [(block[::-1], warp, sorted(pairs))
            for (block, warp, *_), pairs in sorted(together.items())]


def requests(launch, name, writes=None):
    """(accesses, pieces of memory): how many numbers threads touch, and how many pieces are moved.

    What the threads of a warp touch in one step is moved once.
    """
    steps = in_step(launch, name, writes)
    return (sum(len(pairs) for *_, pairs in steps),
            sum(len({index // PIECE for _, index in pairs}) for *_, pairs in steps))


def warps(axes, launch, name, writes=None, most=8):
    """Draw what warps touch: a line for each step of a warp, addresses across, a color a thread."""
    _, array = launch.arrays[name]
    steps = in_step(launch, name, writes)[:most]
    for line, (_, _, pairs) in enumerate(steps):
        for thread, index in pairs:
            axes.add_patch(rectangle(index, line, shade(thread)))
    frame(axes, array.size, len(steps))
    axes.set_xticks(range(0, array.size + 1, PIECE))
    axes.set_xlabel(f"numbers of {name} as they lie in memory; a piece is {PIECE} of them")
    axes.set_ylabel("step of a warp")


def owners(axes, launch, name):
    """Draw an array of one or two axes: the block that writes an entry as color, its thread in it.
    """
    _, array = launch.arrays[name]
    rows = array.reshape(-1, array.shape[-1])
    blocks = {}
    for access in launch.accesses:
        if access.array == name and access.writes:
            row, column = access.index if len(access.index) == 2 else (0, access.index[0])
            color = COLORS[blocks.setdefault(access.block, len(blocks)) % (len(COLORS) - 1)]
            axes.add_patch(rectangle(column, row, color))
            x, y, _ = access.thread
            text = f"{x},{y}" if launch.threads[1] > 1 else str(x)
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center",
                      color="white" if color == BLUE else BLACK, fontsize=12, fontweight="bold")
    frame(axes, rows.shape[1], rows.shape[0])
    axes.set_xticks(np.arange(0, rows.shape[1], max(1, rows.shape[1] // 12)) + 0.5,
                    range(0, rows.shape[1], max(1, rows.shape[1] // 12)))
    axes.set_xlabel(f"entry of {name}; color: block, number: thread of the block")
    if len(rows) == 1:
        axes.set_yticks([])
    else:
        axes.set_ylabel(f"row of {name}")


def rounds(axes, launch, name, start):
    """Draw a reduction in shared memory: between two waits, who reads what and writes where.

    start    what is in the array before the first round; the picture adds as the threads do
    """
    values, line = np.array(start, float), 0
    steps = [[a for a in launch.accesses if a.array == name and a.waits == n and not any(a.block)]
             for n in range(1, 1 + max(a.waits for a in launch.accesses))]
    steps = [step for step in steps if any(a.writes for a in step)]
    numbers(axes, values, line)
    for step in steps:
        new = values.copy()
        for thread in sorted({a.thread for a in step}):
            read = {a.index[0] for a in step if a.thread == thread and not a.writes}
            for target in {a.index[0] for a in step if a.thread == thread and a.writes}:
                new[target] = values[list(read)].sum()
                for source in read:
                    axes.annotate("", (target + 0.5, line + 1.98), (source + 0.5, line + 1.02),
                                  arrowprops={"arrowstyle": "->", "lw": 2.2,
                                              "color": shade(thread[0])})
        values, line = new, line + 2
        numbers(axes, values, line, {a.index[0] for a in step if a.writes})
    frame(axes, values.size, line + 1)
    axes.set_xticks(np.arange(values.size) + 0.5, range(values.size))
    axes.set_yticks(np.arange(0, line + 1, 2) + 0.5,
                    ["start", *(f"round {n}" for n in range(1, len(steps) + 1))])
    axes.set_xlabel(f"entry of {name}, in shared memory")
    axes.set_ylabel("time goes down, a wait between two rounds")


def numbers(axes, values, line, fresh=None):
    """A line of cells with numbers in them; those in `fresh` have just been written."""
    for n, value in enumerate(values):
        new = fresh is None or n in fresh
        axes.add_patch(rectangle(n, line, COLORS[0] if new else "#dddddd"))
        axes.text(n + 0.5, line + 0.5, f"{value:g}", ha="center", va="center",
                  color="white" if new else "#555555", fontsize=13)


def rectangle(x, y, color):
    from matplotlib.patches import Rectangle
    return Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, facecolor=color, edgecolor=BLACK,
                     linewidth=0.6)


def shade(thread):
    """The color of a thread of a warp: from dark to light, in order."""
    import matplotlib
    return matplotlib.colormaps["cividis"](thread % WARP / (WARP - 1))


def frame(axes, width, height):
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_yticks(np.arange(height) + 0.5, range(height))
