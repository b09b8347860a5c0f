"""Weights of others: g2p-en's names and shapes run in our Seq2Seq as a plain loop says they must.

The real file is read where NANOLLM_G2P_EN names it or its folder.
"""

import os

import numpy as np
import pytest

from nanollm import tasks
from nanollm.backend import use
from nanollm.cli import main
from nanollm.errors import InputError
from nanollm.pretrained import g2p_en
from nanollm.text.words import END, START

WORDS = ["a", "tea", "recurrence", "zebra", "mississippi"]
real = pytest.mark.skipif("NANOLLM_G2P_EN" not in os.environ,
                          reason="NANOLLM_G2P_EN names no file of g2p-en")


@pytest.fixture(autouse=True)
def on(request):
    """The backend under test, if the test has one, else the reference."""
    parameters = getattr(request.node, "callspec", None)
    with use(parameters.params.get("backend", "numpy") if parameters else "numpy"):
        yield


def made(**changes):
    """Random weights with the published names, E = 5 and H = 6."""
    rng = np.random.default_rng(2)
    arrays = {name: rng.normal(0, 1.2, shape).astype(np.float32)
              for name, shape in g2p_en.shapes(5, 6).items()}
    return {**arrays, **changes}


@pytest.fixture
def file(tmp_path):
    np.savez(tmp_path / g2p_en.FILE, **made())
    return tmp_path / g2p_en.FILE


def by_hand(arrays, word):
    """The phonemes of a word, in float64, gate by gate from the published arrays."""
    def state(side, x, h):
        p = arrays[f"{side}_w_ih"] @ x + arrays[f"{side}_b_ih"]
        q = arrays[f"{side}_w_hh"] @ h + arrays[f"{side}_b_hh"]
        (pr, pz, pn), (qr, qz, qn) = np.split(p, 3), np.split(q, 3)
        r, z = 1 / (1 + np.exp(-pr - qr)), 1 / (1 + np.exp(-pz - qz))
        return (1 - z) * np.tanh(pn + r * qn) + z * h

    arrays = {name: a.astype(np.float64) for name, a in arrays.items()}
    h = np.zeros(arrays["enc_w_hh"].shape[1])
    for row in [*(3 + ord(c) - ord("a") if "a" <= c <= "z" else 1 for c in word), 2]:
        h = state("enc", arrays["enc_emb"][row], h)
    said, token = [], START
    while len(said) < 20:
        h = state("dec", arrays["dec_emb"][token], h)
        token = int((arrays["fc_w"] @ h + arrays["fc_b"]).argmax())
        if token == END:
            break
        said.append(token)
    return said


def test_the_phonemes_are_in_the_published_order():
    assert len(g2p_en.PHONEMES) == 70
    assert g2p_en.PHONEMES[:4] == ["AA0", "AA1", "AA2", "AE0"]
    at = g2p_en.PHONEMES.index("UW")
    assert g2p_en.PHONEMES[at - 1:at + 2] == ["UH2", "UW", "UW0"]
    assert g2p_en.PHONEMES[-2:] == ["Z", "ZH"]


def test_made_weights_say_what_a_plain_loop_says(file, backend):
    solver, arrays = g2p_en.load(file), made()
    expected = [by_hand(arrays, word) for word in [*WORDS, "o'er"]]
    assert len(set(map(tuple, expected))) > 3
    sources = [solver.source.encode(g2p_en.cut(word)) for word in [*WORDS, "o'er"]]
    assert solver.translations(sources) == [solver.target.tokens(ids) for ids in expected]


def test_stress_is_left_out_of_the_measures_and_kept_in_answers(file, monkeypatch):
    solver = g2p_en.load(file)
    monkeypatch.setattr(solver, "translations", lambda sources, beam=1: [["T", "IY1"]] * 2)
    rows = [(g2p_en.cut("tea"), [["T", "IY"]]), (g2p_en.cut("tee"), [["T", "AY"]])]
    assert solver.evaluate(rows) == {"wrong": 0.5, "token error rate": 0.25}
    assert solver.answer(g2p_en.cut("tea"), " ") == "T IY1"


def test_the_file_is_found_in_its_folder_and_in_that_of_pip(file, tmp_path):
    assert g2p_en.find(tmp_path) == file
    (tmp_path / "g2p_en").mkdir()
    inner = file.rename(tmp_path / "g2p_en" / file.name)
    assert g2p_en.find(tmp_path) == inner


@pytest.mark.parametrize("arrays, words", [
    ({"w": np.zeros(3)}, "holds another model: missing ['dec_b_hh'"),
    (made(more=np.zeros(3)), "not known here ['more']"),
    (made(fc_w=np.zeros((74, 5), np.float32)), "fc_w has shape (74, 5), expected (74, 6)"),
    (made(enc_emb=np.zeros((28, 5), np.float32)), "enc_emb has shape (28, 5), expected (29, 5)"),
    (made(enc_emb=np.float32(0)), "enc_emb has shape ()"),
    (made(fc_b=np.zeros(74, int)), "fc_b (int64) holds no finite fractions"),
    (made(fc_b=np.full(74, np.nan)), "fc_b (float64) holds no finite fractions"),
    (made(fc_b=np.array([None] * 74)), "cannot be read (Object arrays cannot be loaded")])
def test_another_file_is_one_line(arrays, words, tmp_path):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError) as told:
        g2p_en.load(tmp_path / "x.npz")
    assert words in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("content", [b"", b"no zip", b"cut"])
def test_a_damaged_file_is_one_line(content, file):
    file.write_bytes(file.read_bytes()[:3000] if content == b"cut" else content)
    with pytest.raises(InputError, match="cannot be read .* expected checkpoint20.npz") as told:
        g2p_en.load(file)
    assert "\n" not in str(told.value)


def test_the_command_answers_and_measures(file, capsys, monkeypatch):
    rows = [(list(word.upper()), [["T"]]) for word in WORDS]
    monkeypatch.setitem(tasks.TASKS, "g2p", tasks.replace(
        tasks.TASKS["g2p"], read=lambda: tasks.Parts(rows, rows, {"test": rows})))
    assert main(["fit", "g2p", "--pretrained", str(file), "--try", "Tea"]) == 0
    said = g2p_en.load(file).target.tokens(by_hand(made(), "tea"))
    assert capsys.readouterr().out == " ".join(said) + "\n"
    assert main(["fit", "g2p", "--pretrained", str(file)]) == 0
    out = capsys.readouterr().out
    assert "5 rows   wrong 1.0000" in out and "information only" in out


@pytest.mark.parametrize("options, words", [
    (["dates", "--pretrained", "x"], "a model of the task g2p, not of dates"),
    (["g2p", "--pretrained", "x", "--run", "y"], "leave out --run"),
    (["g2p", "--pretrained", "x", "--epochs", "2"], "leave out --epochs"),
    (["g2p", "--pretrained", "nowhere", "--try", "tea"], "there is no file nowhere"),
    (["g2p", "--pretrained", ".", "--try", "tea"], ". has no checkpoint20.npz")])
def test_bad_options_are_one_line(options, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", *options]) == 2
    out, err = capsys.readouterr()
    assert words in err and err.count("\n") == 1 and out == ""


@real
def test_the_published_weights_speak():
    solver = g2p_en.load(os.environ["NANOLLM_G2P_EN"])
    assert solver.answer(g2p_en.cut("hello"), " ") == "HH EH1 L OW0"
    with np.load(g2p_en.find(os.environ["NANOLLM_G2P_EN"]), allow_pickle=False) as arrays:
        for word in WORDS:
            said = solver.target.tokens(by_hand(dict(arrays), word))
            assert solver.answer(g2p_en.cut(word), " ") == " ".join(said)
