"""The command line. Commands parse, call and print; what they call is imported when they run."""

import sys

from ..errors import LncaError


def main() -> None:
    """Entry point of `lnca`: an `LncaError` becomes one sentence on stderr and exit status 2."""
    try:
        from .app import app

        app()
    except LncaError as error:
        print(f"lnca: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("lnca: interrupted", file=sys.stderr)
        sys.exit(130)
