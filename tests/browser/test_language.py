"""Both languages say everything, and say the same."""

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

from bridge import web
from bridge.web.chinese import CHINESE, SAYINGS
from bridge.web.language import translate
from bridge.web.rendering import sides
from bridge.web.sayings import retold, value

FOLDER = Path(web.__file__).parent
IN_TEMPLATES = re.compile(r"""\b_\(\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""")


def texts() -> dict[str, str]:
    """Every text that a page may say, and where."""
    found = {}
    for path in FOLDER.glob("templates/*.html"):
        for match in IN_TEMPLATES.finditer(path.read_text(encoding="utf-8")):
            found[match[1] or match[2]] = path.name
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr in ("_", "say"):
                for argument in node.args:
                    if isinstance(argument, ast.Constant):
                        found[argument.value] = path.name
    return found


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_text_has_its_translation_and_no_translation_is_left_over():
    wanted = texts()
    assert len(wanted) > 200
    assert {text: place for text, place in wanted.items() if text not in CHINESE} == {}
    assert CHINESE.keys() - wanted.keys() == set()


def test_translations_name_the_same_facts():
    assert {text for text, other in CHINESE.items() if names(text) != names(other)} == set()


def test_what_is_not_translated_is_said_in_english():
    assert translate("zh", "quite new") == "quite new"
    assert translate("en", "{count} more", count=3) == "3 more"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("new on a", "a 端新建"),
        ("changed since: title, location", "之后有改动：标题、地点"),
        ("nothing: there is nothing to carry over", "无：没有需要同步的内容"),
        ("update on b: title (changed on a)", "在 b 端修改 标题（a 端有改动）"),
        ("15 of 15 events would be deleted, more than ...", "将删除 15 个日程中的 15 个"),
        (
            "ann@a.example has not given consent yet; send an invitation from the dashboard, "
            "or run `calbridge connect feishu --user NAME`",
            "ann@a.example 尚未授权：请在“账号”页发送邀请",
        ),
        ("something {0} nobody foresaw", "something {0} nobody foresaw"),
    ],
)
def test_the_bridges_own_sentences_are_retold(said, told):
    assert retold("zh", said) == told
    if "`calbridge" not in said:
        assert retold("en", said) == said


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("parked: FULL: no room; change the event so that it can be carried, or "
         "`calbridge parked retry 1f`, or `calbridge parked drop 1f`",
         "parked: FULL: no room; change the event so that it can be carried, try it again, or "
         "leave it alone"),
        ("left alone for good: so be it; `calbridge parked retry` takes it back",
         "left alone for good: so be it; “Try again” takes it back"),
        ("ann must consent again: no; send an invitation from the dashboard, or run "
         "`calbridge connect feishu --user NAME`",
         "ann must consent again: no; send an invitation from the dashboard"),
    ],
)  # fmt: skip
def test_where_there_are_buttons_nobody_is_told_to_type(said, told):
    assert retold("en", said) == told
    assert "`" not in retold("zh", said)


@pytest.mark.parametrize(
    ("field", "held", "told"),
    [
        ("busy", "busy", "忙碌"),
        ("title", "busy", "busy"),
        ("when", "2026-03-02 09:00 Asia/Kolkata, 30 min", "2026-03-02 09:00 Asia/Kolkata，30 分钟"),
        ("exceptions", "03-02 cancelled, 03-09 changed", "03-02 取消, 03-09 有改动"),
        ("repeats", "every 2 weeks on Monday, Friday until 2026-05-01 (9 times)",
         "每 2 周，星期一、星期五，至 2026-05-01（共 9 次）"),
        ("repeats", "every month on the second last Friday; also on 2026-05-01",
         "每月，倒数第二个星期五; 另有 2026-05-01"),
        ("reminders", "15 min before, 5 min after", "提前 15 分钟, 开始后 5 分钟"),
    ],
)  # fmt: skip
def test_what_a_field_holds_is_retold_where_the_words_are_ours(field, held, told):
    assert value("zh", field, held) == told
    assert value("en", field, held) == held


def test_sides_are_called_by_their_names_and_nothing_else_is_touched(office):
    office.sync()
    for said, shown in (
        ("new on a", "new at hub"),
        ("update on b: title (changed on a)", "update at other: title (changed at hub)"),
        ("refused on a holiday, on a", "refused on a holiday, at hub"),
        ("在 b 端修改 标题（a 端有改动）", "在 other 端修改 标题（hub 端有改动）"),
    ):
        assert sides(said, office.link) == shown


def test_every_pattern_has_the_parts_that_its_translation_wants():
    for pattern, told in SAYINGS:
        assert re.compile(pattern).groups > max([-1, *map(int, names(told))]), pattern


def test_a_visitor_gets_his_browsers_language_and_keeps_the_one_he_chose(ann):
    assert 'lang="en"' in ann.get("/").text
    ann.session.headers["Accept-Language"] = "zh-CN,zh;q=0.9"
    assert "保持一致" in ann.get("/").text
    assert 'lang="en"' in ann.get("/?lang=en").text
    assert 'lang="en"' in ann.get("/activity").text
    ann.session.cookies.clear()
    ann.session.headers["Accept-Language"] = "fr, de;q=0.5"
    assert 'lang="en"' in ann.get("/?lang=xx").text
