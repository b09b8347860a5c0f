"""Mistakes planted in the exercises of the group "cuda"; the columns are in __init__.py."""

ROWS = []
