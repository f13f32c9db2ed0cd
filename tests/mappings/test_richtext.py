import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings import richtext

TAGS = ("b", "strong", "i", "u", "s", "a", "p", "div", "ul", "ol", "li", "script", "span", "h1")
SNIPPETS = """<br>|<br/>| |  |&nbsp;|&lt;|&amp;|&|<|>|&amp|&copy|&#60;script&#62;|<!-- c -->
<a href="https://example.com/?a=1&amp;b=2">|<a href='javascript:alert(1)'>|https://example.com
<img src=x onerror=alert(1)>|<b onclick='x'>|<bob@example.com>|│"""
PIECES = st.one_of(
    st.sampled_from([form.format(tag) for tag in TAGS for form in ("<{}>", "</{}>")]),
    st.sampled_from(re.split(r"[|\n]", SNIPPETS)),
    st.sampled_from(["\n", "\r\n", "\x00", "\ud800", "\xa0", "\t", "\u2028", "\x85", "\u3000"]),
    st.text(max_size=8),
)
MARKUP = st.lists(PIECES, max_size=14).map("".join)


class Elements(HTMLParser):
    """Collects what a browser would see: tags, attributes and the balance of both."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def elements(html: str) -> Elements:
    parser = Elements()
    parser.feed(html)
    parser.close()
    return parser


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", ""),
        ("Agenda\nBudget", "Agenda\nBudget"),
        ("Agenda\r\nBudget  \r\n", "Agenda\nBudget"),
        ("Q&A: a < b, I <3 it", "Q&A: a < b, I <3 it"),
        ("Q&amp;A: a &lt; b", "Q&A: a < b"),
        ("5&nbsp;km", "5 km"),
        ("it&#39;s &quot;fine&quot;", "it's \"fine\""),
        ("Bob <bob@example.com>", "Bob &lt;bob@example.com>"),
        ("&lt;b&gt; is a tag", "&lt;b> is a tag"),
        ("&amp;lt; is an entity", "&amp;lt; is an entity"),
        ("<strong>a</strong> <em>b</em>", "<b>a</b> <i>b</i>"),
        ("<B>a</B><BR/>b", "<b>a</b><br>b"),
        ("<p>one</p>\n<p>two</p>", "one\ntwo"),
        ("<div>a<div>b</div></div>c", "a\nb\nc"),
        ("x<ul>\n <li>1</li>\n <li><b>2</b></li>\n</ul>\ny",
         "x<ul><li>1</li><li><b>2</b></li></ul>y"),
        ("<b></b><i> </i>z", "z"),
        ('<a href="https://example.com">https://example.com</a>', "https://example.com"),
        ('<a href="https://example.com/">https://example.com</a>', "https://example.com"),
        ('<a href="mailto:a@example.com">a@example.com</a>', "a@example.com"),
        ('<a href="https://example.com" target="_blank" rel="x">doc</a>',
         '<a href="https://example.com">doc</a>'),
        ('<span style="color:red">red</span>', "red"),
    ],
)  # fmt: skip
def test_every_spelling_of_a_text_has_one_canonical_form(given: str, expected: str) -> None:
    assert richtext.canonical(given) == expected


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<scr<script>ipt>alert(1)</script>",
        '<a href="javascript:alert(1)">x</a>',
        '<a href="java\nscript:alert(1)">x</a>',
        '<img src=x onerror="alert(1)">',
        '<b onmouseover="alert(1)">x</b>',
        '<iframe src="https://example.com"></iframe>',
        "<svg><script>alert(1)</script></svg>",
        '<a href="//example.com/x">x</a>',
    ],
)
def test_nothing_that_runs_survives(hostile: str) -> None:
    for tag, attributes in elements(richtext.canonical(hostile)).seen:
        assert tag in {"b", "i", "u", "s", "a", "ul", "ol", "li", "br"}
        assert attributes.keys() <= {"href"}
        assert re.match(r"(?:https?:|mailto:)", attributes.get("href") or "http:")


@given(MARKUP)
def test_canonical_is_idempotent(markup: str) -> None:
    once = richtext.canonical(markup)
    assert richtext.canonical(once) == once


@given(MARKUP)
def test_canonical_is_well_formed_and_safe_whatever_comes_in(markup: str) -> None:
    html = richtext.canonical(markup)
    html.encode()
    parsed = elements(html)
    assert parsed.open == []
    for tag, attributes in parsed.seen:
        assert tag in {"b", "i", "u", "s", "a", "ul", "ol", "li", "br"}
        assert attributes.keys() <= {"href"}
        assert re.match(r"(?:https?:|mailto:)", attributes.get("href") or "http:")


@given(st.text(max_size=60))
def test_plain_text_survives_the_way_through_html(text: str) -> None:
    html = richtext.from_text(text)
    assert richtext.canonical(html) == html
    assert richtext.from_text(richtext.to_text(html)) == html
    assert not richtext.has_markup(html)


@given(MARKUP)
def test_a_provider_that_respells_entities_and_breaks_makes_no_difference(markup: str) -> None:
    html = richtext.canonical(markup)
    respelled = re.sub(r"&(?![a-z#]+[0-9]*;)", "&amp;", html).replace("<br>", "<br />")
    respelled = respelled.replace("'", "&#39;").replace("\n", "\r\n")
    if re.search(r"&(?![a-z#]+[0-9]*;)", html) is None:
        assert richtext.canonical(respelled + " ") == html


def test_wrapped_html_takes_newlines_for_blanks() -> None:
    assert richtext.canonical("<p>a long\r\nline</p>\r\n<p>next</p>", wrapped=True) == (
        "a long line\nnext"
    )
    assert richtext.canonical("a long\nline") == "a long\nline"


def test_text_shows_dashes_for_items_and_addresses_of_links() -> None:
    html = 'Do<ul><li>this</li><li>that</li></ul>see <a href="https://example.com/x">doc</a>'
    assert richtext.to_text(html) == "Do\n- this\n- that\nsee doc (https://example.com/x)"


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("ab👩‍👩‍👧cd", 6, "ab…"),
        ("abe\u0301f", 4, "ab…"),
        ("x🇨🇳🇩🇪", 4, "x🇨🇳…"),
        ("a👍🏽b", 3, "a…"),
        ("ab", 0, ""),
    ],
)
def test_cuts_fall_between_what_readers_take_for_characters(
    text: str, limit: int, expected: str
) -> None:
    assert richtext.shorten(text, limit) == expected


@given(MARKUP, st.integers(min_value=1, max_value=60))
def test_shortened_html_fits_and_is_canonical(markup: str, limit: int) -> None:
    html = richtext.canonical(markup)
    cut = richtext.shorten_html(html, limit)
    assert len(cut) <= limit
    assert richtext.canonical(cut) == cut
    if len(html) <= limit:
        assert cut == html


def test_a_title_is_one_line() -> None:
    assert richtext.line(" a\n b\tc\x00 ") == "a b c"
    assert richtext.line("周会\u3000一\xa0 二\n") == "周会\u3000一 二"
