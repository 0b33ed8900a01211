"""A process killed at a system call of its own."""

KILLED = -9


def strace(*options: str) -> list[str]:
    """The start of a command line that watches, or spoils, the writes of the command after it."""
    return ["strace", "-f", "-qq", "-e", "trace=pwrite64", *options]
