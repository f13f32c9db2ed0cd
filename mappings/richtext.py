"""Descriptions in one spelling: the canonical HTML subset.

Canonical text keeps `b i u s a ul ol li` and line breaks, nothing else. Without any tag it is
plain text with newlines, otherwise lines end in `<br>`. Only what HTML would misread is escaped,
so plain text stays as it was typed and a provider that respells entities, tags or white space
causes no difference. Every result is safe to show in a page: scripts, handlers and foreign URL
schemes are gone (HTML Living Standard, section 13.1.2 "Elements" and 13.5 "Named character
references").
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from unicodedata import category

import nh3

_FORMATS = {"b": "b", "strong": "b", "i": "i", "em": "i", "u": "u", "ins": "u"}
_FORMATS |= {"s": "s", "strike": "s", "del": "s"}
_LISTS = frozenset({"ul", "ol"})
_BLOCK_TAGS = """address article aside blockquote center dd div dl dt figure footer form
    h1 h2 h3 h4 h5 h6 header hr main nav p pre section table tr"""
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_KEPT = frozenset({*_FORMATS, *_LISTS, *_BLOCKS, "a", "br", "li"})
_OTHER_TAGS = """abbr base big body caption code col colgroup fieldset font head html iframe img
    input label link meta noscript object o:p script small span style sub sup svg tbody td textarea
    tfoot th thead title tt video"""
_KNOWN = _KEPT | frozenset(_OTHER_TAGS.split())
_CLEANER = nh3.Cleaner(
    tags=set(_KEPT),
    attributes={"a": {"href"}},
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel=None,
    clean_content_tags={"script", "style", "title", "textarea", "noscript", "iframe", "svg"},
)

_NAMES = "|".join(sorted(map(re.escape, _KNOWN), key=len, reverse=True))
_STRAY_BRACKET = re.compile(rf"<(?!/?(?:{_NAMES})(?:[\s/][^<>]*)?>|!--)", re.IGNORECASE)
_WRAPPED = re.compile(r"[ \t]*\n[ \t\n]*")
_BLOCK_NAMES = "|".join(sorted({*_BLOCKS, *_LISTS, "li", "br"}, key=len, reverse=True))
_LAYOUT = re.compile(rf"[ \n]*(</?(?:{_BLOCK_NAMES})(?:[\s/][^<>]*)?>)[ \n]*", re.IGNORECASE)
_TOKEN = re.compile(r'<(/?)([a-z][a-z0-9]*)(?: href="([^"]*)")?>|([^<]+|<)')
_UNUSUAL = re.compile("[<&\r\t\xa0\x00-\x08\x0b-\x1f\x7f\x85\ud800-\udfff\u2028\u2029]| \n")
_NEWLINE = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
_TRAILING = re.compile(r" +(?=\n|$)")
_REFERENCE = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")
_TAG_OPENING = re.compile(r"<(?=[A-Za-z/!?])")
_ZWJ = "\u200d"
_SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_REGIONAL = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_TAG = re.compile("</?[a-z]")
_SPACES = re.compile("[ \t\n\r\x0b\x0c\x85\xa0\u2028\u2029]+")
_BLANK = re.compile(r"[ \n]+")


def canonical(text: str, *, wrapped: bool = False) -> str:
    """The canonical spelling of a description as a provider gave it, HTML or plain.

    `wrapped` says that newlines are mere white space, as in the HTML bodies of mail systems;
    elsewhere they are line breaks, as the calendar clients show them. Idempotent.
    """
    if not text:
        return ""
    if _UNUSUAL.search(text) is None and not wrapped:
        return text.strip(" \n")
    return _canonical(text, wrapped)


@lru_cache(maxsize=256)  # all occurrences of a series have the same text
def _canonical(text: str, wrapped: bool) -> str:
    text = _CONTROL.sub("", _NEWLINE.sub("\n", text)).replace("\t", " ").replace("\xa0", " ")
    if wrapped:
        text = _WRAPPED.sub(" ", text)
    if "<" in text:
        text = _STRAY_BRACKET.sub("&lt;", text)
    if "<" not in text:
        return escape(_plain(unescape(text)))
    cleaned = _CLEANER.clean(_LAYOUT.sub(r"\1", text).replace("\n", "<br>"))
    return _Writer().write(cleaned)


def has_markup(html: str) -> bool:
    """True if canonical text contains any tag, so that its lines end in `<br>`."""
    return "<" in html and _TAG.search(html) is not None


def to_text(html: str) -> str:
    """Canonical HTML as plain text: list items get a dash, links show their address."""
    if "<" not in html and "&" not in html:
        return html
    return _to_text(html)


@lru_cache(maxsize=256)
def _to_text(html: str) -> str:
    parts: list[str] = []
    href = ""
    for closing, tag, target, text in _TOKEN.findall(html):
        if text:
            parts.append(unescape(text))
        elif tag == "br" or (tag in _LISTS and parts and not parts[-1].endswith("\n")):
            parts.append("\n")
        elif tag == "li":
            parts.append("\n" if closing else "- ")
        elif tag == "a":
            parts.append(f" ({_address(href)})" if closing else "")
            href = unescape(target)
    return _plain("".join(parts))


def from_text(text: str) -> str:
    """Plain text, in which `<` and `&` mean themselves, as canonical HTML."""
    text = _CONTROL.sub("", _NEWLINE.sub("\n", text)).replace("\t", " ").replace("\xa0", " ")
    return escape(_plain(text))


def line(text: str) -> str:
    """Text that has to stay on one line (a title, a name): white space becomes single blanks.

    The ideographic space and its like are letters here and stay.
    """
    text = _CONTROL.sub("", text)
    return " ".join(text.split()) if text.isascii() else _SPACES.sub(" ", text).strip(" ")


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where something was cut off.

    Never cuts inside what a reader takes for one character (UAX #29, without Hangul jamo).
    """
    if len(text) <= limit:
        return text
    at = max(limit - 1, 0)
    while at and _joined(text, at):
        at -= 1
    return (text[:at].rstrip() + "…")[:limit]


def shorten_html(html: str, limit: int) -> str:
    """Canonical HTML of at most `limit` characters, tags and references included."""
    budget = limit
    while len(html) > limit and budget > 0:
        cut = canonical(_beginning(html, budget))
        if len(cut) <= limit:
            return cut
        budget -= len(cut) - limit
    return html if len(html) <= limit else ""


def _beginning(html: str, budget: int) -> str:
    """The first `budget` characters, whole tags only; what stays open is closed by others."""
    parts: list[str] = []
    for match in _TOKEN.finditer(html):
        piece = match.group()
        if len(piece) > budget:
            if match[4]:
                parts.append(escape(shorten(unescape(piece), budget)))
            break
        parts.append(piece)
        budget -= len(piece)
    return "".join(parts)


def _joined(text: str, at: int) -> bool:
    """True if the characters around a position show as one."""
    before, after = text[at - 1], text[at]
    if before == _ZWJ or after == _ZWJ or category(after)[0] == "M" or after in _SKIN_TONES:
        return True
    flags = at - len(text[:at].rstrip(_REGIONAL))
    return after in _REGIONAL and flags % 2 == 1


def escape(text: str) -> str:
    """Plain text as HTML, escaping only what HTML would misread."""
    if "&" in text:
        text = _REFERENCE.sub(_escape_reference, text)
    return _TAG_OPENING.sub("&lt;", text) if "<" in text else text


def _escape_reference(match: re.Match[str]) -> str:
    written = match.group()
    return written if unescape(written) == written else "&amp;" + written[1:]


def _plain(text: str) -> str:
    """Plain text without blanks at the line ends and empty lines around."""
    text = _CONTROL.sub("", text.replace("\r", "\n").replace("\xa0", " ").replace("\t", " "))
    return _TRAILING.sub("", text).strip(" \n")


def _address(href: str) -> str:
    return href.removeprefix("mailto:")


@dataclass(slots=True)
class _Open:
    """An element whose end has not been seen: its tag and where its content begins."""

    tag: str
    href: str
    start: int


class _Writer:
    """Writes cleaned HTML in the canonical spelling, dropping whatever shows nothing."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._stack: list[_Open] = []
        self._tags = 0

    def write(self, cleaned: str) -> str:
        """The canonical spelling of `cleaned`, which is well-formed."""
        for closing, name, href, text in _TOKEN.findall(cleaned):
            if text:
                self._text(unescape(text))
            elif name == "br":
                self._break(always=True)
            elif name in _BLOCKS:
                self._break(always=False)
            elif closing:
                self._close(_FORMATS.get(name, name))
            else:
                self._open(_FORMATS.get(name, name), unescape(href))
        while self._stack:
            self._close(self._stack[-1].tag)
        return self._finish()

    def _text(self, text: str) -> None:
        self._out.append(_CONTROL.sub("", text.replace("\xa0", " ").replace("\r", "\n")))

    def _break(self, *, always: bool) -> None:
        if always or (self._line() and not self._line().endswith("\n")):
            self._out.append("\n")

    def _line(self) -> str:
        """What stands just before, looking through formatting tags."""
        for piece in reversed(self._out):
            if piece and not piece.startswith("\0"):
                return piece
            if piece.startswith(("\0<ul", "\0<ol", "\0<li", "\0</ul", "\0</ol", "\0</li")):
                return "\n"
        return ""

    def _open(self, tag: str, href: str) -> None:
        self._stack.append(_Open(tag, href, len(self._out)))

    def _close(self, tag: str) -> None:
        if tag not in {element.tag for element in self._stack}:
            return
        while True:
            element = self._stack.pop()
            self._wrap(element)
            if element.tag == tag:
                return

    def _wrap(self, element: _Open) -> None:
        content = "".join(piece for piece in self._out[element.start :] if piece[:1] != "\0")
        outer = {open_.tag for open_ in self._stack}
        if element.tag == "a":
            shown = content.strip()
            redundant = not element.href or shown in {element.href, _address(element.href)}
            redundant = redundant or shown + "/" == element.href or "a" in outer
        elif element.tag == "li":
            redundant = not outer & _LISTS
        else:
            redundant = element.tag in outer and element.tag not in _LISTS
        if redundant or not content.strip():
            if element.tag == "li":
                self._break(always=False)
            return
        href = element.href.replace("&", "&amp;").replace('"', "&quot;")
        href = f' href="{href}"' if element.tag == "a" else ""
        self._out.insert(element.start, f"\0<{element.tag}{href}>")
        self._out.append(f"\0</{element.tag}>")
        self._tags += 1

    def _finish(self) -> str:
        if not self._tags:
            return escape(_plain("".join(self._out)))
        pieces: list[str] = []
        text = ""
        for piece in [*self._out, "\0"]:
            if piece.startswith("\0"):
                pieces += [_inline(text), piece[1:]]
                text = ""
            else:
                text += piece
        return _tidy("".join(pieces))


def _inline(text: str) -> str:
    """Text between tags: runs of blanks are one, lines end in `<br>`."""
    lines = [_BLANK.sub(" ", line) for line in text.split("\n")]
    return "<br>".join(escape(line) for line in lines)


_AROUND_BREAK = re.compile(r" *<br> *")
_AROUND_LIST = re.compile(r"(?: |<br>)*(</?(?:ul|ol|li)>)(?: |<br>)*")
_EDGES = re.compile(r"^(?: |<br>)+|(?: |<br>)+$")


def _tidy(html: str) -> str:
    html = _AROUND_LIST.sub(r"\1", _AROUND_BREAK.sub("<br>", html))
    return _EDGES.sub("", html)
