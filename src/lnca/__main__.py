"""`python -m lnca`."""

from .cli import main

main()
