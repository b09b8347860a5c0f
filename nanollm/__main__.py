"""`python -m nanollm`"""

import sys

try:
    from nanollm.cli import main
except ModuleNotFoundError as error:
    sys.exit(f"nanollm: {error.name} is not installed for {sys.executable}: use .venv/bin/python, "
             "which `make demo` sets up (see README.md)")

if __name__ == "__main__":
    sys.exit(main())
