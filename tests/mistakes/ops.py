"""Mistakes planted in the op pages: the suspects of their exercises, and some that are none.

A suspect must be told by its own words.
"""

import re

from nanollm.exercises import catalog

ROWS = [(exercise.name, function, old, new, re.escape(words))
        for exercise in catalog.all_of_them() if exercise.group == "ops"
        for function, old, new, words in exercise.suspects]
