"""What a check of one configuration found, gathered while it goes on: errors and warnings, each with its line."""

import os
from pathlib import Path
from typing import TypeVar, cast

from pydantic import BaseModel, ValidationError

from drivers.toml.document import Document, Problem
from drivers.toml.lines import Path as KeyPath

M = TypeVar("M", bound=BaseModel)

OTHERS_MAY = 0o007  # permission bits of everybody but owner and group


class Problems:
    """Everything that was found in one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.base = Path(document.file).parent
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def error(self, path: KeyPath, message: str) -> None:
        """The gateway cannot start with what stands at `path`."""
        self.add(self.document.problem(path, message))

    def add(self, problem: Problem) -> None:
        """An error in this or another file; one that several tables share is reported once."""
        if problem not in self.errors:
            self.errors.append(problem)

    def warn(self, path: KeyPath, message: str) -> None:
        """The gateway can start, and somebody should know."""
        self.warnings.append(self.document.problem(path, message))

    def sound(self, model: type[M], data: object) -> M | None:
        """The data as `model`, None where it does not fit: its misfits are found with the document's.

        An unknown key is left out here: a slip of the keyboard must not hide what else is wrong.
        """
        if isinstance(data, dict):
            table = cast("dict[str, object]", data)
            data = {name: value for name, value in table.items() if name in model.model_fields}
        try:
            return model.model_validate(data)
        except ValidationError:
            return None

    def file(self, path: KeyPath, name: str, *, secret: bool = False) -> Path | None:
        """The readable file that `name` at `path` means; None, reported as an error, where there is none.

        A name is relative to the configuration. Where systemd handed the service a credential of the file's name
        (LoadCredential=), that is taken: the original is then readable by root alone.
        """
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        handed = Path(credentials) / Path(name).name if credentials else None
        file = handed if handed is not None and os.path.isfile(handed) else self.base / name
        try:
            with file.open("rb") as opened:
                mode = os.fstat(opened.fileno()).st_mode
                is_empty = not opened.read(1)
        except OSError as error:
            self.error(path, f"{file} cannot be read: {error.strerror}")
            return None
        if is_empty:
            self.error(path, f"{file} is empty")
            return None
        if secret and mode & OTHERS_MAY:
            self.error(path, f"{file} is open to everybody, accepted: mode 0600 (chmod 600 {file})")
            return None
        return file
