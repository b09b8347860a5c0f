"""Files that are whole or not there: written under another name, flushed to the disk, renamed.

A rename happens wholly or not at all, so a reader, or a machine that comes back after a power cut,
finds the old file or the new one and never half of either.
"""

import json
import os
from pathlib import Path

from nanollm.errors import InputError


def flush(path):
    """Return once what was written to a file or folder is on the disk, not in a buffer."""
    if os.name == "nt" and path.is_dir():
        return                                          # Windows does it by itself
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path, data):
    """Write a file of bytes whole or not at all."""
    partial = Path(f"{path}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        flush(partial)
        os.replace(partial, path)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None     # the name users know
    finally:
        partial.unlink(missing_ok=True)


def write_json(path, content):
    """Write a JSON file whole or not at all."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write(path, text.encode("utf-8", "backslashreplace"))       # a lone surrogate: JSON's \udc80


def read_json(path):
    """What a JSON file holds. Raises InputError where it is missing, damaged, or no object."""
    try:
        content = json.loads(Path(path).read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: it is damaged, or no JSON ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object: nanollm did not write it")
    return content
