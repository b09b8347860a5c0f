"""The exercises: solved pages pass, empty ones are told so, mistakes by their kind."""

import functools
import re

import pytest

import mistakes
from mistakes.__main__ import in_a_process
from nanollm.exercises import catalog

ROWS = [(group, n, *row) for group in mistakes.GROUPS
        for n, row in enumerate(mistakes.rows(group))]
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
