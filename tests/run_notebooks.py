"""Run the notebooks of the course from the top, and say what is wrong with them.

    python tests/run_notebooks.py               all of them, one after the other
    python tests/run_notebooks.py 04_softmax    one of them
    python tests/run_notebooks.py --save        write what they printed and drew into the files
    python tests/run_notebooks.py --quick       small sizes (NANOLLM_QUICK), as the tests do

A run is wrong where a cell fails; where it writes to stderr, other packages' warnings excepted;
where a figure has an axis without a label; and, in full, where it computes more than twice as long
as its first cell says. A notebook that is wrong is not saved.
"""

import argparse
import asyncio
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
STATED = re.compile(r"computing about (\d+) (s|min)\b")
OTHERS = re.compile(r"^\S*site-packages\S*:\d+: \w+Warning: .*\n(  .*\n?)?", re.M)
NOWHERE = "http://127.0.0.1:9"                  # a proxy that answers nobody: nothing is downloaded

# Runs in the kernel before the first cell: every figure that is drawn passes print_figure.
WATCH = r"""
def watch():
    import sys
    from matplotlib.backend_bases import FigureCanvasBase
    draw = FigureCanvasBase.print_figure

    def missing(axes, axis):
        if getattr(axes, f"get_{axis}label")() or not len(getattr(axes, f"get_{axis}ticks")()):
            return False
        together = axis != "z" and getattr(axes, f"get_shared_{axis}_axes")().get_siblings(axes)
        return not together or not (any(getattr(a, f"get_{axis}label")() for a in together)
                                    or getattr(axes.figure, f"get_sup{axis}label")())

    def looked_at(canvas, *args, **settings):
        for n, axes in enumerate(canvas.figure.axes):
            solid = hasattr(axes, "get_zlabel")
            on = axes._axis3don if solid else axes.axison and axes.get_label() != "<colorbar>"
            if on and axes.get_visible():
                for axis in "xyz" if solid else "xy":
                    if missing(axes, axis):
                        print(f"axes {n} of a figure have no {axis}label", file=sys.stderr)
        return draw(canvas, *args, **settings)

    FigureCanvasBase.print_figure = looked_at
watch()
"""


def files():
    """The notebooks, in order."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


def run(path, *, quick=False):
    """Run the notebook from the top in a new kernel; returns it as it is then, and the seconds."""
    notebook = nbformat.read(path, as_version=4)
    manager = AsyncKernelManager(kernel_name="python3")
    manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f",
                                "{connection_file}", "--log-level=ERROR"]
    client = NotebookClient(notebook, km=manager, timeout=600, allow_errors=True,
                            record_timing=False, coalesce_streams=True,
                            resources={"metadata": {"path": path.parent}})
    left_out = "NANOLLM_QUICK", "MPLBACKEND"
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= {"NANOLLM_STATIC": "1", "NANOLLM_QUIET": "1"}
    environment |= {"http_proxy": NOWHERE, "https_proxy": NOWHERE}
    environment |= {"NANOLLM_QUICK": "1"} if quick else {}

    async def execute():
        async with client.async_setup_kernel(env=environment, cleanup_kc=True):
            notebook.cells.insert(0, nbformat.v4.new_code_cell(WATCH))
            await client.async_execute_cell(notebook.cells[0], 0, store_history=False)
            notebook.cells.pop(0)
            begin, count = time.perf_counter(), 0
            for n, cell in enumerate(notebook.cells):
                count += cell.cell_type == "code" and bool(cell.source.strip())
                await client.async_execute_cell(cell, n, execution_count=count)
            return time.perf_counter() - begin

    seconds = asyncio.run(execute())
    notebook.metadata.pop("widgets", None)
    return notebook, seconds


def wrong_outputs(notebook):
    """What is wrong with the outputs, a line each: errors, and what went to stderr."""
    for n, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                line = cell.source.strip().partition("\n")[0]
                yield f"cell {n} ({line}): {output.ename}: {output.evalue}"
            elif output.output_type == "stream" and output.name == "stderr":
                ours = output.text if "RuntimeWarning" in output.text else OTHERS.sub(
                    "", output.text)
                if ours.strip():
                    yield f"cell {n} writes to stderr: {ours.strip()}"


def stated(notebook):
    """The seconds that the first cell says the notebook computes, or None."""
    found = STATED.search(notebook.cells[0].source) if notebook.cells else None
    return found and int(found[1]) * {"s": 1, "min": 60}[found[2]]


def wrong_time(notebook, seconds):
    """A line where the notebook took more than twice as long as it says."""
    if seconds > 2 * (stated(notebook) or 0):
        yield f"it computed {seconds:.0f} s, but says about {stated(notebook)} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="like 04_softmax; without: all")
    parser.add_argument("--save", action="store_true", help="write the outputs into the files")
    parser.add_argument("--quick", action="store_true", help="small sizes, as the tests do")
    options = parser.parse_args()
    if options.save and options.quick:
        parser.error("--save writes full runs: leave out --quick")
    paths = [FOLDER / f"{Path(name).stem}.ipynb" for name in options.names] or files()
    for path in paths:
        if not path.is_file():
            parser.error(f"no notebook {path.stem}; there are "
                         f"{', '.join(path.stem for path in files())}")
    bad = False
    for path in paths:
        notebook, seconds = run(path, quick=options.quick)
        wrong = [*wrong_outputs(notebook), *([] if options.quick else
                                             wrong_time(notebook, seconds))]
        bad = bad or bool(wrong)
        print(f"{path.stem}: {seconds:.0f} s", *wrong, sep="\n  ", flush=True)
        if options.save and not wrong:
            nbformat.write(notebook, path)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
