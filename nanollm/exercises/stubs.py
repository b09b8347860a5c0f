"""The student's file, made from the solved page, so that it never drifts from it.

The page's docstring, imports and helpers stay. The bodies of the exercise's `blanks` become a line
that says so; what the museum's pieces exchange is exchanged.
"""

import ast
import textwrap

from nanollm.checkout import ROOT

TASKS = {
    "pairs": 'write what says "write me"; the rest is given. A forward returns (y, saved); saved '
             "is a tuple of what the backward needs. A backward returns a tuple: one gradient for "
             "each array, in their order, None for ids and masks. Where y is a tuple (y, p), so is "
             "dy: (dy, dp). Inputs and dy stay as they are, and float32 gives float32.",
    "museum": "this program has a bug. Find it and mend it; leave the names as they are.",
    "": 'write what says "write me"; the rest is given.'}
WRITE_ME = ": write me"                          # the end of what an empty body raises
BAD_INPUT = " {names} {turn} bad input away: call {it} or leave {it} out, no check asks for that."
HEAD = """
{task}
#     python -m nanollm exercise check {name}
#     python -m nanollm exercise hint {name}
"""


def page(exercise):
    """The text of the solved page."""
    return text(exercise.page)


def text(path):
    """The text of a file, from the project's root."""
    return (ROOT / path).read_text("utf-8")


def make(exercise):
    """The text of the student's file."""
    source = page(exercise)
    for right, wrong in exercise.broken:
        if source.count(right) != 1:
            raise ValueError(f"{exercise.page} has {source.count(right)} times {right!r}, not once")
        source = source.replace(right, wrong)
    lines = source.splitlines(keepends=True)
    found = functions(ast.parse(source))
    for name in sorted(exercise.blanks, key=lambda name: -found[name].lineno):
        body = found[name].body
        if ast.get_docstring(found[name]) is not None:
            body = body[1:]
        indent = " " * body[0].col_offset
        lines[body[0].lineno - 1:body[-1].end_lineno] = [
            f'{indent}raise NotImplementedError("{name}{WRITE_ME}")\n']
    return with_head(exercise, "".join(lines))


def with_head(exercise, source):
    """`source` with the exercise's task in comments under its docstring."""
    tree, lines = ast.parse(source), source.splitlines(keepends=True)
    pairs = any(f"{name}_backward" in exercise.blanks for name in exercise.blanks)
    task = TASKS["museum" if not exercise.blanks else
                 "pairs" if pairs and exercise.group == "ops" else ""]
    if exercise.group == "ops":
        task += on_bad_input(tree)
    task = textwrap.fill(f"Exercise {exercise.name}: {task}", 98, initial_indent="# ",
                         subsequent_indent="# ", break_on_hyphens=False)
    lines.insert(tree.body[0].end_lineno, HEAD.format(name=exercise.name, task=task))
    return "".join(lines)


def on_bad_input(tree):
    """What is said of the functions that check inputs, and whose calls a stub has lost; or "".

    They are named check_NAME, or come from ops/checks.py and are called by none of these.
    """
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom)
                for alias in node.names if alias.name.startswith("check_")
                or node.module == "nanollm.ops.checks" and alias.name not in used]
    *most, last = [*imported, *(n for n in functions(tree) if n.startswith("check_"))] or [""]
    if not last:
        return ""
    return BAD_INPUT.format(names=f"{', '.join(most)} and {last}" if most else last,
                            turn="turn" if most else "turns", it="them" if most else "it")


def functions(tree):
    """{name: node} of the functions of a module, and of its classes as "Class.method"."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            found.update({f"{node.name}.{name}": inner
                          for name, inner in functions(node).items()})
    return found


def plant(source, function, right, wrong):
    """A page's text with `right` replaced in one of its functions ("": in the whole page)."""
    lines, first, last = source.splitlines(keepends=True), 0, None
    if function:
        node = functions(ast.parse(source))[function]
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
        last = node.end_lineno
    part = "".join(lines[first:last])
    if right not in part:
        raise ValueError(f"{function or 'the page'} has no {right!r}: adapt what is planted there")
    return "".join(lines[:first]) + part.replace(right, wrong) + (
        "".join(lines[last:]) if function else "")


def is_empty(node):
    """Does a function's body still say "write me"?"""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return len(body) == 1 and isinstance(body[0], ast.Raise) and WRITE_ME in ast.unparse(body[0])


def signature(node):
    """A function's parameters as they are written, without annotations."""
    parameters = ast.parse(ast.unparse(node)).body[0].args
    for parameter in ast.walk(parameters):
        if isinstance(parameter, ast.arg):
            parameter.annotation = None
    return ast.unparse(parameters)
