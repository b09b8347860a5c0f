"""What README.md and the Makefile promise is there, and runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nanollm.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^.*python -m nanollm (\w+[^#\n]*)", (ROOT / "Makefile").read_text(), re.M)


def test_pictures_and_files_named_in_the_readme_exist():
    named = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README) + re.findall(
        r"`((?:nanollm|kernels|tests|data)/[\w./-]+\.\w+)`", README)
    assert named and [path for path in named if not (ROOT / path).exists()] == []


def test_the_softmax_shown_in_the_readme_is_the_one_on_its_page():
    page = (ROOT / "nanollm/ops/softmax.py").read_text(encoding="utf-8")
    shown = next(block for block in BLOCKS if block.startswith("def softmax(x)"))
    lines = [line for line in shown.splitlines() if line.strip()]
    assert [line for line in lines if line not in page.splitlines()] == []


@pytest.mark.parametrize("block", [b for b in BLOCKS if not b.startswith("def softmax(x)")])
def test_the_examples_in_the_readme_run(block):
    done = subprocess.run([sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout and not done.stderr.strip().startswith("Traceback")


def test_notebooks_open_where_their_links_out_of_their_folder_work():
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    lab = [re.findall(r"-m jupyter lab (.*)", text) for text in (makefile, README)]
    ours, theirs = (words.split() for (words,) in lab)
    assert ours == theirs and "--LabApp.default_url=/lab/tree/notebooks" in ours
    assert all(word.startswith("--") for word in ours)      # a folder would become the root


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_in_the_makefile_are_known(command, capsys):
    words = [word for word in command.split() if not word.startswith("--")]
    options = [word for word in command.split() if word.startswith("--")]
    name = words[:2] if words[0] == "bench" else words[:1]      # it has commands of its own
    with pytest.raises(SystemExit):
        main([*name, "--help"])
    known = capsys.readouterr().out
    assert options and [option for option in options if option not in known] == []
