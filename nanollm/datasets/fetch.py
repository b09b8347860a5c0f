"""Find a data set's file, or download it, and make sure that it is the very file meant.

    $NANOLLM_DATA       a folder of such files, if the variable is set
    data/cache          of this checkout
    download            read, checked, then written to data/cache whole: never half a file

Its sha256 is checked each time, wherever it lies.
"""

import hashlib
import os
from pathlib import Path

from nanollm.datasets.registry import REGISTRY
from nanollm.errors import InputError
from nanollm.files import write

CACHE = Path(__file__).resolve().parents[2] / "data" / "cache"
TIMEOUT = 30                                            # seconds without a byte


def get(name, *, quiet=False):
    """The path of a registered file, downloaded if need be; the file is whole and unaltered."""
    data = lookup(name)
    if not data.file:
        raise InputError(f"{name} is embedded and has no file: use text({name!r})")
    place, path = find(data)
    if place == "to download":
        download(data, path, quiet)
    elif (got := sha256(content_of(path))) != data.sha256:
        raise InputError(f"{path} is not the file meant: sha256 expected {data.sha256}, got {got}; "
                         f"delete it (it is downloaded again), or replace it by {data.url}")
    return path


def content_of(path):
    """The bytes of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def sha256(content):
    """The sha256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def lookup(name):
    """The registered data set of that name; InputError suggests the closest one."""
    if name in REGISTRY:
        return REGISTRY[name]
    from difflib import get_close_matches

    close = get_close_matches(str(name), REGISTRY, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise InputError(f"no data set or file {str(name)!r}{hint}: expected one of "
                     f"{', '.join(REGISTRY)}, or the path of a text file")


def find(data):
    """Where a data set is now, and its path: that of the download if it is nowhere yet."""
    if not data.file:
        return "embedded", None
    folder = os.environ.get("NANOLLM_DATA")
    if folder and not os.path.isdir(folder):
        raise InputError(f"NANOLLM_DATA is {folder!r}, which is not a folder: correct or unset it")
    if folder and (path := Path(folder) / data.file).is_file():
        return "$NANOLLM_DATA", path
    path = CACHE / data.file
    return ("cache" if path.is_file() else "to download"), path


def download(data, path, quiet):
    """Fetch data.url to `path`, with the right sha256 or not at all."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    from tqdm import tqdm

    by_hand = f"fetch {data.url} by hand and save it as {path}"
    content = bytearray()
    try:
        with (urlopen(data.url, timeout=TIMEOUT) as reply,
              tqdm(desc=data.file, total=data.size, unit="B", unit_scale=True, delay=1,
                   disable=quiet) as bar):
            while chunk := reply.read(min(2 ** 16, data.size - len(content))):
                content += chunk
                bar.update(len(chunk))
        if (got := sha256(content)) != data.sha256:
            raise InputError(f"what {data.url} sent is not {data.file}: expected {data.size} "
                             f"bytes with sha256 {data.sha256}, got {len(content)} bytes with "
                             f"{got}; try again, or {by_hand}")
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, content)
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()                               # it keeps the connection open
        raise InputError(f"cannot download {data.name} ({error}): {by_hand}, or set NANOLLM_DATA "
                         f"to a folder that has {data.file}") from None
