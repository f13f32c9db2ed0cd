"""Partial responses: the `fields` parameter ("Performance tips", Calendar API guides)."""

from typing import Any

from connectors.sandbox.google.errors import invalid


def selected(value: Any, mask: str) -> Any:
    """What the mask keeps of the answer. Raises 400 for a mask that cannot be read."""
    tree, rest = _parse(mask)
    if rest:
        raise invalid(f"Invalid field selection {mask}", "fields")
    return _keep(value, tree)


def _parse(text: str) -> tuple[dict[str, Any], str]:
    """`a,b(c,d),e/f` as nested dicts, up to a closing bracket; and what follows."""
    tree: dict[str, Any] = {}
    while text and text[0] != ")":
        path = ""
        below: dict[str, Any] = {}
        while text and text[0] not in ",()":
            path, text = path + text[0], text[1:]
        if text.startswith("("):
            below, text = _parse(text[1:])
            if not text.startswith(")"):
                raise invalid("Invalid field selection", "fields")
            text = text[1:]
        *parents, leaf = path.split("/")
        node = tree
        for name in parents:
            node = node.setdefault(name, {})
        node[leaf] = below
        text = text.removeprefix(",")
    return tree, text


def _keep(value: Any, tree: dict[str, Any]) -> Any:
    if not tree or "*" in tree:
        return value
    if isinstance(value, list):
        return [_keep(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _keep(value[name], below) for name, below in tree.items() if name in value}
