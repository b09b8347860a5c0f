"""The pictures: what is drawn where, without looking at them."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from nanollm import figures
from nanollm.errors import InputError


@pytest.fixture
def axes():
    return Figure().subplots()


def written(axes):
    return [text.get_text() for text in axes.texts]


def test_a_matrix_shows_names_and_numbers(axes):
    figures.matrix(axes, np.array([[0.0, -0.004], [1.0, 0.5]]), ["a b", "$"], signed=True,
                   numbers="{:.2f}")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a␣b", r"\$"]
    assert written(axes) == ["0.00", "0.00", "1.00", "0.50"]


def test_a_zero_has_no_sign(axes):
    figures.matrix(axes, np.array([[0.0, -0.004, 0.004, -0.5, 0.5]]), signed=True,
                   numbers="{:+.2f}")
    assert written(axes) == ["0.00", "0.00", "0.00", "-0.50", "+0.50"]


def test_the_bar_of_a_matrix_can_say_what_it_shows(axes):
    for bar, shown in (False, []), (True, [""]), ("value", ["", "value"]):
        figures.matrix(axes, np.eye(2), bar=bar)
        assert [beside.get_ylabel() for beside in axes.figure.axes[1:]] == shown


@pytest.mark.parametrize("signed", [False, True])
def test_numbers_stand_out_from_their_shade(axes, signed):
    x = np.linspace(-1 if signed else 0, 1, 21)[None]
    image = figures.matrix(axes, x, numbers="{:.1f}", signed=signed)
    for value, text in zip(x[0], axes.texts):
        light = np.array([0.2126, 0.7152, 0.0722]) @ (np.array(image.to_rgba(value)[:3]) ** 2.2)
        black, white = (light + 0.05) / 0.05, 1.05 / (light + 0.05)
        assert (black if text.get_color() == "black" else white) > 3     # WCAG 2.1, large text


def test_a_strip_has_each_piece_once_and_says_how_many(axes):
    figures.strips(axes, {"words": ["to", " be"], "letters": list("to be")})
    assert written(axes) == ["to", "␣be", "t", "o", "␣", "b", "e"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["words: 2", "letters: 5"]


def test_labels_do_not_cover_each_other_or_a_point(axes):
    points = np.array([[0.5, 0.5], [0.52, 0.5], [0.5, 0.53], [0.9, 0.1]])
    axes.plot(*points.T, "o")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    names = ["first", "second", "third", "fourth"]
    figures.labels(axes, points, names)
    assert written(axes) == names
    axes.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    at = axes.transData.transform(points)
    assert not any(box.contains(*point) for box in boxes for point in at)


def test_without_widgets_a_slider_draws_once_with_the_defaults_or_the_middle():
    drawn = []
    figures.slider(lambda t, n=3, kind="b": drawn.append((t, n, kind)),
                   t=(0.0, 2.0, 0.1), n=(1, 9, 1), kind=["a", "b", "c"])
    assert drawn == [(1.0, 3, "b")]


def test_with_widgets_what_has_a_range_moves_and_nothing_else(monkeypatch):
    shown = {}
    monkeypatch.setattr(figures, "live", lambda: True)
    monkeypatch.setattr("ipywidgets.interact", lambda draw, **controls: shown.update(controls))
    figures.slider(lambda t, n=3, kind="b", at=0.5: None,
                   t=(0.0, 2.0, 0.1), n=(1, 9, 1), kind=["a", "b", "c"])
    assert {name: (type(control).__name__, control.value) for name, control in shown.items()} == {
        "t": ("FloatSlider", 1.0), "n": ("IntSlider", 3), "kind": ("SelectionSlider", "b"),
        "at": ("fixed", 0.5)}


def test_a_picture_is_saved_in_the_style_or_a_line_says_why_not(tmp_path):
    with figures.picture(tmp_path / "x.png") as axes:
        axes.plot([1, 2])
    assert (tmp_path / "x.png").stat().st_size > 5000
    for path in tmp_path / "x.none", tmp_path:
        with pytest.raises(InputError, match="cannot save the picture as .*choose another name"):
            with figures.picture(path):
                pass
    with figures.picture(tmp_path / "plain"):
        pass
    assert (tmp_path / "plain").is_file()
