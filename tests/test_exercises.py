"""The exercises: solved pages pass, empty ones are told so, mistakes by their kind."""

import dataclasses
import functools
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata

import pytest

import mistakes
from mistakes.__main__ import in_a_process
from nanollm.checkout import ROOT
from nanollm.cli import main
from nanollm.cli.exercise import wrapped
from nanollm.exercises import catalog, isolated, stubs
from nanollm.exercises.examine import examine

ROWS = [(group, n, *row) for group in mistakes.GROUPS
        for n, row in enumerate(mistakes.rows(group))]
RIGHT = [(n, *row) for n, row in enumerate(mistakes.rows("right"))]
outcomes = functools.cache(in_a_process)


@pytest.mark.parametrize("name", catalog.names())
def test_the_solved_page_passes(name):
    assert outcomes(catalog.load(name).group)["solved"][name] is None


@pytest.mark.parametrize("name", catalog.names())
def test_what_start_writes_is_not_solved(name):
    exercise = catalog.load(name)
    state, message = outcomes(exercise.group)["stubs"][name]
    if exercise.blanks:
        assert message.startswith("not written yet") and state == "not written yet"
    else:
        assert state == "wrong" and message


@pytest.mark.parametrize("group, n, name, function, old, new, regex", ROWS, ids=[
    f"{name}.{function}: {old} becomes {new}" for _, _, name, function, old, new, _ in ROWS])
def test_a_planted_mistake_is_told_by_its_kind(group, n, name, function, old, new, regex):
    outcome = outcomes(group)["mistakes"][n]
    assert outcome is not None, "no check sees it"
    state, message = outcome
    assert state == "wrong"
    assert re.search(regex, message, re.DOTALL), message


@pytest.mark.parametrize("n, name, function, old, new", RIGHT, ids=[
    f"{name}.{function}: {old} becomes {new}" for _, name, function, old, new in RIGHT])
def test_another_right_answer_passes(n, name, function, old, new):
    assert outcomes(catalog.load(name).group)["right"][n] is None


@pytest.mark.parametrize("name", catalog.names())
def test_every_exercise_has_five_planted_mistakes(name):
    assert sum(row[2] == name for row in ROWS) >= 5


@pytest.mark.parametrize("name", catalog.names())
def test_every_exercise_has_three_hints_in_two_languages(name):
    hints = catalog.load(name).hints
    assert len(hints) == 3
    for english, chinese in hints:
        assert english and not re.search("[\u4e00-\u9fff]", english)
        assert re.search("[\u4e00-\u9fff]", chinese)


@pytest.mark.parametrize("name", [n for n in catalog.names() if catalog.load(n).group == "ops"])
def test_a_stub_says_which_functions_turn_bad_input_away(name):
    text = stubs.make(catalog.load(name))
    task = text[text.index("# Exercise"):text.index("#     python -m")].replace("\n# ", " ")
    given = set(re.findall(r"\bcheck_\w+", text))
    for imported in re.findall(r"from nanollm.ops.checks import (.*)", text):
        given |= {name for name in imported.split(", ") if name + "(" not in text}
    told = re.search(r"((?:\w+, )*(?:\w+ and )?\w+) turns? bad input away.*no check asks", task)
    assert set(re.findall(r"\w+", told.group(1) if told else "")) - {"and"} == given


@pytest.mark.parametrize("name", ["softmax", "dropout", "rnn"])
def test_no_check_asks_for_turning_bad_input_away(name, tmp_path):
    exercise, path = catalog.load(name), tmp_path / f"{name}.py"
    text = re.sub(r"\n    check_\w+\(.*\)(?=\n)", "\n    pass", stubs.page(exercise))
    assert text != stubs.page(exercise)
    path.write_text(text, "utf-8")
    assert {v.state for v in examine(exercise, path)} == {"passed"}


# ---- bad input: one clear message each

START = stubs.make(catalog.load("dropout"))
SOLVED = stubs.page(catalog.load("dropout"))
LINE = "return x * keep / (1 - rate), (keep, rate)"
MASK = "return rng.random(shape, np.float32) >= rate"

BAD = {
    "a syntax error":
        (LINE, "return (x * keep / (1 - rate), (keep, rate)",
         r"dropout\.py:\d+: SyntaxError: '\(' was never closed\n +return \(x.*\n +\^"),
    "a wrong indent": (LINE, "  " + LINE, r"dropout\.py:\d+: IndentationError: unexpected indent"),
    "an import that fails":
        ("import numpy as np", "import numpy as np\nimport json.nothing",
         r"raises ModuleNotFoundError.*\n +dropout\.py:\d+:  import json\.nothing"),
    "an unknown name":
        (LINE, "return z", r"raises NameError: name 'z'.*\n.* in dropout:  return z"),
    "a changed signature":
        ("def dropout(x, keep, *, rate)", "def dropout(x, keep, rate)",
         r"the signature of dropout was changed .*\n +got +def dropout\(x, keep, rate\):"
         r"\n +expected +def dropout\(x, keep, \*, rate\):"),
    "a missing function":
        ("def dropout_backward", "def backward", "has no function dropout_backward"),
    "an answer imported in place of a function":
        ("def dropout_backward", "from nanollm.ops import dropout_backward\n\n\ndef backward",
         "imports dropout_backward from nanollm.ops: the library's own answer"),
    "an answer that is printed":
        (LINE, "print(x * keep / (1 - rate))", "dropout prints its answer and returns nothing"),
    "nothing returned": (LINE, LINE.replace("return", "y ="), "dropout returns nothing"),
    "y without saved": (LINE, "return x * keep / (1 - rate)", r"not return a pair \(y, saved\)"),
    "saved that is no tuple":
        (LINE, LINE.replace("(keep, rate)", "[keep, rate]"), "not return a pair.*a list of 2"),
    "a gradient that is no tuple":
        ("return dy * keep / (1 - rate), None", "return dy * keep / (1 - rate)",
         "dropout_backward returns ndarray, not a tuple"),
    "an input that is modified":
        (LINE, "x *= keep / (1 - rate)\n    return x, (keep, rate)",
         r"dropout changes its input x.*`x -= \.\.\.`"),
    "float64 for float32":
        (LINE, "y = np.zeros(x.shape)\n    y[:] = x * keep / (1 - rate)\n    "
         "return y, (keep, rate)", "wrong dtype.*float64.*float32"),
    "the library's own op":
        ("import numpy as np", "import numpy as np\nfrom nanollm.ops import dropout as theirs",
         r"imports dropout from nanollm\.ops: the library's own answer"),
    "the library's own kernel":
        (LINE, "import kernels.cpu\n    " + LINE, r"imports kernels\.cpu: the library's own"),
    "the library by another way":
        (LINE, 'return __import__("nanollm.ops").ops.dropout(x, keep, rate=rate)',
         r"dropout\.py:46 uses __import__.*write it yourself"),
    "the library by its list": (LINE, "import sys\n    return sys.modules['nanollm.ops']."
                                "dropout(x, keep, rate=rate)", r"dropout\.py:47 uses sys\.modules"),
    "the library by a text": (LINE, 'exec("import nanollm.ops as theirs", globals())',
                              r"dropout\.py:46 uses exec"),
    "the library by a third way":
        (LINE, "import importlib\n    " + LINE,
         "imports importlib: a way around the stub's imports"),
    "NumPy changed": ("import numpy as np", "import numpy as np\nnp.random.random = None",
                      r"changes np\.random\.random.*a name of your own"),
    "another library":
        ("import numpy as np", "import numpy as np\nimport torch", "imports torch.*with NumPy"),
    "exit": (LINE, "exit()", r"raises SystemExit.*leave exit\(\) out"),
    "a question": (LINE, "input()", "raises EOFError: input.. waits for a keyboard"),
    "endless recursion":
        (LINE, "return dropout(x, keep, rate=rate)", "calls itself without end"),
    "a random mask of one's own":
        (MASK, "check_rate(rate)\n    return np.random.random(shape) >= rate",
         "two generators of one seed give different masks"),
    "no text": ("Dropout", "\0", "is no Python text|null bytes"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_clear_message(what, tmp_path):
    old, new, regex = BAD[what]
    assert old in SOLVED
    path = tmp_path / "dropout.py"
    path.write_text(SOLVED.replace(old, new), "utf-8")
    wrong = [v for v in examine(catalog.load("dropout"), path) if v.state == "wrong"]
    assert re.search(regex, wrong[0].message, re.DOTALL), wrong[0].message
    assert len(wrong[0].message.splitlines()) <= 15
    for line in ("Traceback", "nanollm/exercises", "examine.py", "of_ops.py"):
        assert line not in wrong[0].message


@pytest.mark.parametrize("old, new, line", [
    (LINE, "return (x", "dropout.py:46: SyntaxError: '(' was never closed"),
    (SOLVED, "", "dropout.py is empty"),
    (SOLVED, "\n# later\n", "dropout.py has no function keep"),
    ("def dropout(x, keep, *, rate)", "def dropout(x, keep, rate)",
     "the signature of dropout was changed (dropout.py:44)"),
    ("import numpy as np", "import numpy as np\n1 / 0", "your code raises ZeroDivisionError"),
])
def test_what_is_wrong_with_the_whole_file_is_told_first_and_alone(old, new, line, folder, capsys):
    run("start", "dropout")
    (folder / "dropout.py").write_text(SOLVED.replace(old, new), "utf-8")
    capsys.readouterr()
    assert run("check") == 1
    heading, first, *more = capsys.readouterr().out.splitlines()
    assert heading == "exercises/dropout.py: none of the 8 checks can be reached"
    assert first.strip().startswith(line) and "not reached" not in "".join(more)
    assert run("check", "--all", "--json", "scores.json") == 1
    assert re.search(r"dropout +0 +8 +" + re.escape(line), capsys.readouterr().out)
    scores = json.loads((folder.parent / "scores.json").read_text("utf-8"))
    assert [c["state"] for c in scores["exercises"][0]["checks"]] == ["wrong"] + 8 * ["not reached"]
    out = plain_pytest(folder)
    assert line in out and "1 failed, 8 skipped" in out and "FAILED" in out


def plain_pytest(folder):
    """What `pytest exercises` prints."""
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                           "--color=no", str(folder)], capture_output=True, text=True,
                          encoding="utf-8",
                          env={**os.environ, "PYTHONPATH": str(ROOT)}).stdout


@pytest.mark.parametrize("name, function, old, new, what", [
    ("softmax", "softmax", "e = np.exp(x - x.max(axis=-1, keepdims=True))",
     "x -= x.max(axis=-1, keepdims=True); e = np.exp(x)", "softmax: its inputs stay as they are"),
    ("dropout", "dropout", "return x * keep /", "x *= keep\n    return x /",
     "dropout: its inputs stay as they are"),
    ("descent", "sgd_", "w -= lr * scale * dw", "dw *= lr * scale\n    w -= dw",
     "sgd_: what it writes into, and what not"),
    ("lstm_step", "lstm_step", "cell = f * c + i * g",
     "old = c.copy(); c *= f; cell = c + i * g; c = old", "what is given is not written into"),
    ("kv_cache", "attention_step_", "return y", "q *= 2\n    return y",
     "q, k and v stay as they are"),
    ("bpe", "learn", "words = joined", "words.clear(); words.update(joined)",
     "what comes in stays as it is"),
])
def test_an_input_that_is_modified_fails_one_check_alone(name, function, old, new, what, tmp_path):
    exercise, path = catalog.load(name), tmp_path / f"{name}.py"
    path.write_text(stubs.plant(stubs.page(exercise), function, old, new), "utf-8")
    assert [v.title for v in examine(exercise, path) if v.state == "wrong"] == [what]


def test_a_file_that_is_not_utf8_is_told(tmp_path):
    path = tmp_path / "dropout.py"
    path.write_bytes(b"# \xe9\n" + SOLVED.encode())
    assert "is not UTF-8" in next(examine(catalog.load("dropout"), path)).message


@pytest.mark.parametrize("line, regex", [
    ("while True:\n        x = x + 0", r"stopped after 2 s: an endless loop.*\n"
     r"  it was at dropout\.py:\d+ in dropout:  (while True:|x = x \+ 0)"),
    ("import os; os._exit(0)", r"Python ended in the middle of this check \(exit code 0\)"),
    ("import ctypes; ctypes.string_at(0)", r"Python ended in the middle of this check"),
    ("import sys; sys.exit(3)", "raises SystemExit"),
    (LINE, None),
], ids=["endless loop", "os._exit", "crash", "sys.exit", "right"])
def test_a_process_of_its_own_survives(line, regex, tmp_path):
    path = tmp_path / "dropout.py"
    path.write_text(SOLVED.replace(LINE, line), "utf-8")
    exercise = dataclasses.replace(catalog.load("dropout"), limit=2)
    report = isolated.check(exercise, path)
    assert len(report.verdicts) == len(exercise.checks)
    if regex is None:
        assert report.complete and report.first is None
    else:
        assert report.passed == 0 or "SystemExit" in regex
        assert re.search(regex, report.first.message), report.first.message


def test_an_endless_loop_outside_of_all_functions_is_told_of_the_file(tmp_path):
    path = tmp_path / "dropout.py"
    path.write_text(SOLVED + "\n\nwhile True:\n    pass\n", "utf-8")
    exercise = dataclasses.replace(catalog.load("dropout"), limit=2)
    report = isolated.check(exercise, path)
    assert report.first.title == "the file" and len(report.checks) == len(exercise.checks)
    assert re.search(r"endless loop.*\n  it was at dropout\.py:\d+:  ", report.first.message)


# ---- the command line

@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a student who has started nothing."""
    monkeypatch.setenv("NANOLLM_EXERCISES", str(tmp_path / "exercises"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "exercises"


def run(*words):
    return main(["exercise", *words])


def test_a_student_starts_checks_and_passes(folder, capsys):
    assert run("start", "dropout") == 0
    out = capsys.readouterr().out
    assert "wrote exercises/dropout.py: Dropout\n" in out and "exercise check dropout" in out
    assert (folder / "dropout.py").read_text("utf-8") == START
    assert run("check", "dropout") == 1
    out = capsys.readouterr().out
    assert out == ("exercises/dropout.py: not written yet: keep, dropout, dropout_backward\n")
    (folder / "dropout.py").write_text(SOLVED.replace(" / (1 - rate), None", ", None"), "utf-8")
    assert run("check") == 1
    out = capsys.readouterr().out
    assert out.startswith("exercises/dropout.py: 6 of 8 checks pass\n")
    assert "the division by 1 - rate is missing in the backward" in out
    run("list")
    assert re.search(r"dropout +Dropout +11_transformer +6 of 8 checks\n", capsys.readouterr().out)
    (folder / "dropout.py").write_text(SOLVED, "utf-8")
    run("list")
    assert "changed since (6 of 8 checks)" in capsys.readouterr().out
    assert run("check", "--all", "--json", "scores.json") == 0
    assert re.search(r"dropout +8 +8 +passed", capsys.readouterr().out)
    sheet = json.loads(open("scores.json").read())
    assert sheet["passed"] == sheet["of"] == 1
    assert sheet["exercises"][0]["exercise"] == "dropout"
    assert {c["state"] for c in sheet["exercises"][0]["checks"]} == {"passed"}
    run("list")
    assert re.search(r"dropout .* passed\n", capsys.readouterr().out)


def test_start_overwrites_nothing(folder, capsys):
    run("start", "dropout")
    (folder / "dropout.py").write_text("mine", "utf-8")
    assert run("start", "dropout") == 2
    assert "is left alone; --again" in capsys.readouterr().err
    assert run("start", "dropout", "--again") == run("start", "dropout", "--again") == 0
    assert (folder / "dropout.1.old").read_text("utf-8") == "mine"
    assert (folder / "dropout.2.old").read_text("utf-8") == START
    assert (folder / "dropout.py").read_text("utf-8") == START


@pytest.mark.parametrize("name", catalog.names())
def test_a_hint_in_lines_keeps_words_and_signs_together(name):
    for text in itertools.chain(*catalog.load(name).hints):
        lines = wrapped(text).split("\n")
        assert "".join("".join(lines).split()) == "".join(text.split())
        for line in lines:
            assert sum(not unicodedata.combining(sign) for sign in line) <= 88
            assert line[0] not in "，。；：、）" and not unicodedata.combining(line[0])


def test_hints_go_on_by_one_and_the_solution_is_behind_a_switch(folder, capsys):
    hints = catalog.load("dropout").hints
    for level in 1, 2, 3, 3:
        assert run("hint", "dropout") == 0
        out = capsys.readouterr().out
        assert f"hint {level} of 3" in out and hints[level - 1][0].split()[0] in out
    assert "the last one" in out
    run("hint", "dropout", "--language", "zh")
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == "dropout，提示 3/3"
    assert last.startswith("这是最后一条提示") and "--teacher" in last
    run("hint", "dropout", "--level", "1", "--language", "zh")
    assert hints[0][1][:8] in capsys.readouterr().out
    assert run("solution", "dropout") == 2
    streams = capsys.readouterr()
    assert "--teacher" in streams.err and not streams.out
    assert run("solution", "dropout", "--teacher") == 0
    assert SOLVED in capsys.readouterr().out


@pytest.mark.parametrize("words, message", [
    (["start", "sofmax"], "there is no exercise 'sofmax'; did you mean softmax"),
    (["start", "exercises/softmax.py"], "did you mean softmax"),
    (["check", "nothing"], "there is no exercise 'nothing'"),
    (["check", "softmax", "gelu"], "does not know 'gelu'"),
    (["check", "--json", "scores.json"], "no exercise is started"),
    (["check"], "no exercise is started"),
    (["check", "--all"], "no exercise is started"),
    (["check", "softmax"], "exercise start softmax"),
    (["check", "softmax", "--all"], "not both"),
    (["hint", "softmax", "--level", "4"], "invalid choice"),
])
def test_bad_words_are_one_line_and_exit_code_2(words, message, folder, capsys):
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_folder_in_place_of_the_file_is_told(folder, capsys):
    (folder / "dropout.py").mkdir(parents=True)
    assert run("check", "dropout") == 2
    error = capsys.readouterr().err
    assert "dropout.py is a folder" in error and error.count("\n") == 1
    assert run("check") == 2
    assert "no exercise is started" in capsys.readouterr().err
    assert run("list") == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"dropout": 3}', '{"dropout": {"digest": "x"}}',
                                  '{"dropout": {"hints": "two"}}'])
def test_a_damaged_score_sheet_is_told_after_the_answer(text, folder, capsys):
    run("start", "dropout")
    (folder / "dropout.py").write_text(SOLVED, "utf-8")
    (folder / "scores.json").write_text(text, "utf-8")
    capsys.readouterr()
    assert run("check", "dropout") == 2
    streams = capsys.readouterr()
    assert "8 of 8 checks pass" in streams.out
    assert "scores.json is damaged: delete it" in streams.err and streams.err.count("\n") == 1
    assert run("list") == run("hint", "dropout") == 2
    out = plain_pytest(folder)
    assert "scores.json is damaged: delete it" in out and "1 failed, 8 passed" in out
    assert "Traceback" not in out and "sheet.py" not in out


@pytest.mark.parametrize("words", [["list"], ["start", "dropout"], ["check"], ["hint", "dropout"]])
def test_a_file_in_place_of_the_folder_is_told(words, folder, capsys):
    folder.write_text("mine", "utf-8")
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert "is a file, expected the folder of the exercises" in error and error.count("\n") == 1


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0,
                    reason="nothing is forbidden to this user")
def test_a_folder_that_cannot_be_written_is_told(folder, capsys):
    folder.mkdir()
    folder.chmod(0o500)
    assert run("start", "dropout") == 2
    assert capsys.readouterr().err == (
        f"nanollm: cannot read or write {folder / 'dropout.py'} (Permission denied)\n")


def test_windows_line_ends_are_no_mistake(tmp_path):
    path = tmp_path / "dropout.py"
    path.write_bytes(SOLVED.replace("\n", "\r\n").encode("utf-8-sig"))
    assert {v.state for v in examine(catalog.load("dropout"), path)} == {"passed"}


def test_of_what_is_printed_the_last_lines_are_told(tmp_path):
    path = tmp_path / "dropout.py"
    path.write_text(SOLVED.replace(LINE, "for i in range(1000): print(i, 'x' * 1000)\n    "
                                         "return x, (keep, rate)"), "utf-8")
    message = next(v for v in examine(catalog.load("dropout"), path) if v.state == "wrong").message
    *_, before, _, _, _, _, _, _, _, _, _, last = message.splitlines()
    assert re.search(r"printed +\.\.\. and before, \d*990 more lines", before)
    assert last.strip().startswith("999 xxx") and len(last) < 110


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C in another way")
def test_ctrl_c_ends_the_check_and_what_it_runs(folder):
    run("start", "dropout")
    running = folder / "running"
    (folder / "dropout.py").write_text(SOLVED.replace(LINE, (
        f"import os, time; open({str(running)!r}, 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)")), "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "nanollm", "exercise", "check"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**os.environ, "PYTHONPATH": str(ROOT)})
    while not (running.exists() and running.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=20)
    assert (process.returncode, out, error) == (130, "", "\nnanollm: stopped\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int(running.read_text()), 0)


def test_the_message_in_the_readme_is_a_real_one(tmp_path):
    exercise, path = catalog.load("softmax"), tmp_path / "softmax.py"
    path.write_text(stubs.plant(stubs.page(exercise), "softmax_backward", "dy - mean", "dy"),
                    "utf-8")
    message = next(v.message for v in examine(exercise, path) if v.state == "wrong")
    indented = "".join(f"    {line}\n" for line in message.splitlines())
    assert indented in (ROOT / "README.md").read_text("utf-8")


def test_plain_pytest_does_the_same_checks(folder):
    run("start", "dropout")
    (folder / "dropout.py").write_text(SOLVED.replace(LINE, LINE.replace("keep /", "~keep /")),
                                       "utf-8")
    out = plain_pytest(folder)
    assert "the mask is the wrong way round: True is kept" in out
    assert "dropout: dropout: values" in out and "4 failed, 5 passed" in out
    for line in ("Traceback", "site-packages", "of_ops.py", "examine.py", "collect.py"):
        assert line not in out
    (folder / "dropout.py").write_text(START.replace(
        'raise NotImplementedError("keep: write me")', MASK), "utf-8")
    out = plain_pytest(folder)
    assert "1 failed, 2 passed, 6 skipped" in out
    failures = out.partition("short test summary")[0]   # where CI is set, a summary repeats it all
    assert failures.count("dropout is not written yet") == 1


@pytest.mark.parametrize("name", [n for n in catalog.names() if n.startswith("museum_")])
def test_every_bug_of_the_museum_has_its_thread_and_its_story(name):
    exercise = catalog.load(name)
    assert exercise.group == "museum" and exercise.broken
    assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+", exercise.thread)
    words = re.findall(r"^\w+", exercise.explanation, re.MULTILINE)
    assert words == ["Cause", "Hidden", "Found", "Repair", "Thread"]
    assert "#" + exercise.thread.rpartition("/")[2] in exercise.explanation
