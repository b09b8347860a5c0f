"""g2p-en: how English words sound, by a GRU encoder and decoder that others trained.

    pip install --no-deps --target g2p-en g2p-en                the package; none of it is run
    solver = load("g2p-en")                                     its folder, or checkpoint20.npz
    solver.answer(cut("recurrence"), " ")                       phonemes, vowels with their stress

Equation    models/seq2seq.py's, without attention: h_0 of the decoder is the encoder's state after
            the last letter and </s>. The GRU is ops/gru.py's, with weights the other way round:
            w = w_ihᵀ, u = w_hhᵀ, b = b_ih, bu = b_hh, gates in the same order r, z, n.
Ids         of phonemes  <pad> <unk> <s> </s> are the special tokens of text/words.py, in its order
            of letters   <pad> <unk> </s>, then a to z. text/words.py has two more special tokens,
                         which get a row of zeros that no one reads, and </s> is a word to it
Shapes      enc_emb (29, E), dec_emb (74, E), w_ih (3H, E), w_hh (3H, H), fc_w (74, H);
            the published file has E = H = 256
License     Apache 2.0
Source      Park & Kim 2019, g2p-en 2.1.0 on PyPI; trained on CMUdict, so words of that dictionary
            measure what it remembers and not how it reads words it never saw
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from nanollm.errors import InputError
from nanollm.solvers import Rewriter
from nanollm.text import Words

FILE = "checkpoint20.npz"
AGAIN = "expected checkpoint20.npz of g2p-en 2.1.0"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
STOP = "</s>"                   # the end of a word, for the encoder
VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split()
CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split()
PHONEMES = sorted([*CONSONANTS, "UW", *(vowel + stress for vowel in VOWELS for stress in "012")])
MOST = 20                       # steps of the decoder


class Pronouncer(Rewriter):
    """A Rewriter whose sources come from `cut`. Answers have stress marks, references none."""

    def measures(self, rows, found):
        """{measure: number} of the answers found, their stress left out."""
        return super().measures(rows, [[sound.rstrip("012") for sound in said] for said in found])


def cut(word):
    """The source of a word."""
    return [*word.lower(), STOP]


def load(path):
    """The Pronouncer of an .npz file, or of a folder that has it. InputError for another file."""
    arrays = read(find(path))
    width, hidden = arrays["enc_w_ih"].shape[1], arrays["enc_w_hh"].shape[1]
    sizes = {"width": width, "encoder": hidden, "decoder": hidden, "cell": "gru",
             "bidirectional": False, "attention": "none"}
    solver = Pronouncer(Words([STOP, *LETTERS]), Words(PHONEMES), sizes, np.random.default_rng(0),
                        most=MOST)
    solver.model.load_state_dict(renamed(arrays))
    return solver


def find(path):
    """The file itself, in the folder given, or in g2p_en below it."""
    path = Path(path)
    if not path.is_dir():
        return path
    for place in path / FILE, path / "g2p_en" / FILE:
        if place.is_file():
            return place
    raise InputError(f"{path} has no {FILE}, nor has a folder g2p_en in it: `pip install "
                     f"--no-deps --target {path} g2p-en` puts it there")


def read(path):
    """{name: float32 array} of the file, with all names and shapes as they must be."""
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            check_names(path, names)
            file.seek(0)
            with np.load(file, allow_pickle=False) as content:
                arrays = {name: content[name] for name in sorted(names)}
    except FileNotFoundError:
        raise InputError(f"there is no file {path}: {AGAIN}, or a folder that has it") from None
    except InputError:
        raise
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError,
            zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read ({reason:.80}): {AGAIN}") from None
    check_shapes(path, arrays)
    return {name: a.astype(np.float32) for name, a in arrays.items()}


def shapes(E, H):
    """{name: shape} of all arrays."""
    found = {"fc_w": (4 + len(PHONEMES), H), "fc_b": (4 + len(PHONEMES),)}
    for side, rows in ("enc", 3 + len(LETTERS)), ("dec", 4 + len(PHONEMES)):
        found |= {f"{side}_emb": (rows, E), f"{side}_w_ih": (3 * H, E), f"{side}_w_hh": (3 * H, H),
                  f"{side}_b_ih": (3 * H,), f"{side}_b_hh": (3 * H,)}
    return found


def check_names(path, names):
    missing, extra = shapes(1, 1).keys() - names, names - shapes(1, 1).keys()
    if missing or extra:
        raise InputError(f"{path} holds another model: missing {sorted(missing)[:3]}, not known "
                         f"here {sorted(extra)[:3]}; {AGAIN}")


def check_shapes(path, arrays):
    E, H = (arrays[name].shape[-1] if arrays[name].ndim else 0 for name in ("enc_emb", "enc_w_hh"))
    for name, shape in shapes(E, H).items():
        a = arrays[name]
        if a.shape != shape or not a.size:
            raise InputError(f"{path}: {name} has shape {a.shape}, expected {shape}; {AGAIN}")
        if a.dtype.kind != "f" or not np.isfinite(a).all():
            raise InputError(f"{path}: {name} ({a.dtype}) holds no finite fractions; {AGAIN}")


def renamed(arrays):
    """The arrays by the names of Seq2Seq's parameters."""
    letters = arrays["enc_emb"]                                         # <pad> <unk> </s> a ...
    found = {"source.w": np.insert(letters, [2, 2], 0, axis=0),         # two special tokens more
             "target.w": arrays["dec_emb"],
             "head.w": arrays["fc_w"].T, "head.b": arrays["fc_b"]}
    for ours, theirs in ("encoder", "enc"), ("decoder", "dec"):
        found |= {f"{ours}.cells.0.w": arrays[f"{theirs}_w_ih"].T,
                  f"{ours}.cells.0.u": arrays[f"{theirs}_w_hh"].T,
                  f"{ours}.cells.0.b": arrays[f"{theirs}_b_ih"],
                  f"{ours}.cells.0.bu": arrays[f"{theirs}_b_hh"]}
    return found
