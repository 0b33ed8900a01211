"""Collects the errors and warnings of one configuration, each with its line."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from drivers.toml.document import Document, Problem, path_text
from drivers.toml.files import files
from drivers.toml.lines import Path as KeyPath
from drivers.toml.text import open_regular

M = TypeVar("M", bound=BaseModel)

OTHERS_MAY = 0o007  # permission bits of others


class Problems:
    """The errors and warnings about one document; `misfits` are those that its schema found already."""

    def __init__(self, document: Document, misfits: Iterable[Problem] = ()) -> None:
        self.document = document
        self.base = Path(document.file).parent
        self.errors: list[Problem] = list(misfits)
        self.warnings: list[Problem] = []

    def error(self, path: KeyPath, message: str) -> None:
        """Add an error at `path`: the gateway cannot start."""
        self.add(self.document.problem(path, message))

    def add(self, problem: Problem) -> None:
        """Add an error in this or another file, once."""
        if problem not in self.errors:
            self.errors.append(problem)

    def warn(self, path: KeyPath, message: str) -> None:
        """Add a warning at `path`: the gateway can start."""
        self.warnings.append(self.document.problem(path, message))

    def is_sound(self, path: KeyPath) -> bool:
        """Whether no error was found yet at `path` or within it: what an error left unknown is not judged."""
        text, file = path_text(path), self.document.file
        return not any(
            each.file == file and (each.path == text or each.path.startswith((f"{text}.", f"{text}[")))
            for each in self.errors
        )

    def parsed(self, model: type[M], data: object) -> M | None:
        """The data as `model`; None if it is invalid, which validating the whole document reports.

        Unknown keys are ignored, so that a misspelt key does not hide other errors.
        """
        if isinstance(data, dict):
            table = cast("dict[str, object]", data)
            data = {name: value for name, value in table.items() if name in model.model_fields}
        try:
            return model.model_validate(data)
        except ValidationError:
            return None

    def file(self, path: KeyPath, name: str, *, secret: bool = False) -> Path | None:
        """The file `name`, relative to the configuration; None, with an error at `path`, if it cannot be used.

        A systemd credential (LoadCredential=) with the file's name takes precedence, since the original may then be
        readable by root only. A `secret` must not be accessible to others.
        """
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        credential = Path(credentials) / Path(name).name if credentials else None
        file = credential if credential is not None and os.path.isfile(credential) else self.base / name
        if files().vouches_for(file):
            return file
        try:
            with open_regular(file) as opened:
                mode = os.fstat(opened.fileno()).st_mode
                is_empty = not opened.read(1)
        except OSError as error:
            self.error(path, f"{file} cannot be read: {error.strerror}, accepted: a file that this user can read")
            return None
        if is_empty:
            self.error(path, f"{file} is empty, accepted: a file with content")
            return None
        if secret and mode & OTHERS_MAY:
            self.error(path, f"{file} is open to everybody, accepted: mode 0600 (chmod 600 {file})")
            return None
        files().usable(file)
        return file
