"""Metrics: by hand on paper, and what must hold for any counts."""

import math
import random
from functools import cache

import numpy as np
import pytest

from nanollm import metrics
from nanollm.errors import InputError

TARGETS = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
CALLED = [0, 0, 0, 1, 1, 1, 0, 0, 2, 0]                 # 3 is never called
MATRIX = np.array([[3, 1, 0, 0], [1, 2, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0]])


# classes

def test_the_confusion_matrix_counts_true_by_called():
    assert metrics.confusion_matrix(TARGETS, CALLED).tolist() == MATRIX.tolist()
    assert metrics.confusion_matrix([1], [0]).tolist() == [[0, 0], [1, 0]]
    assert metrics.confusion_matrix(np.uint8([200]), np.uint8([200]))[200, 200] == 1
    assert metrics.confusion_matrix([0], [0], classes=3).tolist() == [[1, 0, 0], [0] * 3, [0] * 3]


def test_scores_of_classes_are_those_by_hand():
    assert metrics.accuracy(MATRIX) == 6 / 10
    assert metrics.precision(MATRIX).tolist() == [3 / 6, 2 / 3, 1, 0]       # 0/0 is 0
    assert metrics.recall(MATRIX).tolist() == [3 / 4, 2 / 3, 1 / 2, 0]
    np.testing.assert_allclose(metrics.f1(MATRIX), [3 / 5, 2 / 3, 2 / 3, 0], rtol=1e-15)
    assert metrics.precision(MATRIX, "macro") == pytest.approx((1 / 2 + 2 / 3 + 1) / 4, rel=1e-15)
    assert metrics.recall(MATRIX, "macro") == pytest.approx((3 / 4 + 2 / 3 + 1 / 2) / 4, rel=1e-15)
    assert metrics.f1(MATRIX, "macro") == pytest.approx((3 / 5 + 4 / 3) / 4, rel=1e-15)


def test_f1_is_the_harmonic_mean_and_micro_is_the_accuracy():
    rng = np.random.default_rng(0)
    for K in 2, 3, 7:
        matrix = rng.integers(1, 50, (K, K))
        p, r = metrics.precision(matrix), metrics.recall(matrix)
        np.testing.assert_allclose(metrics.f1(matrix), 2 * p * r / (p + r), rtol=1e-13)
        for score in metrics.precision, metrics.recall, metrics.f1:
            assert score(matrix, "micro") == np.trace(matrix) / matrix.sum()
            assert score(matrix, "macro") == pytest.approx(score(matrix).mean(), rel=1e-13)


def test_a_class_that_does_not_occur_is_left_out_of_the_macro_mean():
    wider = np.zeros((6, 6), int)
    wider[:4, :4] = MATRIX
    for score in metrics.precision, metrics.recall, metrics.f1:
        assert score(wider, "macro") == score(MATRIX, "macro")
        assert score(wider)[4:].tolist() == [0, 0]


def test_the_report_is_aligned():
    lines = metrics.report(MATRIX, ["a", "bb", "c", "a longer name"]).split("\n")
    assert len(lines) == 7 and len(set(map(len, lines))) == 1
    assert lines[0].split() == ["precision", "recall", "F1", "examples"]
    assert lines[1].split() == ["a", "0.500", "0.750", "0.600", "4"]
    assert lines[4].split() == ["a", "longer", "name", "0.000", "0.000", "0.000", "1"]
    assert lines[5].split() == ["macro", "0.542", "0.479", "0.483", "10"]
    assert lines[6].split() == ["micro", "0.600", "0.600", "0.600", "10"]
    assert metrics.report(MATRIX).split("\n")[2].split()[0] == "1"


@pytest.mark.parametrize("classes", [2, 4, 40])
def test_the_confusion_matrix_is_drawn(tmp_path, classes):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    path, other = tmp_path / "right.png", tmp_path / "wrong.png"
    metrics.draw_confusion(np.eye(classes, dtype=int), path)
    metrics.draw_confusion(np.eye(classes, dtype=int)[::-1], other)
    right, wrong = imread(path), imread(other)
    assert right.shape == wrong.shape and min(right.shape[:2]) > 200
    assert (right != wrong).any() and right[..., :3].std() > 0.05


def test_a_picture_that_cannot_be_written_is_told_in_one_line(tmp_path):
    pytest.importorskip("matplotlib")
    for name in "x.nothing", "no/folder.png":
        with pytest.raises(InputError, match="cannot save the picture") as error:
            metrics.draw_confusion(MATRIX, tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="2 names for 4 classes"):
        metrics.draw_confusion(MATRIX, tmp_path / "x.png", ["a", "b"])


@pytest.mark.parametrize("targets, called, classes, message", [
    ([0, 1], [0], None, "2 targets and 1 predictions"), ([], [], None, "expected a row of labels"),
    ([0.5], [0], None, "float64"), ([[0]], [[0]], None, r"shape \(1, 1\)"),
    ([-1], [0], None, "from 0"), ([0, 3], [0, 0], 3, "label 3 is out of range: 3 classes")])
def test_labels_that_are_none_are_refused(targets, called, classes, message):
    with pytest.raises(InputError, match=message):
        metrics.confusion_matrix(targets, called, classes)


@pytest.mark.parametrize("measure", [
    metrics.accuracy, metrics.precision, metrics.recall, metrics.f1, metrics.report])
def test_a_matrix_that_is_none_is_refused(measure):
    for matrix, message in ((np.zeros((2, 2), int), r"shape \(2, 2\) and 0 examples"),
                            (np.ones((2, 3), int), r"shape \(2, 3\) and 6 examples"),
                            ([1, 2], r"shape \(2,\)"), (np.zeros((0, 0)), r"shape \(0, 0\)")):
        with pytest.raises(InputError, match=message):
            measure(matrix)
    assert metrics.accuracy([[1, 0], [1, 2]]) == 3 / 4


def test_an_average_that_is_none_is_refused():
    with pytest.raises(InputError, match="'mean'.*'macro' or 'micro'"):
        metrics.f1(MATRIX, "mean")


# sequences

@pytest.mark.parametrize("a, b, edits", [
    ("kitten", "sitting", 3), ("", "", 0), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0),
    ("ab", "ba", 2), ("sunday", "saturday", 3), ("abcdef", "bcdefa", 2), ([1, 2, 3], (1, 3), 1),
    (["AE", "B"], ["AH", "B", "Z"], 2)])
def test_edits_are_those_by_hand(a, b, edits):
    assert metrics.edit_distance(a, b) == metrics.edit_distance(b, a) == edits


def test_edits_agree_with_the_recursive_definition():
    @cache
    def distance(a, b):
        if not a or not b:
            return len(a) + len(b)
        return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1,
                   distance(a[1:], b[1:]) + (a[0] != b[0]))

    rng = random.Random(0)
    for _ in range(300):
        a, b = ("".join(rng.choices("abc", k=rng.randrange(9))) for _ in range(2))
        assert metrics.edit_distance(a, b) == distance(a, b)


def test_the_error_rate_counts_the_closest_reference_and_divides_by_its_length():
    references = [["abc"], ["xyz", "abcd", "ab"]]
    assert metrics.error_rate(references, ["abc", "abcd"]) == 0
    assert metrics.error_rate(references, ["abd", "abx"]) == (1 + 1) / (3 + 2)
    assert metrics.error_rate(references, ["", "bcd"]) == (3 + 1) / (3 + 4)
    assert metrics.error_rate([["ab"]], ["abcde"]) == 3 / 2             # it can exceed 1
    for right in ["ab", "abcd"], ["abcd", "ab"]:                        # equally close to abc
        assert metrics.error_rate([right], ["abc"]) == 1 / 4


def test_any_reference_makes_a_word_right():
    references = [[("AE", "B", "Z"), ("EY", "B", "IY")], [("AA",)], [["K"], ["S"]], [["T"]]]
    said = [["EY", "B", "IY"], ("AA", "R"), np.array(["S"]), []]
    assert metrics.word_error_rate(references, said) == 2 / 4


@pytest.mark.parametrize("measure", [metrics.error_rate, metrics.word_error_rate])
def test_references_that_do_not_fit_are_refused(measure):
    for references, said, message in [
            ([["a"]], ["a", "b"], "1 references and 2"), ([], [], "at least one"),
            ([["a"], []], ["a", "b"], r"references\[1\]"), (["abc"], ["abc"], r"references\[0\]")]:
        with pytest.raises(InputError, match=message):
            measure(references, said)
    with pytest.raises(InputError, match="every reference is empty"):
        metrics.error_rate([[""]], ["a"])


# text

def test_perplexity_of_a_uniform_choice_is_the_number_of_choices():
    assert metrics.perplexity(0) == 1
    assert metrics.perplexity(math.log(65)) == pytest.approx(65, rel=1e-14)
    assert metrics.perplexity(800.0) == math.inf
    assert math.isnan(metrics.perplexity(math.nan))           # a diverged model has none


def test_bits_per_character_do_not_depend_on_the_tokens():
    assert metrics.bits_per_character(math.log(2), 100, 100) == 1
    assert metrics.bits_per_character(math.log(256), 30, 60) == pytest.approx(4, rel=1e-15)
    with pytest.raises(InputError, match="0 characters"):
        metrics.bits_per_character(1.0, 1, 0)
