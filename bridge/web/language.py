"""The languages of the pages. English texts stand in the pages and name their translations."""

from collections.abc import Mapping

from starlette.requests import Request

from bridge.web.chinese import CHINESE

LANGUAGES = {"en": "English", "zh": "中文"}
_TEXTS: Mapping[str, Mapping[str, str]] = {"en": {}, "zh": CHINESE}


def choose(request: Request) -> str:
    """What the visitor asked for: now, before, or by his browser's settings."""
    for wanted in (request.query_params.get("lang"), request.cookies.get("lang")):
        if wanted in LANGUAGES:
            return wanted
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.partition(";")[0].strip().lower().partition("-")[0]
        if tag in LANGUAGES:
            return tag
    return "en"


def translate(language: str, text: str, **values: object) -> str:
    """`text` in that language with `{name}` filled in; English where there is no translation."""
    found = _TEXTS[language].get(text, text)
    return found.format(**values) if values else found
