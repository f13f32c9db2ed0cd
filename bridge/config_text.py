"""Reads the YAML file: values, the line of each, and `${...}` filled in.

Knows nothing of what the keys mean.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bridge.errors import ConfigError, ConfigProblem

PLACEHOLDER = "replace"
"""A default with this word stands for something that has to be set."""
REFERENCE = re.compile(r"\$\{(?:(file):)?([^}]*?)(?::-([^}]*))?\}")


@dataclass(slots=True)
class Text:
    """A loaded file. `lines` maps the path of every key and item to its line; `unset` names the
    variables for which something stands in that is nothing yet."""

    source: str
    value: Any
    lines: dict[tuple[str | int, ...], int] = field(default_factory=dict)
    unset: list[ConfigProblem] = field(default_factory=list)

    def line(self, path: tuple[str | int, ...]) -> int | None:
        """The line of a path, or of its nearest parent that has one."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return None


def dotted(path: tuple[str | int, ...]) -> str:
    """A path for people: `users.alice.links[0].content`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def read(path: Path, environment: Mapping[str, str]) -> Text:
    """The file's content with every `${NAME}`, `${NAME:-default}`, `${file:PATH}` replaced.

    Relative file paths start at the config's folder. Raises `ConfigError` naming each missing
    variable, unreadable file, duplicate key and YAML fault.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        problem = ConfigProblem(
            place="", message=f"cannot be read ({error.strerror}); `calbridge init` writes one"
        )
        raise ConfigError(str(path), (problem,)) from None
    except UnicodeDecodeError:
        problem = ConfigProblem(place="", message="is not UTF-8 text")
        raise ConfigError(str(path), (problem,)) from None
    try:
        node = yaml.compose(source, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = ConfigProblem(
            place="",
            message=f"not valid YAML: {getattr(error, 'problem', None) or 'unreadable'}",
            line=mark.line + 1 if mark else None,
        )
        raise ConfigError(str(path), (problem,)) from None
    reader = _Reader(path.parent, environment)
    value = reader.value(node, ()) if node is not None else {}
    text = Text(str(path), value, reader.lines, reader.unset)
    if reader.problems:
        raise ConfigError(str(path), tuple(reader.problems))
    return text


class _Reader:
    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._constructor = yaml.SafeLoader("")
        self.lines: dict[tuple[str | int, ...], int] = {}
        self.problems: list[ConfigProblem] = []
        self.unset: list[ConfigProblem] = []

    def value(self, node: yaml.Node, path: tuple[str | int, ...]) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        try:
            plain = self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._problem(path, "cannot be understood as it is; put it in quotes")
            return ""
        return self._fill(plain, path) if isinstance(plain, str) else plain

    def _mapping(self, node: yaml.MappingNode, path: tuple[str | int, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            here = (*path, key)
            self.lines[here] = key_node.start_mark.line + 1
            if key in result:
                self._problem(here, "stands here twice; keep one of them")
            result[key] = self.value(value_node, here)
        return result

    def _fill(self, text: str, path: tuple[str | int, ...]) -> str:
        def replaced(match: re.Match[str]) -> str:
            kind, name, default = match.groups()
            if kind == "file":
                try:
                    return (self._folder / Path(name).expanduser()).read_text("utf-8").strip()
                except (OSError, UnicodeDecodeError):
                    self._problem(path, f"file {name!r} cannot be read; check path and rights")
                    return ""
            if name not in self._environment and default is None:
                self._problem(path, f"environment variable {name} is not set; set it and try again")
            found = self._environment.get(name)
            if not found and default is not None and (not default or PLACEHOLDER in default):
                message = f"environment variable {name} is not set yet"
                line = self.lines.get(path)
                self.unset.append(ConfigProblem(place=dotted(path), message=message, line=line))
            return found or default or ""

        return REFERENCE.sub(replaced, text)

    def _problem(self, path: tuple[str | int, ...], message: str) -> None:
        self.problems.append(
            ConfigProblem(place=dotted(path), message=message, line=self.lines.get(path))
        )
