"""Mistakes planted in the exercises of the group "pieces"; the columns are in __init__.py."""

ROWS = []
