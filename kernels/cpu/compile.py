"""How every CPU kernel is compiled: once, here, and with one set of permissions.

nogil        a running kernel does not hold Python's lock, so that plain threads run kernels side
             by side (threads.py). Kernels themselves are serial loops: `parallel=True` triples
             the time to compile and brings threads of its own, which fight with BLAS's.
fastmath     sums may be reordered (needed for SIMD: one partial sum a lane) and a*b + c fused.
             Not `True`: that would also promise "no inf, no nan", and a causal mask is made of
             -inf.
error_model  "numpy": x / 0 is inf, as in NumPy. Numba's default raises instead, and a loop that
             may raise is never vectorized.
cache        machine code is kept in a folder, and the next run starts at once. Numba notices an
             edit of a kernel's own file, but not of a helper in another one, so the folder is
             named after a hash of all sources: after any edit, everything is compiled anew.

The first call of a kernel compiles it, and announce.py tells the user.
"""

import hashlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from numba import config, njit

from kernels.cpu import announce

SOURCES = Path(__file__).resolve().parents[1]    # the folder kernels/
PAGES = SOURCES.parent / "nanollm" / "ops"       # whose constants the kernels use
OPTIONS = {"nogil": True, "error_model": "numpy",
           "fastmath": {"reassoc", "contract", "arcp", "nsz"}}
HOUR = 3600                                      # seconds
PROCESS = secrets.token_hex(4)                   # a name for this one


def kernel(function):
    """The decorator of every kernel (with NUMBA_DISABLE_JIT=1 it leaves plain Python)."""
    if config.DISABLE_JIT:
        return function
    ours = Path(function.__code__.co_filename).resolve().is_relative_to(SOURCES)
    before, config.CACHE_DIR = config.CACHE_DIR, str(FOLDER or "")
    try:                                         # Numba settles here where it will cache
        compiled = njit(**OPTIONS, cache=bool(FOLDER and ours))(function)
    finally:
        config.CACHE_DIR = before                # and puts a reader's kernels where it always did
    if files := getattr(compiled._cache, "_cache_file", None):
        # Numba numbers its files: two processes that write at once would give one number to a
        # float32 and to a float64 kernel, and later runs would load the wrong one.
        files._data_name_pattern = files._data_name_pattern.replace("{", f"{PROCESS}-{{")
    announce.ours.add(compiled)
    return compiled


def source_hash(*folders):
    """Twelve digits that change when any source under `folders` does."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            name, text = path.relative_to(folder).as_posix(), path.read_bytes()
            digest.update(f"{name}\0{len(text)}\0".encode() + text)
    return digest.hexdigest()[:12]


def cache_folder():
    """Where machine code is kept: the first of three places that can be written, or None."""
    name = f"numba-{source_hash(SOURCES, PAGES)}"
    for parent in (config.CACHE_DIR, SOURCES / "__pycache__", user_caches()):
        if parent and is_writable(folder := Path(parent, name)):
            remove_stale(folder)
            return folder
    return None


def user_caches():
    """Our folder among the caches of this user, wherever this system has them."""
    if sys.platform == "win32":
        caches = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        caches = "~/Library/Caches"
    else:
        caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.path.expanduser(caches), "nanollm")


def is_writable(folder):
    """Can `folder` be made, and files in it? Asked by trying: permissions do not tell all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        return True
    except OSError:
        return False


def remove_stale(folder):
    """Remove the folders of other sources, unless a process has begun with one in this hour."""
    with suppress(OSError):                      # another process may be removing them as well
        os.utime(folder)
        for other in folder.parent.glob("numba-*"):
            if other != folder and other.stat().st_mtime < time.time() - HOUR:
                shutil.rmtree(other, ignore_errors=True)


FOLDER = None if config.DISABLE_JIT else cache_folder()
