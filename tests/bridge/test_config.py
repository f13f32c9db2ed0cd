"""Every mistake in the config is found in one go, with its line, its place and what to do."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from bridge import config
from bridge.commands.template import Answers, render
from bridge.config import Config
from bridge.errors import ConfigError
from bridge.vault import Vault
from connectors.memory import MemorySettings
from connectors.registry import known_types
from mappings.policy import AttendeePolicy, Content, DeleteGuard, Direction, Filters, Window

ROOT = Path(__file__).parents[2]
GOOD = """\
connectors:
  hub: {type: memory, world: one}
  other: {type: memory, world: two}
users:
  ann:
    hub: ann
    links:
      - {to: other, account: ann}
"""
Load = Callable[..., Config]
Problems = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_text(text: str, **environment: str) -> Config:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return config.load(path, environment)

    return load_text


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    """What is said about a text: the lines without the name of the file."""

    def found(text: str, **environment: str) -> list[str]:
        with pytest.raises(ConfigError) as error:
            load(text, **environment)
        prefix = f"{tmp_path / 'config.yaml'}:"
        return [line.removeprefix(prefix).strip() for line in error.value.lines()]

    return found


def test_a_short_config_has_sensible_defaults(load: Load) -> None:
    loaded = load(GOOD)
    (link,) = loaded.links
    assert (link.name, link.user, link.line) == ("ann/other", "ann", 8)
    assert (link.a.connector, link.a.account, link.a.calendar) == ("hub", "ann", "primary")
    assert link.policy.direction is Direction.TWO_WAY
    assert link.policy.window == Window(past=timedelta(days=90), future=None)
    assert loaded.connectors["hub"].settings == MemorySettings(world="one")
    assert loaded.service.workers == 4


def test_a_link_overrides_the_defaults_and_leaves_the_rest(load: Load) -> None:
    text = GOOD.replace(
        "- {to: other, account: ann}", "- {to: other, account: ann, content: busy, source: work}"
    )
    text += "defaults: {attendees: none, content: title, window: {past: 2w, future: 1y},"
    text += " filters: {skip_titles: [^x]}, delete_guard: {count: 3, share: 0.5}}\n"
    (link,) = load(text).links
    policy = link.policy
    assert (policy.content, policy.attendees) == (Content.BUSY, AttendeePolicy.NONE)
    assert policy.window == Window(past=timedelta(weeks=2), future=timedelta(days=365))
    assert policy.filters == Filters(skip_titles=("^x",))
    assert policy.delete_guard == DeleteGuard(count=3, share=0.5)
    assert link.a.calendar == "work"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("5 m", timedelta(minutes=5)),
        ("5min", timedelta(minutes=5)),
        ("1.5h", timedelta(minutes=90)),
        ("2W", timedelta(weeks=2)),
        ("1y", timedelta(days=365)),
        ("none", None),
        ("unlimited", None),
    ],
)
def test_durations_are_written_as_people_do(load: Load, text: str, meant: timedelta | None) -> None:
    loaded = load(GOOD + f"defaults: {{window: {{past: {text}}}}}\n")
    assert loaded.links[0].policy.window.past == meant


@pytest.mark.parametrize("text", ["soon", "-5d", "5", "1e9d", "999999999y", "1001000w"])
def test_what_is_no_duration_is_said_to_be_none(problems: Problems, text: str) -> None:
    (line,) = problems(GOOD + f"defaults: {{window: {{past: '{text}'}}}}\n")
    assert line.startswith("9: defaults.window.past: ")
    assert "write" in line


TYPES = ", ".join(known_types())
LINK = "      - {to: other, account: ann}\n"
BAD = {
    "unknown key, nearest named": (
        GOOD + "defaults: {atendees: text}\n",
        "9: defaults.atendees: unknown key 'atendees'; did you mean 'attendees'?",
    ),
    "unknown key deep inside": (
        GOOD + "defaults:\n  filters:\n    skip_titels: []\n",
        "11: defaults.filters.skip_titels: unknown key 'skip_titels'; "
        "did you mean 'skip_titles'?",
    ),
    "unknown key at the top": (
        GOOD + "zzz: 1\n",
        "9: zzz: unknown key 'zzz'; there are: connectors, database, defaults, old_secret_keys, "
        "secret_key, service, users, web",
    ),
    "unknown key of a connector": (
        GOOD.replace("world: one", "wrld: one"),
        "2: connectors.hub.wrld: unknown key 'wrld'; did you mean 'world'?",
    ),
    "unknown key of a link": (
        GOOD.replace(LINK, "      - {to: other, acount: x, account: ann}\n"),
        "8: users.ann.links[0].acount: unknown key 'acount'; did you mean 'account'?",
    ),
    "unknown key of a user": (
        GOOD.replace("    links:", "    otter: x\n    links:"),
        "7: users.ann.otter: unknown key 'otter'; did you mean 'other'?",
    ),
    "missing account": (
        GOOD.replace(", account: ann", ""),
        "8: users.ann.links[0].account: is missing; add it",
    ),
    "wrong type": (
        GOOD + "service: {workers: many}\n",
        "9: service.workers: should be a valid integer, unable to parse string as an integer",
    ),
    "too small": (
        GOOD + "service: {poll: 0s}\n",
        "9: service.poll: should be greater than or equal to 1 second",
    ),
    "unknown value": (
        GOOD + "defaults: {content: all}\n",
        "9: defaults.content: should be 'full', 'title' or 'busy'",
    ),
    "bad direction": (
        GOOD.replace(LINK, "      - {to: other, account: ann, direction: both}\n"),
        "8: users.ann.links[0].direction: should be 'two-way', 'to-target' or 'from-target'",
    ),
    "no direction at all": (
        GOOD + "defaults: {direction: sideways}\n",
        "9: defaults.direction: should be 'two-way', 'to-target' or 'from-target'",
    ),
    "bad regular expression": (
        GOOD + "defaults:\n  filters:\n    skip_titles:\n      - '(oops'\n",
        "12: defaults.filters.skip_titles[0]: is no regular expression: "
        "missing ), unterminated subpattern at position 0",
    ),
    "unknown connector": (
        GOOD.replace("to: other", "to: otter"),
        "8: users.ann.links[0].to: unknown connector 'otter'; did you mean 'other'?",
    ),
    "unknown type": (
        GOOD.replace("type: memory, world: two", "type: outlook"),
        "3: connectors.other.type: unknown type 'outlook'; there are: " + TYPES,
    ),
    "no type": (
        GOOD.replace("type: memory, world: two", "world: two"),
        "3: connectors.other.type: unknown type ''; there are: " + TYPES,
    ),
    "user without account": (
        GOOD.replace("    hub: ann\n", ""),
        "5: users.ann: needs exactly one connector's section with the user's account",
    ),
    "links that are no list": (
        GOOD.replace(LINK, "      to: other\n"),
        "7: users.ann.links: must be a list; begin each link with a dash",
    ),
    "a link that is no section": (
        GOOD.replace(LINK, "      - other\n"),
        "8: users.ann.links[0]: must be a section with keys of its own",
    ),
    "the same pair twice": (
        GOOD + LINK,
        "9: users.ann.links[1]: same pair of calendars as users.ann.links[0]; remove one of them",
    ),
    "the same name twice": (
        GOOD.replace(LINK, "      - {to: other, account: ann, name: x}\n")
        + "      - {to: other, account: ann, calendar: two, name: x}\n",
        "9: users.ann.links[1]: same name 'x' as users.ann.links[0]; give it another `name`",
    ),
    "a calendar with itself": (
        GOOD.replace("to: other", "to: hub"),
        "8: users.ann.links[0]: links a calendar with itself",
    ),
    "missing variable": (
        GOOD + "secret_key: ${NOT_THERE}\n",
        "9: secret_key: environment variable NOT_THERE is not set; set it and try again",
    ),
    "missing file": (
        GOOD + "secret_key: ${file:not.there}\n",
        "9: secret_key: file 'not.there' cannot be read; check path and rights",
    ),
    "a key that stands twice": (
        GOOD + "users: {}\n",
        "9: users: stands here twice; keep one of them",
    ),
    "a date that is none": (
        GOOD + "database: 2026-13-45\n",
        "9: database: cannot be understood as it is; put it in quotes",
    ),
    "a foreign tag": (
        GOOD + "database: !!python/name:os.system x\n",
        "9: database: cannot be understood as it is; put it in quotes",
    ),
    "a number that might mean days": (
        GOOD + "defaults: {window: {past: 90}}\n",
        "9: defaults.window.past: is a number without a unit; write for example 90d, 12h, 1y or "
        "none",
    ),
    "a port that no machine has": (
        GOOD + "service: {listen: '127.0.0.1:99999'}\n",
        "9: service.listen: is no address to listen on; write ADDRESS:PORT, such as 127.0.0.1:8377",
    ),
    "a port without an address": (
        GOOD + "service: {listen: 8377}\n",
        "9: service.listen: is no address to listen on; write ADDRESS:PORT, such as 127.0.0.1:8377",
    ),
    "a database that is none of ours": (
        GOOD + "database: mysql://db.example.com/x\n",
        "9: database: is no database; write sqlite:///PATH or postgresql://HOST/NAME",
    ),
    "a passphrase in place of a key": (
        GOOD + "old_secret_keys: [open sesame]\n",
        "9: old_secret_keys[0]: is no key: 32 bytes in URL-safe base64; `calbridge init` makes one",
    ),
    "a file that is a list": ("- a\n- b\n", "must be a section with keys of its own"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line"), BAD.values(), ids=BAD)
def test_a_mistake_is_named_with_line_place_and_remedy(
    problems: Problems, text: str, line: str
) -> None:
    assert problems(text) == [line]


@pytest.mark.parametrize("text", ["a: [1, 2", "a: b: c", "\t- x", "%&", "a: *b\n", "--- a\n--- b"])
def test_what_is_no_yaml_is_said_with_its_line(problems: Problems, text: str) -> None:
    (line,) = problems(text)
    assert "not valid YAML" in line


def test_an_empty_file_lacks_its_connectors(problems: Problems) -> None:
    assert problems("") == ["connectors: is missing; add it"]


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        config.load(tmp_path / "none.yaml", {})
    (line,) = error.value.lines()
    assert "calbridge init" in line


def test_bytes_that_are_no_text_are_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="1 problem"):
        config.load(path, {})


def test_all_mistakes_are_named_at_once(problems: Problems) -> None:
    text = (
        GOOD.replace("world: one", "wrld: one").replace("account: ann}", "acount: ann}")
        + "      - {to: otter, account: ann}\n"
    )
    places = [line.split(": ")[1] for line in problems(text)]
    assert places == [
        "connectors.hub.wrld",
        "users.ann.links[0].account",
        "users.ann.links[0].acount",
        "users.ann.links[1].to",
    ]


def test_all_missing_variables_and_files_are_named_at_once(problems: Problems) -> None:
    text = GOOD + "secret_key: ${ONE}\ndatabase: '${TWO}${file:three}'\n"
    assert [line.split(":")[0] for line in problems(text)] == ["9", "10", "10"]


def test_references_are_filled_in(load: Load, tmp_path: Path) -> None:
    one, two, three, four = (Vault.generate_key() for _ in range(4))
    (tmp_path / "key").write_text(f"{one}\n")
    parts = f"'${{A}}', '${{B:-{three}}}', '{four[:9]}${{C:-}}{four[9:]}'"
    loaded = load(f"{GOOD}secret_key: ${{file:key}}\nold_secret_keys: [{parts}]\n", A=two, B="")
    assert loaded.secret_keys == (one, two, three, four)


def test_a_secret_is_in_no_message_and_in_no_representation(load: Load, problems: Problems) -> None:
    secret = "swordfish"
    bad = """\
    connectors:
      f: {type: feishu, app_id: cli_1, app_secret: {wrong: "${SECRET}"}, domain: "${SECRET}"}
      g: {type: google, client_id: x, client_secret: ["${SECRET}"], secret: "${SECRET}"}
    secret_key: ["${SECRET}"]
    """
    assert secret not in "\n".join(problems(bad, SECRET=secret))
    split = bad.replace('    secret_key: ["${SECRET}"]\n', "")
    assert secret not in "\n".join(problems(split, SECRET=secret))
    good = GOOD.replace(
        "  other:",
        "  f: {type: feishu, app_id: cli_1, app_secret: '${SECRET}'}\n  other:",
    )
    loaded = load(good, SECRET=secret)
    assert secret not in repr(loaded.connectors)


def test_a_relative_database_stands_beside_the_config(load: Load, tmp_path: Path) -> None:
    assert load(GOOD).database == f"sqlite:///{tmp_path / 'calbridge.db'}"
    elsewhere = load(GOOD + "database: sqlite:///sub/x.db\n")
    assert elsewhere.database == f"sqlite:///{tmp_path / 'sub' / 'x.db'}"
    absolute = load(GOOD + "database: sqlite:////var/x.db\n")
    assert absolute.database == "sqlite:////var/x.db"
    server = load(GOOD + "database: postgresql://db/x\n")
    assert server.database == "postgresql://db/x"


def test_the_example_loads_as_it_is() -> None:
    loaded = config.load(ROOT / "config.yaml", {})
    assert [link.name for link in loaded.links] == ["alice/google"]
    assert loaded.links[0].policy.direction is Direction.TWO_WAY


def test_the_example_is_what_init_writes() -> None:
    assert (ROOT / "config.yaml").read_text(encoding="utf-8") == render(Answers())


def test_links_are_chosen_by_user_and_by_name(load: Load) -> None:
    text = GOOD + "      - {to: other, account: ann, calendar: two}\n  bob:\n    hub: bob\n"
    text += "    links: [{to: other, account: bob, name: bobs}]\n"
    loaded = load(text)
    assert [link.name for link in loaded.links] == ["ann/other", "ann/other-2", "bobs"]
    assert [link.name for link in loaded.select(user="ann")] == ["ann/other", "ann/other-2"]
    assert [link.name for link in loaded.select(link="bobs")] == ["bobs"]
    assert loaded.select(user="ann", link="bobs") == ()
