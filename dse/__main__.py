"""``python -m dse`` is the command ``partialsum``."""

from dse.cli import main

main()
