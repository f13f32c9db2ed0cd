import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings import footer, richtext

LINES = ("Organiser: Alice <alice@example.com>", "Join: https://example.com/?a=1&b=2")
DESCRIPTIONS = ("", "plain", "two\nlines", "<b>bold</b>", "x<ul><li>1</li></ul>", "a &lt;b> c")
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
LINE = TEXT.map(richtext.line).filter(bool).filter(lambda text: text[0] != "│")
DESCRIPTION = st.one_of(TEXT.map(richtext.from_text), st.sampled_from(DESCRIPTIONS))


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_a_joined_footer_comes_apart_again(description: str) -> None:
    joined = footer.join(description, LINES)
    assert footer.split(joined) == (description, LINES)
    assert richtext.canonical(joined) == joined


@given(DESCRIPTION, st.lists(LINE, max_size=4).map(tuple))
def test_split_undoes_join(description: str, lines: tuple[str, ...]) -> None:
    joined = footer.join(description, lines)
    assert footer.split(joined) == (description, lines)
    assert footer.join(joined, lines) == joined
    assert richtext.canonical(joined) == joined


def test_a_new_footer_replaces_the_old_one() -> None:
    joined = footer.join(footer.join("text", LINES), ("Join: https://example.com/2",))
    assert footer.split(joined) == ("text", ("Join: https://example.com/2",))
    assert footer.join(joined, ()) == "text"


@pytest.mark.parametrize("description", ["", "plain", "<b>bold</b>"])
@pytest.mark.parametrize("glue", ["", "\n", "<br>", "<br><br>"])
def test_what_somebody_types_after_the_footer_is_his(description: str, glue: str) -> None:
    edited = richtext.canonical(footer.join(description, LINES) + glue + "my note")
    kept, lines = footer.split(edited)
    assert lines == LINES
    assert richtext.to_text(kept).endswith("my note")
    assert richtext.to_text(kept).startswith(richtext.to_text(description))


def test_a_lost_end_does_not_swallow_what_follows() -> None:
    damaged = footer.join("text", LINES).rpartition("\n")[0] + "\nmy note"
    assert footer.split(damaged) == ("text\nmy note", LINES)


@pytest.mark.parametrize("description", ["plain\ntext", "<b>bold</b> &amp;lt; text"])
def test_the_footer_survives_providers_that_rewrite_html(description: str) -> None:
    joined = footer.join(description, LINES)
    rewritten = joined.replace("com>", "com&gt;").replace("<br>", "<br/>\n").replace("&b", "&amp;b")
    linked = rewritten.replace(
        "https://example.com/?a=1&amp;b=2",
        '<a href="https://example.com/?a=1&amp;b=2">https://example.com/?a=1&amp;b=2</a>',
    )
    for spelling in (rewritten, linked, f"<html><body>{linked}</body></html>"):
        assert footer.split(richtext.canonical(spelling)) == (description, LINES)


def test_the_footer_survives_a_plain_text_client() -> None:
    joined = footer.join("x<ul><li>1</li></ul>", LINES)
    plain = richtext.from_text(richtext.to_text(joined))
    assert footer.split(plain) == ("x\n- 1", LINES)


def test_of_two_footers_the_last_one_counts() -> None:
    doubled = footer.join("one", ("a",)) + "\n" + footer.join("two", ("b",))
    assert footer.split(doubled) == ("one\ntwo", ("b",))
