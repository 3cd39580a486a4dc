"""How atomic files are written: the options of RecBole's that say so, checked."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Any

from llm4rec_recbole.errors import InputError


@dataclass(frozen=True)
class AtomicFormat:
    """How a data set's atomic files are written. Each field is an option of RecBole's."""

    user_field: str = "user_id"
    item_field: str = "item_id"
    time_field: str = "timestamp"
    separator: str = "\t"
    sequence_separator: str = " "
    encoding: str = "utf-8"

    @classmethod
    def of(cls, config: Any) -> AtomicFormat:
        """The format that RecBole's `config` describes. Raises InputError for an unusable value."""
        separator, encoding = config["field_separator"], config["encoding"] or "utf-8"
        separator = "\t" if separator == r"\t" else separator  # as a shell passes it on
        if not (isinstance(separator, str) and len(separator) == 1 and separator.isascii()):
            hint = "one ASCII character, such as ',' or a tab"
            raise InputError(f"field_separator is {separator!r}", hint=hint)
        if separator in '\n\r\0"':
            raise InputError(f"field_separator is {separator!r}", hint="such as ',' or a tab")
        if not (isinstance(config["seq_separator"], str) and config["seq_separator"]):
            raise InputError(f"seq_separator is {config['seq_separator']!r}", hint="such as ' '")
        try:
            is_text = codecs.lookup(encoding)._is_text_encoding
        except (LookupError, TypeError, ValueError):
            is_text = False
        if not is_text:
            hint = "a name that Python knows, such as utf-8 or latin-1"
            raise InputError(f"encoding is {encoding!r}", hint=hint)
        user, item, time = (config[f"{name}_FIELD"] for name in ("USER_ID", "ITEM_ID", "TIME"))
        return cls(user, item, time, separator, config["seq_separator"], encoding)

    def type_of(self, field: str) -> str:
        """The type that the user, item or time column must have."""
        return "float" if field == self.time_field else "token"


DEFAULT_FORMAT = AtomicFormat()
