"""Which set of kernels runs: three modules with the same names in them.

    numpy   nanollm.ops      the reference, the text of the book
    numba   kernels.cpu      the same functions, compiled for the CPU (the default)
    cuda    kernels.cuda     the same functions on device arrays

Choose with `backend.use("numpy")`, for good or for a `with` block, or with the environment variable
NANOLLM_BACKEND. The choice is local to a context (`contextvars`): a server's threads do not see
each other's. (The number of threads that BLAS uses belongs to the process: choose a backend before
starting threads.) A kernel package is imported when it is first used.
"""

import os
from contextvars import ContextVar
from functools import cache
from importlib import import_module

from nanollm.errors import InputError

MODULES = {"numpy": "nanollm.ops", "numba": "kernels.cpu", "cuda": "kernels.cuda"}
_chosen = ContextVar("backend", default=None)


class use:
    """`use("numba")` from here on, or `with use("numba"):` inside the block.

    Raises InputError for a name that is no backend, or a backend this machine cannot run.
    """

    def __init__(self, name):
        module(name).activate()
        self._token = _chosen.set(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _chosen.reset(self._token)
        if _chosen.get() or _default.cache_info().currsize:     # else none was in use before
            module().activate()


def current():
    """The name of the backend in use."""
    return _chosen.get() or _default()


def module(name=None):
    """The module of a backend (of the current one without a name)."""
    return _module(name or current())


def lookup(op):
    """The pair (forward, backward) that the current backend has for `op`."""
    return _pair(_chosen.get() or _default(), op)


@cache
def _default():
    name = os.environ.get("NANOLLM_BACKEND") or "numba"
    _module(name).activate()
    return name


@cache
def _module(name):
    if name not in MODULES:
        raise InputError(f"no backend {name!r}; choose one of {', '.join(MODULES)} "
                         "(--backend, NANOLLM_BACKEND or backend.use)")
    try:
        return import_module(MODULES[name])
    except ModuleNotFoundError as error:
        raise InputError(f"the {name} backend needs {error.name}, which is not installed here: "
                         "pip install -r requirements.txt, or use --backend numpy") from None


@cache
def _pair(name, op):
    module = _module(name)
    if not hasattr(module, op):
        raise InputError(f"the {name} backend has no {op}; use --backend numba or numpy")
    return getattr(module, op), getattr(module, op + "_backward")
