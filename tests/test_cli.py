"""The command line: every command does its work, and bad input is one line and exit code 2."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest

from nanollm import backend as backends, checkout, checkpoint, datasets, diary, ops, runs, tasks
from nanollm.cli import bench, main
from nanollm.datasets import fetch
from nanollm.models import GPTConfig

ROOT = Path(__file__).parents[1]
TEXT = "".join(f"{a} and {b} make {a + b}.\n" for a in range(16) for b in range(16))
SMALL = ("--data text.txt --tokenizer characters --context 8 --width 16 --heads 2 --depth 1 "
         "--batch 4 --steps 12 --evaluate 6 --backend numpy").split()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Each test works in a folder of its own, with a text of its own, and without a network."""
    def no_network(*_, **__):
        raise URLError("Name or service not known")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("urllib.request.urlopen", no_network)
    monkeypatch.setattr(fetch, "CACHE", tmp_path / "cache")
    monkeypatch.delenv("NANOLLM_DATA", raising=False)
    (tmp_path / "text.txt").write_text(TEXT)
    with backends.use("numpy"):
        yield tmp_path


@pytest.fixture
def run(capsys):
    """A trained run, runs/quick."""
    assert main(["train", *SMALL, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    return Path("runs/quick")


def tree(folder):
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*")}


def fails(argv, words, capsys):
    """The command is refused: one line with these words, exit code 2, and nothing was written."""
    before = tree(".")
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert err.startswith("nanollm: ") and err.count("\n") == 1 and err.endswith("\n"), err
    assert words in err
    assert out == ""
    assert tree(".") == before


@pytest.mark.parametrize("options, words", [
    ("--backend tpu", "no backend 'tpu'; choose one of numpy, numba, cuda"),
    ("--preset huge", "no preset 'huge'; choose one of quick, nanogpt-cpu"),
    ("--data shakespear", "no data set or file 'shakespear'"),
    ("--data empty.txt", "empty.txt is empty"),
    ("--data tiny.txt", "too short: 4 tokens to learn from and 1 to check on"),
    ("--data tiny.txt --tokenizer byte-pairs", "does not fill a vocabulary"),
    ("--data binary.txt", "is not UTF-8 text"),
    ("--data .", "is a folder"),
    ("--context 0", "context is 0"), ("--context many", "invalid int value: 'many'"),
    ("--heads 3", "3 heads do not divide the width 16"),
    ("--lr nan", "lr is nan"), ("--steps -5", "steps is -5"), ("--dropout 1", "dropout is 1.0"),
    ("--tokenizer words", "tokenizer is 'words'"),
    ("--tokenizer characters --vocab 300", "--vocab is for byte pairs"),
    ("--tokenizer byte-pairs --vocab 20", "a vocabulary of 20 is too small"),
    ("--run text.txt/run", "cannot make the folder text.txt/run"),
    ("--run text.txt", "text.txt exists"),
    ("--batch 100000000000000000000", "batch is 100000000000000000000, expected at most"),
    ("--width 2000000000 --heads 1", "is too large"), (f"--run {300 * 'a'}", "File name too long"),
    (f"--resume {300 * 'a'}", "File name too long"),
    ("--resume nothing", "there is no run 'nothing'"),
    ("--resume .", ". is not the folder of a run"),
    ("--colour red", "train does not know '--colour'")])
def test_training_refuses_bad_input(options, words, capsys):
    Path("empty.txt").write_text("")
    Path("tiny.txt").write_text("abcde")
    Path("binary.txt").write_bytes(b"\xff\xfe\x00")
    argv = ["train", *SMALL, *options.split()]
    if "--resume" in options:
        argv = ["train", *options.split()]
    fails(argv, words, capsys)


@pytest.mark.parametrize("argv, words", [
    ([], "required: COMMAND"), (["fly"], "invalid choice: 'fly'"), (["data"], "list|info|get"),
    (["data", "get", "nothing"], "no data set or file 'nothing'"),
    (["data", "info", "tinyshakespear"], "did you mean tinyshakespeare?"),
    (["generate"], "there is no run"), (["generate", "nowhere"], "there is no run 'nowhere'"),
    (["generate", "."], "is not the folder of a run"),
    (["generate", "--backend", "gpu"], "no backend 'gpu'"),
    (["generate", 300 * "a"], "File name too long"), (["info", 300 * "a"], "File name too long"),
    (["train", "--run", ""], ". exists"), (["generate", ""], "is not the folder of a run"),
    (["train", "--resume", ""], "is not the folder of a run"),
    (["train", "--preset", ""], "no preset ''"),
    (["info", "nothing"], "neither the folder of a run nor a model"),
    (["info", "."], "is not the folder of a run"),
    (["check", "softmaxx"], "no op 'softmaxx'; ops are add, mul"),
    (["bench"], "all|ops|train|generate"),
    (["bench", "train", "--setting", "5"], "invalid choice: 5"),
    (["bench", "train", "--preset", "huge"], "no preset 'huge'"),
    (["bench", "train", "--json", "no/x.json"], "cannot write no/x.json (No such file")])
def test_every_command_refuses_bad_input(argv, words, capsys):
    fails(argv, words, capsys)


@pytest.mark.parametrize("options, words", [
    (["--prompt", "100 €"], "character '€' (U+20AC) at position 4 is not among"),
    (["--temperature", "-1"], "temperature is -1"), (["--top-p", "0"], "top p is 0"),
    (["--top-k", "-2"], "top k is -2"), (["--penalty", "0"], "penalty is 0"),
    (["--tokens", "-1"], "tokens is -1"), (["--tokens", "x"], "invalid int value: 'x'")])
def test_generation_refuses_bad_input(options, words, run, capsys):
    fails(["generate", *options], words, capsys)


def test_a_backend_from_the_environment_that_does_not_exist_is_told():
    process = command("train", *SMALL[:-2], environment={"NANOLLM_BACKEND": "tpu"})
    assert one_line(process) == ("nanollm: no backend 'tpu'; choose one of numpy, numba, cuda "
                                 "(--backend, NANOLLM_BACKEND or backend.use)\n")


def test_cuda_without_a_gpu_is_one_line(capsys):
    try:
        backends.module("cuda")
    except Exception:
        fails(["train", *SMALL, "--backend", "cuda"], "use --backend numba", capsys)
    else:
        pytest.skip("this machine has a GPU, or its simulator")


def test_without_a_network_one_line_says_what_to_do(capsys):
    for argv in ["train", "--preset", "nanogpt-cpu"], ["data", "get", "tinyshakespeare"]:
        fails([*argv, "--quiet"], "cannot download tinyshakespeare (<urlopen error Name or", capsys)


def test_data_whose_checksum_differs_is_refused(capsys, monkeypatch):
    Path("data").mkdir()
    Path("data/names.txt").write_text("emma\nolivia\n")
    monkeypatch.setenv("NANOLLM_DATA", "data")
    for argv in ["train", "--data", "names"], ["data", "get", "names"]:
        fails(argv, "is not the file meant: sha256 expected 0a30b5557f192f32ab9626", capsys)


def half(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


def of_another_shape(run):
    config = runs.read_config(run)
    config["model"] |= {"width": 32, "hidden": 128}
    config["settings"]["width"] = 32
    (run / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("spoil, words", [
    (lambda run: half(run / "step-000012/weights.safetensors"), "is damaged or cut short"),
    (lambda run: half(run / "step-000012/state.json"), "state.json cannot be read"),
    (lambda run: half(run / "config.json"), "config.json cannot be read"),
    (lambda run: half(run / "tokenizer.json"), "tokenizer.json"),
    (of_another_shape, "but by config.json it is"),
    (lambda run: datasets and runs.text.Characters.train("abc").save(run / "tokenizer.json"),
     "the tokenizer has 3 tokens, but the model"),
    (lambda run: shutil.rmtree(run / "step-000012"), "has saved no step")])
def test_a_damaged_run_is_refused(spoil, words, run, capsys):
    spoil(run)
    fails(["generate", str(run)], words, capsys)
    fails(["train", "--resume", str(run), "--steps", "20"], words, capsys)


def test_a_run_is_not_resumed_with_other_settings(run, capsys):
    fails(["train", "--resume", str(run), "--lr", "0.1"], "leave out --lr", capsys)
    fails(["train", "--resume", str(run), "--min-lr", "0.1"], "leave out --min-lr", capsys)
    fails(["train", "--resume", str(run), "--run", "other"], "leave out --run", capsys)
    fails(["train", "--resume", str(run)], "is finished after 12 steps", capsys)


def test_a_folder_that_may_not_be_written_is_refused(capsys, monkeypatch):
    def forbidden(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(Path, "mkdir", forbidden)
    fails(["train", *SMALL], "cannot make the folder runs/quick (Permission denied)", capsys)


@pytest.mark.parametrize("command, options", [
    (["train"], ["--batch", "--context", "--width", "--depth"]),
    (["train", "--resume", "runs/quick"], []),
    (["fit", "dates"], ["--batch", "--width", "--layers"]),
    (["fit", "names"], ["--batch", "--width", "--layers"]),
    (["fit", "dates", "--resume", "runs/fit/dates"], []),
    (["fit", "dates", "--evaluate", "runs/fit/dates"], []),
    (["fit", "dates", "--evaluate", "runs/fit/dates", "--beam", "5"], ["--beam"]),
    (["fit", "dates", "--try", "May 1st, 2001", "--beam", "5"], ["--beam"]),
    (["vectors", "train"], ["--batch", "--width"]),
    (["vectors", "near", "runs/vectors", "a"], []),
    (["vanishing"], ["--steps"]),
    (["generate"], []),
])
def test_too_little_memory_is_one_line_that_names_options_of_the_command(
        command, options, capsys, monkeypatch):
    def full(*_, **__):
        raise MemoryError
    for name in ("train.begin", "runs.read_config", "runs.newest", "cli.fit.learn",
                 "cli.fit.evaluate", "cli.fit.answer", "word_vectors.read",
                 "word_vectors.Vectors.load", "vanishing.by_distance"):
        monkeypatch.setattr(f"nanollm.{name}", full)
    fails(command, "not enough memory: choose a smaller" if options else
          "not enough memory: end other programs, or use a larger machine", capsys)
    main(command)
    assert re.findall(r"--[a-z]+", capsys.readouterr().err) == options
    for option in options:
        fails([*command, option, "10"], "not enough memory", capsys)    # the option is taken


@pytest.mark.parametrize("line", [
    f"fit dates --width {10 ** 24}", f"fit dates --width {2 ** 31} --encoder {2 ** 31}",
    f"fit names --hidden {10 ** 24}", f"vectors train --data text.txt --quiet --width {2 ** 60}",
    f"vectors train --data text.txt --quiet --negatives {2 ** 60} --batch 1",
    f"vanishing --steps {10 ** 24}"])
def test_sizes_that_no_memory_could_hold_are_one_line(line, capsys, monkeypatch):
    rows = [(["a"], [["b"]])]
    for name in "dates", "names":
        monkeypatch.setitem(tasks.TASKS, name, replace(
            tasks.TASKS[name], read=lambda: tasks.Parts(rows, rows, {"test": rows})))
    fails(line.split(), "not enough memory", capsys)


def test_an_error_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("nanollm.train.begin", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["train", *SMALL])


def test_from_training_to_text(capsys):
    assert main(["train", *SMALL]) == 0
    out, _ = capsys.readouterr()
    for words in ("tokens to learn from", "parameters: 1 blocks, 2 heads, width 16", "it writes:",
                  "validation loss", "python -m nanollm generate runs/quick"):
        assert words in out
    assert main(["generate", "--prompt", "1 and", "--tokens", "30", "--backend", "numpy"]) == 0
    first, err = capsys.readouterr()
    assert first.startswith("1 and") and len(first) == 5 + 30 + 1
    assert "30 characters" in err
    for options in ["--quiet"], ["--quiet", "--no-cache"]:
        main(["generate", "runs/quick", "--prompt", "1 and", "--tokens", "30", *options])
        assert capsys.readouterr() == (first, "")
    main(["generate", "--prompt", "1 and", "--tokens", "30", "--stop", first[10], "--quiet"])
    assert capsys.readouterr().out == first[:first.index(first[10], 5)] + "\n"
    main(["generate", "--tokens", "0", "--quiet"])
    assert capsys.readouterr().out == "\n"


def test_runs_do_not_overwrite_each_other(capsys):
    for options in [], [], ["--run", "runs/mine"]:
        assert main(["train", *SMALL, "--quiet", *options]) == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == ["mine", "quick", "quick-2"]
    fails(["train", *SMALL, "--run", "runs/mine"], "runs/mine exists", capsys)


def test_a_finished_run_goes_on_if_more_steps_are_asked_for(run, capsys):
    assert main(["train", "--resume", str(run), "--steps", "18", "--quiet"]) == 0
    assert json.loads((run / "metrics.json").read_text())["steps"] == 18


def test_a_run_is_resumed_on_the_backend_it_was_begun_on(run):
    with backends.use("numba"):
        assert main(["train", "--resume", str(run), "--steps", "13", "--quiet"]) == 0
        assert backends.current() == "numba"
    assert json.loads((run / "metrics.json").read_text())["backend"] == "numpy"


def test_a_run_that_is_resumed_on_another_backend_says_so(run, capsys):
    assert main(["train", "--resume", str(run), "--steps", "13", "--backend", "numba"]) == 0
    out = capsys.readouterr().out
    assert "tokens, on numba" in out and "numpy until now, numba from here on" in out
    for name in "config.json", "metrics.json":
        assert json.loads((run / name).read_text())["backend"] == "numba"
    assert main(["train", "--resume", str(run), "--steps", "14"]) == 0
    assert "until now" not in capsys.readouterr().out


@pytest.mark.parametrize("options", ["", "--evaluate 1", "--save 1"])
@pytest.mark.filterwarnings("error")
def test_a_run_that_diverges_at_once_leaves_its_place_free(options, capsys):
    fails(["train", *SMALL, "--quiet", "--run", "mine", "--lr", "1e300", *options.split()],
          "the training diverged", capsys)


@pytest.mark.parametrize("name, changes, words", [
    ("step-000012/state.json", {"step": -1}, "step is -1, expected 12"),
    ("step-000012/state.json", {"step": 10}, "step is 10, expected 12"),
    ("step-000012/state.json", {"best_val_loss": "x"}, "best_val_loss is 'x'"),
    ("step-000012/state.json", {"val_loss": "x"}, "val_loss is 'x'"),
    ("step-000012/state.json", {"val_loss": float("nan")}, "val_loss is nan"),
    ("step-000012/state.json", {"seconds": "x"}, "seconds is 'x'"),
    ("step-000012/state.json", {"seconds": None}, "seconds is None"),
    ("config.json", {"backend": ["x"]}, "backend is ['x'], expected text"),
    ("config.json", {"settings": 5}, "settings is 5, expected a JSON object"),
    ("config.json", {"versions": 3}, "versions is 3, expected a JSON object"),
    ("config.json", {"text": []}, "text is [], expected a JSON object"),
    ("config.json", {"model.heads": 4}, "model and settings differ in heads"),
    ("config.json", {"settings.context": 9}, "model and settings differ in context")])
def test_a_damaged_field_is_told(name, changes, words, run, capsys):
    content = json.loads((run / name).read_text())
    for key, value in changes.items():
        *outer, key = key.split(".")
        (content[outer[0]] if outer else content)[key] = value
    (run / name).write_text(json.dumps(content))
    fails(["train", "--resume", str(run), "--steps", "20"], words, capsys)
    fails(["generate", str(run)], words, capsys)
    if name == "config.json":
        fails(["info", str(run)], words, capsys)


@pytest.mark.parametrize("spoil", [
    lambda path: path.unlink(), lambda path: path.write_text("step,train_loss\n1,2\n"),
    lambda path: path.write_text(path.read_text().replace("\n3,", "\n3,nan,")),
    lambda path: path.write_text(",".join(diary.COLUMNS) + "\n1,2.5,,0.1,0.1,,1\n"),
    lambda path: path.write_bytes(path.read_bytes() + b"13," + 200_000 * b"x")])
def test_a_damaged_diary_does_not_keep_a_run_from_its_end(spoil, run, capsys):
    spoil(run / "losses.csv")
    (run / "metrics.json").unlink()
    assert main(["info", str(run)]) == 0
    assert main(["train", "--resume", str(run)]) == 0
    assert json.loads((run / "metrics.json").read_text())["steps"] == 12


def test_data_is_listed_described_and_fetched(capsys, monkeypatch):
    assert main(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "bytes", "where", "what"]
    assert len(lines) == 1 + len(datasets.REGISTRY)
    column = lines[0].index("what")
    assert all(line[column - 2:column] == "  " != line[column] for line in lines)   # aligned
    assert main(["data", "info", "tinyshakespeare"]) == 0
    out = capsys.readouterr().out
    assert "1,115,394" in out and "86c4e6aa9db7" in out and "karpathy/char-rnn" in out
    Path("data").mkdir()
    Path("data/names.txt").write_text("emma\n")
    monkeypatch.setenv("NANOLLM_DATA", "data")
    data = datasets.REGISTRY["names"]
    monkeypatch.setitem(datasets.REGISTRY, "names", type(data)(
        **{**vars(data), "sha256": datasets.sha256(b"emma\n")}))
    assert main(["data", "get", "names"]) == 0
    assert capsys.readouterr().out == "data/names.txt\n"


def test_info_shows_the_machine_a_run_and_a_model(run, capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for words in "numpy", "available", "cuda", "pydoc", "embedded", "runs/quick":
        assert words in out
    assert main(["info", "runs/quick"]) == 0
    out = capsys.readouterr().out
    for words in "context 8", "blocks.0.attention", "train_loss", "val_loss", "result":
        assert words in out
    assert main(["info", "gpt2"]) == 0
    assert capsys.readouterr().out.split()[-1] == "124,439,808"


def test_check_prints_a_row_for_each_op_that_is_asked_for(capsys):
    assert main(["check", "softmax", "embedding"]) == 0
    out = capsys.readouterr().out
    header, first, second = out.splitlines()[:3]
    assert header.split()[:3] == ["op", "cases", "gradient"] and "numba float32" in header
    assert first.startswith("softmax") and second.startswith("embedding")
    assert "all is well" in out


def test_check_finds_a_wrong_backward_and_ends_with_1(capsys, monkeypatch):
    original = ops.softmax_backward

    def wrong(dy, saved):
        return (1.001 * original(dy, saved)[0],)
    monkeypatch.setattr(ops, "softmax_backward", wrong)
    backends._pair.cache_clear()
    assert main(["check", "softmax", "relu"]) == 1
    backends._pair.cache_clear()
    out = capsys.readouterr().out
    assert "WRONG" in out.splitlines()[1] and "WRONG" not in out.splitlines()[2]
    assert "softmax, tokens, gradient: GradientError" in out


def test_check_covers_every_op():
    cases, _ = checkout.tests()
    assert {op for op, _, _ in cases.CASES} == {
        name.removesuffix("_backward") for name in vars(ops) if name.endswith("_backward")}
    assert main(["check", "squared_norm"]) == 0


@pytest.mark.parametrize("part, columns", [
    ("train", ["step ms", "tokens/s", "products ms", "share of products"]),
    ("generate", ["tokens/s", "ms a token", "read GB/s", "share of reading"]),
    ("ops", ["op", "numpy µs", "numba µs", "ratio", "GB/s", "GFLOP/s"])])
def test_bench_prints_a_table_and_writes_it_as_json(part, columns, capsys, monkeypatch):
    tiny = GPTConfig(vocab=11, context=12, width=8, heads=2, depth=1)
    monkeypatch.setattr(bench, "sizes", lambda args: [("one", tiny, 2), ("two", tiny, 2)])
    options = [] if part == "ops" else ["--backend", "numba"]
    assert main(["bench", part, "--json", "out.json", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    content = json.loads(Path("out.json").read_text())
    rows = content["tables"].pop(part)
    assert content["tables"] == {} and content["machine"]["cores"] == os.cpu_count()
    assert set(columns) <= rows[0].keys()
    assert lines[2] == part and all(name in lines[3] for name in columns)
    assert len(lines) == 4 + len(rows)
    assert {row["setting"] for row in rows} == {"one", "two"}
    assert {row.get("backend") for row in rows} <= {"numba", None}


def test_bench_all_prints_every_table(capsys, monkeypatch):
    tiny = GPTConfig(vocab=11, context=12, width=8, heads=2, depth=1)
    monkeypatch.setattr(bench, "sizes", lambda args: [("one", tiny, 2)])
    assert main(["bench", "all", "--json", "out.json"]) == 0
    tables = json.loads(Path("out.json").read_text())["tables"]
    assert list(tables) == ["ops", "train", "generate"] and all(tables.values())


def test_check_of_one_backend_draws_new_numbers_and_says_which(capsys):
    assert main(["check", "softmax", "adamw_", "--backend", "numba"]) == 0
    first = capsys.readouterr().out
    assert "numba float64" in first and "numpy" not in first and "--seed" in first
    assert main(["check", "adamw_", "--backend", "numba", "--seed", "7"]) == 0
    assert "--seed 7 draws them again" in capsys.readouterr().out


def test_help_is_short_of_nothing(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    for argv in [], ["train"], ["generate"], ["data"], ["info"], ["check"], ["bench"], [
            "bench", "train"], ["data", "get"]:
        with pytest.raises(SystemExit) as ended:
            main([*argv, "--help"])
        assert ended.value.code == 0
        out = capsys.readouterr().out
        assert "usage: python -m nanollm" in out
        assert all(len(line) <= 110 for line in out.splitlines())


# From here on as a user does it: another process.

def started(*argv, environment=()):
    return subprocess.Popen(
        [sys.executable, "-m", "nanollm", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": str(ROOT), "NANOLLM_QUIET": "1",
                        **dict(environment)})


def command(*argv, environment=()):
    process = started(*argv, environment=environment)
    process.out, process.err = process.communicate(timeout=60)
    return process


def one_line(process):
    """The line on stderr of a process that refused its input."""
    assert process.returncode == 2 and process.out == "" and process.err.count("\n") == 1
    return process.err


def test_ctrl_c_saves_and_the_run_can_go_on(folder):
    process = started("train", *SMALL, "--steps", "3000", "--evaluate", "3000", "--save", "1")
    while not list(folder.glob("runs/quick/step-*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    assert "python -m nanollm train --resume runs/quick" in out
    done = int(checkpoint.step_folders("runs/quick")[-1].name[5:])
    assert f"stopped after step {done:,}, all is saved" in out
    resumed = command("train", "--resume", "runs/quick", "--steps", str(done + 5))
    assert resumed.returncode == 0
    assert json.loads(Path("runs/quick/metrics.json").read_text())["steps"] == done + 5


def test_a_reader_that_has_read_enough_is_no_error():
    process = subprocess.run(f"{sys.executable} -m nanollm info gpt2 | head -n 1", shell=True,
                             capture_output=True, text=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stderr == "" and process.stdout.startswith("layer")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_an_output_that_cannot_be_written_is_one_line(run):
    for argv in "data list", "generate --tokens 3 --quiet":
        process = shell(f"{argv} > /dev/full")
        assert process.returncode == 2
        assert process.stderr == "nanollm: cannot read or write (No space left on device)\n"


def test_an_output_that_is_closed_is_no_error():
    process = shell("data list >&-")
    assert process.returncode == 0 and process.stderr == ""


def shell(line):
    return subprocess.run(f"{sys.executable} -m nanollm {line}", shell=True, capture_output=True,
                          text=True, env={**os.environ, "PYTHONPATH": str(ROOT),
                                          "NANOLLM_BACKEND": "numpy"})


def test_a_terminal_that_lacks_a_character_shows_another(run):
    assert "µs" not in command("data", "list", environment={"PYTHONIOENCODING": "ascii"}).err
    Path("text.txt").write_text(TEXT + 200 * "é", encoding="utf-8")
    process = command("train", *SMALL, "--run", "runs/e",
                      environment={"PYTHONIOENCODING": "ascii"})
    assert process.returncode == 0, process.err
    process = command("generate", "runs/e", "--prompt", "é", "--tokens", "3", "--quiet",
                      environment={"PYTHONIOENCODING": "ascii"})
    assert process.returncode == 0 and process.out.startswith("?"), process.err


def test_help_imports_neither_numba_nor_matplotlib():
    code = ("import sys\nfrom nanollm.cli import main\ntry: main(['--help'])\n"
            "except SystemExit: pass\n"
            "print([name for name in ('numba', 'matplotlib') if name in sys.modules])")
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout.endswith("[]\n"), process.stderr


def test_training_on_numpy_imports_no_numba(folder):
    code = ("import sys\nfrom nanollm.cli import main\n"
            f"main({['train', *SMALL, '--quiet']!r})\nprint('numba' in sys.modules)")
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout == "False\n", process.stderr
