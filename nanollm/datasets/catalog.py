"""What can be read: a registered data set by its name, any UTF-8 file by its path."""

import os
import platform
from pathlib import Path

from nanollm.datasets.fetch import content_of, find, get, lookup, sha256
from nanollm.datasets.registry import REGISTRY
from nanollm.errors import InputError


def text(source, *, quiet=False):
    """The text of a registered data set, or of a local UTF-8 file given by its path.

    A registered name comes before a file of the same name: write ./names for the file.
    """
    if source == "pydoc":
        return pydoc()
    local = source not in REGISTRY
    if local and os.path.isdir(source):
        raise InputError(f"{source} is a folder: expected a text file")
    path = Path(source) if local and os.path.isfile(source) else get(source, quiet=quiet)
    try:
        found = content_of(path).decode("utf-8-sig" if local else REGISTRY[source].encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: byte 0x{error.object[error.start]:02x} at "
                         f"position {error.start}; save it as UTF-8 first") from None
    if not found:
        raise InputError(f"{path} is empty: expected some text")
    return found


def pydoc():
    """The help topics of this Python, in sorted order, a blank line between them."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise InputError("this Python comes without its help texts (pydoc_data): choose another "
                         "data set") from None
    return "\n".join(topics[name] for name in sorted(topics))


def rows():
    """One dict for each data set, for a list: name, size, where it is found now, what it is."""
    return [{key: details(name)[key] for key in ("name", "size", "where", "what")}
            for name in REGISTRY]


def details(name):
    """All that is known of one data set, as a dict; nothing is downloaded.

    name, what, license, origin, url, size, sha256; where: embedded, $NANOLLM_DATA, cache or
    to download; path: where the file is or will be. url and path are "" if embedded.
    """
    data = lookup(name)
    place, path = find(data)
    known = {"name": name, "what": data.what, "license": data.license, "origin": data.origin,
             "url": data.url, "size": data.size, "sha256": data.sha256, "where": place,
             "path": str(path or "")}
    if place == "embedded":
        embedded = pydoc().encode()
        known |= {"size": len(embedded), "sha256": sha256(embedded),
                  "origin": f"{data.origin}; this is Python {platform.python_version()}"}
    return known
