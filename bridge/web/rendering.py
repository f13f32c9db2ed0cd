"""Templates into pages. Everything that comes from outside is escaped."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from bridge import wording
from bridge.records import Link
from bridge.web.language import LANGUAGES, translate
from bridge.web.sayings import retold, value

if TYPE_CHECKING:
    from bridge.web.site import Visit

_CHINESE_SIDE = re.compile(r"\b[ab](?= 端)")
_CHINESE_UNITS = ("天", "小时", "分", "秒")


class Renderer:
    """The pages' templates, with the little that they need besides their facts."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._version = version("feishu-calendar-bridge")
        self._templates = Environment(
            loader=PackageLoader("bridge.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["stamp"] = stamp
        self._templates.filters["sides"] = sides
        self._templates.filters["field"] = wording.field_word

    def say(self, language: str, text: str, **values: object) -> str:
        """`text` in that language."""
        return translate(language, text, **values)

    def render(self, template: str, visit: "Visit", **facts: Any) -> str:
        """A page for one visitor."""
        language = visit.language
        return self._templates.get_template(template).render(
            _=partial(self.say, language),
            told=partial(retold, language),
            value=partial(value, language),
            ago=partial(self._ago, language),
            span=partial(span, language=language),
            now=self._now(),
            language=language,
            languages=LANGUAGES,
            other_language=partial(_in_language, visit),
            visitor=visit.visitor,
            csrf=visit.session.csrf,
            path=visit.request.url.path,
            version=self._version,
            **facts,
        )

    def _ago(self, language: str, at: datetime) -> str:
        passed = self._now() - at
        if passed < timedelta(0):
            return self.say(language, "in {time}", time=span(-passed, language))
        if passed < timedelta(seconds=5):
            return self.say(language, "just now")
        return self.say(language, "{time} ago", time=span(passed, language))


def stamp(at: datetime) -> str:
    """An instant for people: UTC to the second. Browsers with scripts show their own time."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def sides(text: str, link: Link) -> str:
    """A sentence of the bridge with its sides a and b called by their connectors' names."""
    names = wording.side_names(link)
    return _CHINESE_SIDE.sub(lambda match: names[match[0]], wording.sides(text, names))


def span(time: timedelta, language: str = "en") -> str:
    """A length of time, in its largest unit, or its two largest below ten."""
    return wording.span(time, _CHINESE_UNITS, "") if language == "zh" else wording.span(time)


def _in_language(visit: "Visit", language: str) -> str:
    """The address of the page in another language."""
    kept = [item for item in visit.request.query_params.multi_items() if item[0] != "lang"]
    return f"{visit.request.url.path}?{urlencode([*kept, ('lang', language)])}"
