"""The bridge's own lines below a description, as one block that can be found again.

The block reads

    ─── calendar bridge ───
    │ Organiser: Alice <alice@example.com>
    ───────────────────────

Each of its lines begins with a bar and the end is marked, so that text which somebody types
after it, or a lost end, never makes the bridge swallow what a person wrote.
"""

import re

from mappings import richtext

_HEAD = "─── calendar bridge ───"
_END = "─" * len(_HEAD)
_BAR = "│"
_BREAK = r"(?:\n|<br>)"
_WITHIN = r"(?:(?!\n|<br>|</?(?:ul|ol|li)>).)*"
_BLOCK = re.compile(
    rf"─{{3,}} ?calendar bridge ?─{{3,}} *(?P<lines>(?:{_BREAK} *{_BAR}{_WITHIN})*)"
    rf"(?:{_BREAK} *─{{6,}})?"
)


def join(html: str, lines: tuple[str, ...]) -> str:
    """The description with the block at its end; a block that stands there is replaced.

    `html` and the result are canonical (`mappings.richtext`); without lines there is no block.
    """
    description, _ = split(html)
    rows = [_row(line) for line in lines if richtext.line(line)]
    if not rows:
        return description
    block = "\n".join([_HEAD, *rows, _END])
    if not description:
        return block
    if richtext.has_markup(description):
        return richtext.canonical(description + "<br><br>" + block.replace("\n", "<br>"))
    return f"{description}\n\n{block}"


def split(html: str) -> tuple[str, tuple[str, ...]]:
    """A canonical description as (what people wrote, the lines of the block).

    What people wrote after the block belongs to what they wrote. Of several blocks (somebody
    copied the text) the last one counts and all are removed.
    """
    if "calendar bridge" not in html:
        return html, ()
    blocks = list(_BLOCK.finditer(html))
    if not blocks:
        return html, ()
    rest: list[str] = []
    at = 0
    for block in blocks:
        rest.append(html[at : block.start()])
        at = block.end()
    rest.append(html[at:])
    glue = "<br>" if richtext.has_markup(html) else "\n"
    kept = [part for part in (_trim(part) for part in rest) if part]
    return richtext.canonical(glue.join(kept)), _lines(blocks[-1]["lines"])


def _row(line: str) -> str:
    return f"{_BAR} {richtext.escape(richtext.line(line))}"


def _lines(rows: str) -> tuple[str, ...]:
    texts = (richtext.line(richtext.to_text(row)) for row in re.split(_BREAK, rows))
    lines = (richtext.line(text.removeprefix(_BAR)) for text in texts)
    return tuple(line for line in lines if line)


def _trim(part: str) -> str:
    return re.sub(rf"^(?: |{_BREAK})+|(?: |{_BREAK})+$", "", part)
