"""`python -m gateway` is `capgate`."""

from gateway.cli import main

main()
