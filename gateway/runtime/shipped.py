"""The place of the files that ship with the program: profiles, policies, scenarios, examples."""

from pathlib import Path


def shipped_dir() -> Path:
    """The `config/` tree: inside the package when installed from a wheel, at the top of a checkout otherwise."""
    installed = Path(__file__).parents[1] / "shipped"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "config"
