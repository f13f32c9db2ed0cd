"""Rules of the house that no linter knows, over every file in the repository."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINES = 500
LONGER: dict[str, str] = {}
"""Files that may be longer than the cap, each with the reason."""

REGISTRIES = re.compile(r"pypi\.org|pythonhosted\.org|npmjs\.(?:com|org)|index-[u]rl|artifactor[y]")
MACHINES = re.compile(r"(?<![\w.:/~$}])/(?:home|root|Users|work|workspace|tmp)/[\w.]")
ORIGINS = re.compile(
    r"\b(?:cl[a]ude|anthropi[c]|opena[i]|chatgp[t]|copilo[t]|code[x]|gemin[i]|ll[m]s?|"
    r"A[I][- ](?:generated|assisted|assistant))\b",
    re.IGNORECASE,
)

ADDRESS = re.compile(r"(?<=[\w}+-])@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")
RESERVED = re.compile(
    # RFC 2606 and RFC 6761: nobody can ever own these.
    r"(?:[\w-]+\.)*(?:example\.(?:com|org|net)|example|test|invalid|localhost)|127\.0\.0\.1",
    re.IGNORECASE,
)
SERVICES = {
    "google.com": "ends the iCalUID of every event made at Google",
    "group.calendar.google.com": "ends the id of a secondary calendar",
    "group.v.calendar.google.com": "ends the id of a holiday calendar",
    "resource.calendar.google.com": "ends the id of a room",
    "group.calendar.feishu.cn": "ends the id of a calendar",
    "group.calendar.larksuite.com": "ends the id of a calendar",
    "sandbox-project.iam.gserviceaccount.com": "ends the name of a made-up service account",
    "open.feishu.cn": "an address with a user name, which the config refuses",
}


def tracked() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(
        [git, "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def hits(pattern: re.Pattern[str], *, under: tuple[str, ...] = ("",)) -> list[str]:
    """`file:line: what` for everything the pattern finds in tracked text."""
    found = []
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(under) or path.suffix == ".png":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found += [f"{name}:{number}: {match[0]}" for match in pattern.finditer(line)]
    return found


def test_no_file_of_code_is_longer_than_a_person_reads_in_one_go():
    long = {
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.suffix == ".py" and path.read_text(encoding="utf-8").count("\n") > LINES
    }
    assert long == set(LONGER)


def test_nothing_names_a_package_registry():
    assert hits(REGISTRIES) == []


def test_nothing_depends_on_the_folders_of_one_machine():
    assert hits(MACHINES) == []


def test_nothing_tells_how_the_text_came_about():
    assert hits(ORIGINS) == []


def test_the_rules_above_notice_what_they_forbid():
    assert REGISTRIES.search("https://pypi" + ".org/simple")
    assert MACHINES.search("see /ho" + "me/ann/notes.txt")
    assert ORIGINS.search("written by Cla" + "ude")
    assert ADDRESS.search("ann@" + "corp.cn")
    assert not RESERVED.fullmatch("corp.cn")


def test_people_in_tests_and_examples_live_at_addresses_nobody_owns():
    foreign = [
        line
        for line in hits(ADDRESS)
        for domain in [line.rsplit("@", 1)[1].lower()]
        if not RESERVED.fullmatch(domain) and domain not in SERVICES
    ]
    assert foreign == []


def test_no_module_lies_in_the_root_where_an_editable_install_would_offer_it_to_everybody():
    assert [path.name for path in tracked() if path.parent == ROOT and path.suffix == ".py"] == []


def test_every_pinned_version_is_exact_and_every_direct_dependency_is_pinned():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!]+", line) for line in lines)
    pinned = {_name(line) for line in lines}
    assert direct_dependencies() <= pinned


def test_every_direct_dependency_is_explained():
    told = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    words = {_name(word) for word in re.findall(r"[A-Za-z0-9_.-]+", told)}
    assert direct_dependencies() <= words


def test_every_decision_has_a_number_of_its_own_and_stands_in_the_index():
    folder = ROOT / "docs" / "decisions"
    records = sorted(folder.glob("[0-9]*.md"))
    assert [path.name[:4] for path in records] == [f"{n:04}" for n in range(1, len(records) + 1)]
    titles = {path: path.read_text(encoding="utf-8").splitlines()[0] for path in records}
    rows = {f"| {text[2:6]} | [{text[8:]}]({path.name})" for path, text in titles.items()}
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert {row for row in rows if row not in index} == set()


def direct_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    return {_name(item) for item in wanted}


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()
