"""The console script as it is installed, and the documents that describe it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bridge.cli import COMMANDS, SUMMARIES, cli
from bridge.commands.template import Answers, render
from bridge.shadowing import problem

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(sys.executable).with_name("calbridge")


def calbridge(*arguments: str, folder: Path | None = None, path: str = ""):
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [SCRIPT, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.fixture
def intruder(tmp_path: Path) -> Path:
    """A folder with a package named like one of ours."""
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "__init__.py").write_text("raise SystemExit('imported')\n")
    return tmp_path


def test_the_script_refuses_when_another_package_stands_in_place_of_ours(intruder):
    done = calbridge("--help", path=str(intruder))
    assert done.returncode == 2
    assert str(intruder) in done.stderr
    assert "connectors" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_bare_folder_of_the_same_name_does_no_harm(tmp_path):
    (tmp_path / "mappings").mkdir()
    done = calbridge("--version", path=str(tmp_path))
    assert done.returncode == 0, "Python prefers an ordinary package"


def test_packages_in_the_current_folder_do_not_matter(intruder):
    assert calbridge("--version", folder=intruder).returncode == 0


def test_a_missing_package_is_a_problem():
    assert "no_such_package" in problem(("bridge", "no_such_package"))


def test_help_lists_every_command_with_its_own_summary():
    assert list(COMMANDS) == list(SUMMARIES)
    shown = calbridge("--help").stdout
    for name, summary in SUMMARIES.items():
        assert re.search(
            rf"^  {name}\s+{re.escape(summary.split(';')[0][:20])}", shown, re.MULTILINE
        )


def test_the_table_of_commands_in_the_readme_is_complete_and_right():
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Commands\n")[1]
    rows = re.findall(r"^\| (`.*?) \|", section.split("\n## ")[0], re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([a-z]+)", row)]
    assert named == list(COMMANDS)


def test_every_option_that_the_readme_names_exists():
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Commands\n")[1]
    rows = re.findall(r"^\| (`.*?) \|", section.split("\n## ")[0], re.MULTILINE)
    for text in re.findall(r"`([^`]*)`", " ".join(rows)):
        command = cli.get_command(click.Context(cli), text.split()[0])
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--?[a-z][a-z-]*", text)) <= known, text


def test_the_example_config_is_what_init_writes():
    assert (ROOT / "config.yaml").read_text(encoding="utf-8") == render(Answers())


def test_make_targets_named_in_the_documents_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        named = set(re.findall(r"`make ([a-z]+)", path.read_text(encoding="utf-8")))
        assert named <= targets, path


def test_links_between_documents_lead_somewhere():
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
