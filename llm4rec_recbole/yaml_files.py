"""YAML files and option values: safe, bounded, and with the line of each option.

Nothing here constructs Python objects. A file is refused in one line that names file and line.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any, NamedTuple

from llm4rec_recbole.errors import InputError, shorten

MAX_NODES = 100_000  # of a file, with every alias expanded
MAX_BYTES = 1 << 22
MAX_DEPTH = 100  # libyaml overflows the stack at some thousands

#: Options that are text even where YAML reads a number, a date or a comment.
_TEXT = {"model", "dataset", "config_files", "llm", "text_encoder", "t5", "warm_up"}
_TEXT |= {"field_separator", "seq_separator", "encoding"}


class YamlFile(NamedTuple):
    """The options of a file, and the line on which each stands, counted from 1."""

    values: dict[str, Any]
    lines: dict[str, int]


def is_text_option(name: str) -> bool:
    """Whether the option `name` is text as it was typed: folders, paths and names of files."""
    return name in _TEXT or name.endswith(("_dir", "_path"))


@functools.cache
def yaml_loader(base: str = "SafeLoader") -> Any:
    """A safe YAML loader that also reads `1e-4` as a number, as RecBole's files write it.

    base: PyYAML's loader; its CSafeLoader is ten times as fast, where it is installed.
    """
    import yaml

    class Loader(getattr(yaml, base, yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
        list("-+0123456789."),
    )
    return Loader


def parse_value(text: str) -> Any:
    """The value of an option given as text: YAML, or the text itself where it is not YAML.

    `None` is no value, as in Python. RecBole's intervals such as `[5,inf)` stay text. Raises
    InputError for YAML whose aliases expand beyond all bounds, and for a key that comes twice.
    """
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml_loader())
        if node is None:
            return text if text == "" else None
        _check_size(node)
        value = _construct(node)
    except InputError as error:
        raise InputError(error.message) from None  # its line is of no use
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError):
        return text
    return None if value == "None" else value


def read_yaml(path: str | Path) -> YamlFile:
    """The options of a YAML file. Raises InputError, with the line, for one that cannot be read.

    Refused are also a key that is no text, a key that occurs twice, deep nesting, and aliases that
    expand to more than MAX_NODES values.
    """
    import yaml

    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read it: {error.strerror}", file=path) from error
    if len(content) > MAX_BYTES:
        raise InputError(f"a YAML file has at most {MAX_BYTES} bytes", file=path)
    line: int | None = None
    try:
        text = content.decode("utf-8")
        loader = yaml_loader("CSafeLoader")
        _check_depth(yaml.parse(text, Loader=loader))
        node = yaml.compose(text, Loader=loader)
        if node is None or (isinstance(node, yaml.ScalarNode) and node.value in ("", "~", "null")):
            return YamlFile({}, {})
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            raise InputError("it must hold `option: value` lines", file=path, line=line)
        _check_size(node)
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = _construct(key)
            if not isinstance(name, str):
                raise InputError(f"the key {shorten(name)} is no text", file=path, line=line)
            values[name], lines[name] = _value(name, value), line
        return YamlFile(values, lines)
    except UnicodeDecodeError as error:
        raise InputError(f"this is not UTF-8 text: {error.reason}", file=path) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise InputError(
            shorten(problem), file=path, line=mark.line + 1 if mark else line
        ) from error
    except RecursionError:
        raise InputError("it is nested too deeply", file=path, line=line) from None
    except InputError as error:
        if error.file is not None:
            raise
        line = error.line or line
        raise InputError(error.message, file=path, line=line, hint=error.hint) from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:  # PyYAML's constructors
        message = f"this is no value: {shorten(str(error))}"
        raise InputError(message, file=path, line=line) from error


def _value(name: str, node: Any) -> Any:
    """The value of option `name`; a path is the text as it stands in the file."""
    import yaml

    value = _construct(node)
    if value is not None and is_text_option(name) and isinstance(node, yaml.ScalarNode):
        return node.value
    return value


def _construct(node: Any) -> Any:
    loader = yaml_loader()("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_depth(events: Any) -> None:
    from yaml.events import CollectionEndEvent, CollectionStartEvent

    depth = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise InputError("it is nested too deeply", line=event.start_mark.line + 1)


def _check_size(node: Any) -> None:
    """Raise InputError for a key that comes twice, and for a tree that is too large.

    A tree is endless, or has more than MAX_NODES nodes, each alias counted as what it stands for.
    """
    import yaml

    sizes: dict[int, int] = {}  # by id; 0 while a node is being counted

    def size(node: Any) -> int:
        if id(node) in sizes:
            if not sizes[id(node)]:
                raise InputError("an alias contains itself")
            return sizes[id(node)]
        sizes[id(node)] = 0
        total = 1
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        if not isinstance(node.value, str):
            for child in node.value:
                total += sum(map(size, child)) if isinstance(child, tuple) else size(child)
                if total > MAX_NODES:
                    raise InputError(f"its aliases expand to more than {MAX_NODES:,} values")
        sizes[id(node)] = total
        return total

    size(node)


def _check_keys(mapping: Any) -> None:
    """Raise InputError for a key that `mapping` has twice: YAML reads the last value only."""
    lines: dict[str, int] = {}
    for key, _ in mapping.value:
        if isinstance(key.value, str):
            line = key.start_mark.line + 1
            if key.value in lines:
                hint = f"first in line {lines[key.value]}"
                raise InputError(f"{shorten(key.value)} is given twice", line=line, hint=hint)
            lines[key.value] = line
