"""One style for every picture: curves, matrices and sliders that read well from the last row.

    figures.use_style()                         once, at the top of a notebook
    with figures.picture(path) as axes:         a picture that is saved, without a notebook
    figures.matrix(axes, p, rows, columns)      numbers as shades: attention, confusion, gradients
    figures.strips(axes, {"words": words})      a text cut into tokens, as boxes in a row
    figures.labels(axes, points, names)         names beside points, clear of each other
    figures.slider(draw, x=(0.0, 2.0, 0.1))     a picture that changes with x, where widgets run

Colors are Okabe and Ito's, which people who do not tell red from green can tell apart; COLORS are
used in their order. Matplotlib is imported by the functions only.
"""

import inspect
import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nanollm.errors import InputError

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, RED, YELLOW, BLACK = "#56B4E9", "#D55E00", "#F0E442", "#000000"
COLORS = (BLUE, ORANGE, GREEN, PINK, SKY, RED, BLACK)
SHADES, SIGNED = "cividis", "PuOr_r"    # for numbers from 0 up; for numbers of both signs
CHINESE = ("Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "SimHei",
           "WenQuanYi Micro Hei", "WenQuanYi Zen Hei")      # fonts; DejaVu Sans lacks the signs


def style():
    """The settings (rcParams) of all pictures."""
    from cycler import cycler
    from matplotlib.font_manager import get_font_names
    known = get_font_names()
    return {
        "font.family": ["DejaVu Sans", *(name for name in CHINESE if name in known)],
        "figure.figsize": (8, 4.5), "figure.dpi": 96, "figure.constrained_layout.use": True,
        "savefig.dpi": 120, "font.size": 13, "axes.titlesize": 14, "axes.labelsize": 13,
        "xtick.labelsize": 12, "ytick.labelsize": 12, "legend.fontsize": 12,
        "legend.frameon": False, "lines.linewidth": 2.2, "axes.grid": True, "grid.alpha": 0.3,
        "axes.axisbelow": True,
        "axes.spines.top": False, "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=COLORS), "image.cmap": SHADES}


def use_style():
    """Set the style for all pictures from here on: the first line of a notebook."""
    import matplotlib
    matplotlib.rcParams.update(style())


@contextmanager
def picture(path, rows=1, columns=1, **settings):
    """`with picture(path) as axes:` draw, and at the end of the block it is saved.

    rows, columns, settings   as plt.subplots has them; no window opens

    Raises InputError where the picture cannot be saved.
    """
    import matplotlib
    from matplotlib.figure import Figure
    with matplotlib.rc_context(style()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")       # without a font it is a box
        figure = Figure(**settings)
        yield figure.subplots(rows, columns)
        try:
            figure.savefig(path, format=Path(path).suffix[1:] or "png")     # no name but `path`
        except (OSError, ValueError) as error:      # ValueError: a kind of file unknown to it
            raise InputError(f"cannot save the picture as {path} ({error}): choose another name, "
                             "like picture.png") from None


def matrix(axes, x, rows=None, columns=None, *, signed=False, numbers=None, most=None, bar=True):
    """Draw the matrix x (R, C) as shades, and its numbers where there is room for them.

    rows, columns   what stands beside each row and below each column: tokens, classes; None: counts
    signed          numbers of both signs: zero is white, else the scale starts at 0
    numbers         how to write an entry, like "{:.2f}"; None leaves them out
    most            the end of the scale; None: the largest entry
    bar             the scale beside the matrix; words: with these as its label

    Give the axes their labels yourself: only you know what they are.
    """
    x = np.asarray(x)
    most = most or np.abs(x).max(initial=0) or 1
    image = axes.imshow(x, cmap=SIGNED if signed else SHADES, vmin=-most if signed else 0,
                        vmax=most, aspect="auto" if x.shape[0] != x.shape[1] else "equal")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    for names, count, set_ticks, turn in ((rows, x.shape[0], axes.set_yticks, 0),
                                          (columns, x.shape[1], axes.set_xticks, 90)):
        if names is not None:
            names = [visible(name) for name in names]
            long = max(map(len, names), default=0) * len(names) > 24
            set_ticks(range(len(names)), names, rotation=turn if long else 0)
        elif count <= 12:
            set_ticks(range(count))
    if numbers is not None:
        # cividis ends in yellow, the scale of two signs in dark colors
        dark = np.abs(x) > 0.65 * most if signed else x < most / 2
        for r, c in np.ndindex(x.shape):
            text = numbers.format(x[r, c])
            axes.text(c, r, text if text.strip("+-0.") else text.lstrip("+-"), ha="center",
                      va="center", color="white" if dark[r, c] else "black", fontsize=11)
    if bar:
        label = bar if isinstance(bar, str) else ""
        axes.figure.colorbar(image, ax=axes, shrink=0.9, label=label).outline.set_visible(False)
    return image


def strips(axes, rows):
    """Draw one text cut in different ways, a row for each: {name: [pieces of the text]}."""
    from matplotlib.patches import Rectangle
    rows = {f"{name}: {len(pieces)}": list(map(visible, pieces)) for name, pieces in rows.items()}
    gap, most = 0.3, max(sum(map(len, pieces)) + 0.3 * len(pieces) for pieces in rows.values())
    axes.set(xlim=(0, most), ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)))
    axes.figure.draw_without_rendering()            # now the axes have their width
    size = min(15, axes.get_window_extent().width * 72 / axes.figure.dpi / most / 0.62)
    for y, pieces in enumerate(rows.values()):
        x = 0
        for i, piece in enumerate(pieces):
            axes.add_patch(Rectangle((x, y - 0.36), len(piece) + 0.1, 0.72, linewidth=0,
                                     facecolor=COLORS[i % 3], alpha=0.25))
            axes.text(x + len(piece) / 2, y, piece, family="monospace", fontsize=size, ha="center",
                      va="center")
            x += len(piece) + gap
    axes.set_yticklabels(rows)
    axes.grid(False)
    axes.tick_params(left=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])


def labels(axes, points, names, colors=None, size=12):
    """Write each name beside its point (N, 2), on a side where nothing stands yet.

    Call it last: it goes by where the points are in the picture as it is then.
    """
    axes.figure.draw_without_rendering()
    at = axes.transData.transform(points) * 72 / axes.figure.dpi        # (N, 2)  in font points
    taken, height = [(x - 3, y - 3, x + 3, y + 3) for x, y in at], 1.1 * size
    for i, (name, (x, y)) in enumerate(zip(map(visible, names), at)):
        width = 0.6 * size * len(name)
        for dx, dy in ((5, 0), (-5 - width, 0), (-width / 2, 12), (-width / 2, -12), (5, 8)):
            left, low = x + dx, y + dy - height / 2
            box = left, low, left + width, low + height
            if not any(box[0] < right and other < box[2] and box[1] < top and bottom < box[3]
                       for other, bottom, right, top in taken):
                break
        taken.append(box)
        axes.annotate(name, points[i], (dx, dy), textcoords="offset points", va="center",
                      fontsize=size, color=colors[i] if colors else BLACK)


def visible(token):
    """A token as it can be read beside an axis: spaces and line ends are shown."""
    return str(token).replace(" ", "␣").replace("\n", "⏎").replace("$", r"\$")


def slider(draw, **ranges):
    """Show draw(**values), with a slider for each value where a notebook can have one.

    ranges    name=(least, most, step) or name=[choices]; the first picture has draw's own defaults,
              or the middle of the range

    In JupyterLab the picture follows the sliders (ipywidgets). Elsewhere, and where NANOLLM_STATIC
    is set, it is drawn once.
    """
    defaults = {name: p.default for name, p in inspect.signature(draw).parameters.items()
                if p.default is not p.empty}
    start = {name: defaults.get(name, r[len(r) // 2] if isinstance(r, list) else (r[0] + r[1]) / 2)
             for name, r in ranges.items()}
    if not live():
        return draw(**start)
    import ipywidgets
    controls = {name: control(name, r, start[name]) for name, r in ranges.items()}
    others = {name: ipywidgets.fixed(value) for name, value in defaults.items()
              if name not in ranges}
    ipywidgets.interact(draw, **controls, **others)


def control(name, values, start):
    """The widget of one value of `slider`."""
    import ipywidgets
    shared = {"value": start, "description": name, "style": {"description_width": "initial"}}
    if isinstance(values, list):
        return ipywidgets.SelectionSlider(options=values, **shared)
    least, most, step = values
    kind = ipywidgets.IntSlider if isinstance(step, int) else ipywidgets.FloatSlider
    return kind(min=least, max=most, step=step, continuous_update=False, **shared)


def live():
    """Is this a notebook that can show widgets?"""
    if os.environ.get("NANOLLM_STATIC") or "IPython" not in sys.modules:
        return False
    from IPython import get_ipython
    if getattr(get_ipython(), "kernel", None) is None:
        return False
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        return False
    return True
