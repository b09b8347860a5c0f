"""Run all rows of a group: a table of the messages, or JSON for test_exercises.py.

Each group runs in a process of its own, with the environment that its exercises ask for.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mistakes
from nanollm.exercises import catalog, stubs
from nanollm.exercises.examine import PASSED, examine


def outcomes(group):
    """What the checks say of each solved page, of each stub, and of what is planted in pages."""
    exercises = [e for e in catalog.all_of_them() if e.group == group]
    by_name = {e.name: e for e in exercises}
    with tempfile.TemporaryDirectory() as folder:
        def first(exercise, text):
            """[state, message] of the first check that does not pass, or None."""
            path = Path(folder) / f"{exercise.name}.py"
            path.write_text(text, "utf-8")
            for verdict in examine(exercise, path):
                if verdict.state != PASSED:
                    return [verdict.state, verdict.message]
            return None

        def planted(name, function, old, new, *_):
            return first(by_name[name], stubs.plant(stubs.page(by_name[name]), function, old, new))

        return {"solved": {e.name: first(e, stubs.page(e)) for e in exercises},
                "stubs": {e.name: first(e, stubs.make(e)) for e in exercises},
                "mistakes": [planted(*row) for row in mistakes.rows(group)],
                "right": [planted(*row) if row[0] in by_name else None
                          for row in mistakes.rows("right")]}


def in_a_process(group):
    """outcomes(group), in a process that begins with the environment of the group's exercises."""
    environment = dict(os.environ)
    for exercise in catalog.all_of_them():
        if exercise.group == group:
            environment.update(exercise.environment)
    result = subprocess.run([sys.executable, "-m", "tests.mistakes", group, "--json"],
                            cwd=mistakes.TESTS.parent, env=environment, text=True,
                            encoding="utf-8", stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser(description="Planted mistakes and what is said of them.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(mistakes.GROUPS))
    parser.add_argument("--json", action="store_true", help="the outcomes of one group, as JSON")
    args = parser.parse_args()
    if args.json:
        json.dump(outcomes(*args.groups), sys.stdout)
        return
    for group in args.groups or mistakes.GROUPS:
        print(f"\n## {group}\n\n| exercise | in | was | planted | told |\n|---|---|---|---|---|")
        found = in_a_process(group)["mistakes"]
        for (name, function, old, new, _), outcome in zip(mistakes.rows(group), found):
            message = "NOTHING" if outcome is None else "<br>".join(
                line.strip() for line in outcome[1].splitlines())
            print(f"| {name} | {function} | `{code(old)}` | `{code(new)}` | {cell(message)} |")


def code(text):
    return cell(" ".join(text.split())) or "nothing"


def cell(text):
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
