"""Listings that lie: what a reader must survive without deleting or inventing anything."""

import json
from typing import Any

from connectors.sandbox.http import Response


def rewritten(name: str, response: Response) -> Response:
    """A spoilt copy of a listing's answer; other answers stay as they are.

    `short` keeps one item of ten, `empty` none, both still claiming to be whole; `truncate_page`
    cuts the page in half and ends the listing without any token; `malformed` breaks the fields of
    one item; `unknown_fields` adds what nobody knows. Raises KeyError for another name.
    """
    spoil = {
        "short": _short,
        "empty": _empty,
        "truncate_page": _truncate,
        "malformed": _malformed,
        "unknown_fields": _unknown_fields,
    }[name]
    body = json.loads(response.body)
    data = body.get("data")
    if isinstance(data, dict) and isinstance(data.get("items"), list):
        spoil(data)
        response.body = json.dumps(body, ensure_ascii=False).encode()
    return response


def _short(data: dict[str, Any]) -> None:
    data["items"] = data["items"][::10]


def _empty(data: dict[str, Any]) -> None:
    data["items"] = []


def _truncate(data: dict[str, Any]) -> None:
    data["items"] = data["items"][: len(data["items"]) // 2]
    data["has_more"] = False
    data.pop("page_token", None)
    data.pop("sync_token", None)


def _malformed(data: dict[str, Any]) -> None:
    for item in data["items"][:1]:
        item["start_time"] = {"timestamp": "soon", "timezone": "Mars/Olympus"}
        item["recurrence"] = "FREQ=SOMETIMES"


def _unknown_fields(data: dict[str, Any]) -> None:
    for item in data["items"]:
        item["mood"] = {"level": [1, {"deep": True}]}
        item.setdefault("vchat", {})["hologram"] = "yes"
        item["visibility"] = "whispered"
