"""Mistakes planted in the exercises of the group "museum"; the columns are in __init__.py."""

ROWS = []
