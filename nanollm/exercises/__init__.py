"""Exercises that grade themselves: write a page of the book again, and be told what is wrong.

spec.py       what an exercise is; Wrong, expect, call, pair: how its checks speak
specs/        one exercise a file;  pages/: solved pages of those that are no page of the book
catalog.py    finds them
stubs.py      makes the student's file from the solved page
of_ops.py     the checks of ops, from the tests' table of situations; of_recurrence.py: of those
              through time, too
of_kernels.py the checks of compiled kernels; turns.py: races of a loop over prange
of_cuda.py    the checks of CUDA puzzles, in Numba's simulator
examine.py    runs the checks on a student's file, in this process
isolated.py   runs examine.py in a process of its own, with a time limit
sheet.py      the folder where the student works, and the score sheet
collect.py    lets `pytest exercises` do the same checks
"""
