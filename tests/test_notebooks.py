"""The notebooks run, and keep what they promise: form, links, equations, words in Chinese.

A rule is a function (path, notebook) that yields what is wrong, a line each.
"""

import json
import re
import subprocess
import symtable
import sys
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import glossary
from nanollm.exercises.catalog import all_of_them
from run_notebooks import FOLDER, STATED, files, run, stated, wrong_outputs, wrong_time

NOTEBOOKS = files()
CHINESE = "\u4e00-\u9fff"
MACHINE = re.compile(r"(?<![\w.])/(?:work|home|root|tmp|Users)/|\b[A-Z]:\\")
EQUATIONS = (FOLDER / "equations.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r'^\| <a id="([\w-]+)"></a>.*\| (?:\[(\w+)\]\(\2\.ipynb\)|part two) \|$',
                       EQUATIONS, re.M))        # id -> notebook, "" of part two
EXERCISES = {exercise.name: exercise.notebook for exercise in all_of_them()}
CHINESE_OF = [(english.lower(), chinese) for english, chinese, _ in glossary.split(
    glossary.PAGE.read_text(encoding="utf-8"))[1]]


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def linked(notebook):
    """The targets of all links of the text."""
    return re.findall(r"\]\(([^)\s]+)\)", "\n".join(prose(notebook)))


def sections(text, names):
    """{name: what stands behind **name**}, in the order of the text."""
    parts = re.split(rf"^\*\*({'|'.join(names)})\*\*", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def bullets(text):
    return re.findall(r"^(?:[-*]|\d+\.) ", text, re.M)


# The rules


def outputs(path, notebook):
    """Executed once, from the top; no errors; nothing that belongs to one machine."""
    counts = [cell.execution_count for cell in notebook.cells
              if cell.cell_type == "code" and cell.source.strip()]
    if counts != list(range(1, len(counts) + 1)):
        yield f"not executed in order: {counts}"
    yield from wrong_outputs(notebook)
    for n, cell in enumerate(notebook.cells):
        shown = [output.get("text", "") + json.dumps({
            kind: data for kind, data in output.get("data", {}).items() if kind[:5] == "text/"})
            for output in cell.get("outputs", [])]
        if found := MACHINE.search("\n".join(shown)):
            yield f"cell {n} shows a path of this machine: {found[0]}"


def size(path, notebook):
    if path.stat().st_size >= 700_000:
        yield f"{path.stat().st_size:,} bytes, expected less than 700,000"


def opening(path, notebook):
    """# N Title, a summary in Chinese, Goals, Before this, Time; then the imports and the style."""
    first = prose(notebook)[0]
    title = first.partition("\n")[0]
    if not title.startswith(f"# {int(path.stem[:2])} "):
        yield f"the title is {title!r}, expected # {int(path.stem[:2])} and words"
    names = ["Goals", "Before this", "Time"]
    parts = sections(first, names)
    if list(parts) != names:
        yield f"the first cell has {list(parts)}, expected {names}"
        return
    if len(re.findall(f"[{CHINESE}]", first.partition("**Goals**")[0])) < 30:
        yield "no summary in Chinese between the title and the goals"
    if not 3 <= len(bullets(parts["Goals"])) <= 5:
        yield f"{len(bullets(parts['Goals']))} goals, expected 3 to 5"
    minutes = re.match(r" (\d+) minutes; ", parts["Time"])
    if not minutes or not 20 <= int(minutes[1]) <= 45 or not STATED.search(parts["Time"]):
        yield "expected **Time** 20 to 45 minutes; computing about N s"
    elif stated(notebook) > 180:
        yield f"computes {stated(notebook)} s, expected at most 180"
    code = next((cell.source for cell in notebook.cells if cell.cell_type == "code"), "")
    for line in "import numpy as np", "figures.use_style()":
        if line not in code.splitlines():
            yield f"the first code cell has no line {line}"


def closing(path, notebook):
    """Files explained, Questions, Exercises."""
    names = ["Files explained", "Questions", "Exercises"]
    parts = sections(notebook.cells[-1].source, names)
    if list(parts) != names:
        yield f"the last cell has {list(parts)}, expected {names}"
        return
    if "](../" not in parts["Files explained"]:
        yield "Files explained has no link"
    if not 3 <= len(bullets(parts["Questions"])) <= 6:
        yield f"{len(bullets(parts['Questions']))} questions, expected 3 to 6"
    started = re.findall(r"exercise start (\w+)", parts["Exercises"])
    if not started:
        yield "Exercises starts none"
    yield from (f"no exercise {name}" for name in started if name not in EXERCISES)
    if path.stem in EXERCISES.values():
        yield from (f"starts {name}, an exercise of {EXERCISES[name]}" for name in started
                    if EXERCISES.get(name, path.stem) != path.stem)
    named = list(dict.fromkeys(re.findall(r"\w+", parts["Exercises"])))
    own = [name for name, home in EXERCISES.items() if home == path.stem]
    yield from (f"does not name its exercise {name}" for name in own if name not in named)
    listed = [name for name in own if name in named and not name.startswith("museum_")]
    if listed != (met := [name for name in named if name in listed]):
        yield f"`exercise list` has {', '.join(listed)}, the notebook {', '.join(met)}"


def links(path, notebook):
    """Every file there is, every row of the table of equations."""
    for target in linked(notebook):
        file, _, row = target.partition("#")
        if file == "equations.md" and row and row not in ROWS:
            yield f"no row {row} in equations.md"
        elif "://" not in target and file and not (FOLDER / file).exists():
            yield f"no file {file}"


def equations(path, notebook):
    """Every row of part one that names this notebook is met in it."""
    met = linked(notebook)
    yield from (f"does not meet {row}" for row, name in ROWS.items()
                if name == path.stem and f"equations.md#{row}" not in met)


def terms(path, notebook):
    """Each term (中文) stands in the glossary, with the same Chinese."""
    text = " ".join(" ".join(prose(notebook)).split())
    for before, chinese in re.findall(rf"([^()]*[A-Za-z])[*_`]* \(([{CHINESE}][^()]*)\)", text):
        before = before.lower()
        if not any(chinese == known and re.search(rf"\b{re.escape(english)}(?:s|es)?$", before)
                   for english, known in CHINESE_OF):
            yield f"not in glossary.md: {' '.join(before.split()[-3:])} ({chinese})"


def globals_of(function):
    """The names of a function's table, or of one inside it, that are looked up in the notebook."""
    inner = [name for child in function.get_children() for name in globals_of(child)]
    return inner + [s.get_name() for s in function.get_symbols() if s.is_global()]


def sliders(path, notebook):
    """A slider is moved when all cells have run: no later cell sets what its picture needs."""
    cells = {n: cell.source for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"}
    tables = {n: symtable.symtable(source, path.name, "exec") for n, source in cells.items()}
    functions = {f.get_name(): f for table in tables.values() for f in table.get_children()}
    for n, source in cells.items():
        for draw in re.findall(r"figures\.slider\((\w+)", source):
            needed, more = set(), {draw}
            while more:
                needed |= more
                more = {name for f in more if f in functions
                        for name in globals_of(functions[f])} - needed
            for later in cells:
                again = {s.get_name() for s in tables[later].get_symbols() if s.is_assigned()}
                yield from (f"the slider of {draw} needs {name}, which cell {later} sets again"
                            for name in sorted(needed & again) if later > n)


RULES = outputs, size, opening, closing, links, equations, terms, sliders


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_notebook_keeps_the_rule(rule, path):
    assert list(rule(path, nbformat.read(path, as_version=4))) == []


def test_the_glossary_is_in_order_in_both_directions():
    page = glossary.PAGE.read_text(encoding="utf-8")
    assert page == glossary.whole(page), "run python tests/glossary.py"
    english = [term.lower() for term, _, _ in glossary.split(page)[1]]
    assert len(set(english)) == len(english)


def test_every_row_of_part_one_names_a_notebook_and_every_id_is_there_once():
    ids = re.findall(r'<a id="([\w-]+)"></a>', EQUATIONS)
    assert len(set(ids)) == len(ids) and sorted(ids) == sorted(ROWS)
    assert {name for name in ROWS.values() if name} <= {path.stem for path in NOTEBOOKS}


def sections_of(text):
    """{(document, section)} of a text like "Doc 0 §3.2, §5.2 to §5.4; Doc 1 §5"."""
    found = set()
    for document, part in re.findall(r"Doc (\d)((?:(?!Doc).)*)", text):
        for above, first, last in re.findall(r"§((?:\d+\.)*)(\d+)(?: to §\1(\d+))?", part):
            found |= {(document, f"{above}{n}") for n in range(int(first), int(last or first) + 1)}
    return found


def test_the_map_in_the_readme_has_every_notebook_with_all_its_sections():
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| \d+ \| .*\(notebooks/(\w+)\.ipynb\) \| (.*)\|$", readme, re.M))
    assert sorted(shown) == [path.stem for path in NOTEBOOKS]
    for id, place, name in re.findall(
            r'^\| <a id="([\w-]+)"></a>.*?\| (.*?Doc.*?) \|.*\[(\w+)\]\(\3\.ipynb\) \|$',
            EQUATIONS, re.M):
        missing = [(document, section) for document, section in sections_of(place)
                   if not any(document == d and f"{section}.".startswith(f"{s}.")
                              for d, s in sections_of(shown[name]))]
        assert not missing, f"{id} in {name}"


# They run


@pytest.fixture(scope="module")
def runs(request):
    """{path: the coming result} of the notebooks that are to be tested, two at a time."""
    chosen = [item.callspec.params["path"] for item in request.session.items
              if "runs" in getattr(item, "fixturenames", ())]
    with ThreadPoolExecutor(2) as pool:
        yield {path: pool.submit(subprocess.run, [
            sys.executable, FOLDER.parent / "tests/run_notebooks.py", "--quick", path.stem],
            capture_output=True, text=True) for path in chosen}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs_from_the_top(path, runs):
    done = runs[path].result()
    assert done.returncode == 0, done.stdout + done.stderr


# The rules can fail

FIRST = """# 3 A title
本章说明如何把一个记号变成一行数字，并说明这些数字是怎样学到的，以及位置如何加入其中。

**Goals**
- one
- two
- three

**Before this** nothing

**Time** 20 minutes; computing about 2 s"""
LAST = """**Files explained** [embedding](../nanollm/ops/embedding.py)

**Questions**
1. Why?
2. How?
3. Who?

**Exercises** `python -m nanollm exercise start embedding`, then positions, museum_scatter."""


def good(folder):
    """A path and a notebook that keep every rule but `equations`."""
    imports = new_code_cell("import numpy as np\nfigures.use_style()", execution_count=1)
    notebook = new_notebook(cells=[new_markdown_cell(FIRST), imports, new_markdown_cell(LAST)])
    path = folder / "03_embeddings.ipynb"
    nbformat.write(notebook, path)
    return path, notebook


def test_a_good_notebook_keeps_the_rules(tmp_path):
    path, notebook = good(tmp_path)
    assert [line for rule in RULES if rule != equations for line in rule(path, notebook)] == []


@pytest.mark.parametrize("rule, old, new, says", [
    (opening, "# 3", "# 4", "the title"),
    (opening, "本章说明如何把一个记号变成一行数字", "In this chapter", "in Chinese"),
    (opening, "- two\n- three", "", "1 goals"),
    (opening, "**Before this**", "Before", "expected .*Before this"),
    (opening, "20 minutes", "90 minutes", "Time"),
    (opening, "computing about 2 s", "", "Time"),
    (opening, "about 2 s", "about 9 min", "540 s"),
    (opening, "figures.use_style()", "", "use_style"),
    (closing, "**Questions**", "Questions", "Questions"),
    (closing, "3. Who?", "", "2 questions"),
    (closing, "](../nanollm/ops/embedding.py)", "]", "no link"),
    (closing, "exercise start embedding", "", "starts none"),
    (closing, "start embedding", "start embeding", "no exercise embeding"),
    (closing, "start embedding", "start gelu", "starts gelu, an exercise of 11_transformer"),
    (closing, "start embedding`, then positions", "start positions`, then embedding", "list"),
    (closing, "museum_scatter", "more", "does not name its exercise museum_scatter"),
    (links, "ops/embedding.py", "ops/embeding.py", "no file"),
    (links, "nothing", "[Doc 9](equations.md#d9-none)", "no row d9-none"),
    (terms, "nothing", "a language model (语言模形)", "a language model \\(语言模形"),
    (terms, "nothing", "**langauge models** (语言模型)", "langauge models"),
    (equations, "nothing", "[Doc 3](equations.md#d3-embedding)", "does not meet d4-positions")])
def test_a_rule_is_broken_by(rule, old, new, says, tmp_path):
    path, notebook = good(tmp_path)
    for cell in notebook.cells:
        cell.source = cell.source.replace(old, new)
    assert re.search(says, "\n".join(rule(path, notebook)))


@pytest.mark.parametrize("output, says", [
    (new_output("error", ename="ValueError", evalue="bad"), "ValueError: bad"),
    (new_output("stream", name="stderr", text="a bar"), "stderr: a bar"),
    (new_output("stream", text="saved in /home/me/runs"), "/home/"),
    (new_output("display_data", {"text/html": "/work/x"}), "/work/")])
def test_an_output_can_be_wrong(output, says, tmp_path):
    path, notebook = good(tmp_path)
    notebook.cells[1].outputs = [output]
    assert re.search(says, "\n".join(outputs(path, notebook)))


def test_a_notebook_can_be_unexecuted_too_large_and_too_slow(tmp_path):
    path, notebook = good(tmp_path)
    notebook.cells[1].execution_count = 2
    assert "not executed in order" in next(outputs(path, notebook))
    path.write_text("." * 700_000)
    assert "700,000 bytes" in next(size(path, notebook))
    assert not list(wrong_time(notebook, 3.9)) and "4 s" in next(wrong_time(notebook, 4.1))


def test_a_slider_can_lose_what_its_picture_needs(tmp_path):
    path, notebook = good(tmp_path)
    notebook.cells[2:2] = map(new_code_cell, (
        "x = [1]\ndef f(): return [x for _ in x]\ndef draw(t=1, y=2): return f(), t, y\n"
        "figures.slider(draw, t=(0, 2, 1))", "t = y = 3", "for x in []: pass"))
    assert list(sliders(path, notebook)) == ["the slider of draw needs x, which cell 4 sets again"]


BAD = ["1 / 0",
       "import numpy as np\nnp.zeros(1) / np.zeros(1);",
       "import warnings\nwarnings.warn('of ours')",
       "warnings.warn_explicit('theirs', UserWarning, 'site-packages/x.py', 1)",
       "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.xlabel('x');",
       "figure, axes = plt.subplots(1, 2, sharey=True)\naxes[0].set(xlabel='x', ylabel='y')\n"
       "axes[1].set_xlabel('x')\nfigure.colorbar(plt.cm.ScalarMappable(), ax=axes[1])\nplt.show()",
       "plt.imshow([[1]])\nplt.axis('off')",
       "plt.figure().add_subplot(projection='3d').set(xlabel='x', ylabel='y')\nplt.show()",
       "from urllib.request import urlopen\nurlopen('https://example.org')"]


def test_a_run_finds_what_is_wrong_and_leaves_the_text_alone(tmp_path):
    path = tmp_path / "bad.ipynb"
    cells = [new_markdown_cell(FIRST), *map(new_code_cell, BAD)]
    nbformat.write(new_notebook(cells=cells), path)
    notebook, seconds = run(path)
    lines = list(wrong_outputs(notebook))
    for n, says in ((1, "ZeroDivisionError"), (2, "RuntimeWarning"), (3, "of ours"),
                    (5, "axes 0 of a figure have no ylabel"), (8, "no zlabel"), (9, "URLError")):
        assert any(line.startswith(f"cell {n} ") and says in line for line in lines), lines
    assert not any(line.startswith(f"cell {n} ") for line in lines for n in (4, 6, 7)), lines
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in cells]
    assert seconds > 0
