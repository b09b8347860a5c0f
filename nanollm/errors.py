"""The one exception that is addressed to the user."""


class InputError(ValueError):
    """Bad input, told in one line: what was wrong, what was expected, what to do.

    The command line prints the message and ends with exit code 2. Every other exception is a bug
    of ours and keeps its traceback.
    """
