"""The parser of every command's options. Not in console.py, which must be imported at once."""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

from llm4rec_recbole.errors import InputError, did_you_mean


class Parser(argparse.ArgumentParser):
    """argparse's parser, which refuses a command line in one line and takes no abbreviations."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        """Raise InputError, with the name that is nearest to an option that does not exist."""
        unknown = re.fullmatch(r"unrecognized arguments: (-\S*?)(=.*|\s.*)?", message)
        if unknown is not None:
            names = [name for name in self._option_string_actions if name.startswith("--")]
            message = f"there is no option {unknown[1]}{did_you_mean(unknown[1], names)}"
        raise InputError(message, hint=f"{self.prog} --help")
