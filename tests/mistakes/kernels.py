"""Mistakes planted in the exercises of the group "kernels"; the columns are in __init__.py."""

ROWS = []
