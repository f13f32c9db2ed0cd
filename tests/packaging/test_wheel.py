"""What is shipped: built as a user would get it, and looked at from outside."""

import os
import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SDKS = ("lark_oapi", "googleapiclient", "google.auth", "google_auth_oauthlib", "exchangelib")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel, as pip would lay it out."""
    built = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def python(folder: Path, code: str) -> str:
    """Run code that sees the wheel's content before anything else."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def metadata(folder: Path) -> PathDistribution:
    (info,) = folder.glob("*.dist-info")
    return PathDistribution(info)


def test_the_wheel_holds_three_packages_and_nothing_else(installed):
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {
        "bridge",
        "connectors",
        "mappings",
    }


@pytest.mark.parametrize(
    "path",
    [
        "bridge/py.typed",
        "connectors/py.typed",
        "mappings/py.typed",
        "bridge/commands/template.yaml",
        "bridge/web/templates/base.html",
        "bridge/web/static/app.css",
        "bridge/web/static/app.js",
        "bridge/web/static/mark.svg",
        "bridge/store/migrations/env.py",
        "bridge/store/migrations/script.py.mako",
        "bridge/store/migrations/versions/0001_first_schema.py",
        "mappings/windows_zones.json",
        "connectors/testing/contract.py",
        "connectors/sandbox/worlds/office.py",
    ],
)
def test_the_wheel_holds_what_the_program_reads_at_run_time(installed, path):
    assert (installed / path).is_file()


def test_every_migration_of_the_sources_is_in_the_wheel(installed):
    versions = "bridge/store/migrations/versions"
    sources = {path.name for path in (ROOT / versions).glob("*.py")}
    assert {path.name for path in (installed / versions).glob("*.py")} == sources


def test_the_licence_and_the_readme_travel_along(installed):
    facts = metadata(installed).metadata
    assert facts["License-Expression"] == "MIT"
    assert "make demo" in facts.get_payload()
    assert list(installed.glob("*.dist-info/licenses/LICENSE"))


def test_every_connector_can_be_loaded_from_its_entry_point(installed):
    points = metadata(installed).entry_points.select(group="feishu_calendar_bridge.connectors")
    assert {point.name for point in points} >= {"feishu", "google", "memory"}
    for point in points:
        module, _, name = point.value.partition(":")
        code = f"import {module} as m; print(m.__file__, callable(m.{name}.open))"
        file, opens = python(installed, code).rsplit(" ", 1)
        assert Path(file).is_relative_to(installed)
        assert opens == "True"


def test_the_console_script_leads_to_the_command_line(installed):
    (script,) = metadata(installed).entry_points.select(group="console_scripts")
    assert (script.name, script.value) == ("calbridge", "bridge.cli:main")
    code = "import sys; from bridge.cli import main; sys.argv[1:] = ['--version']; main()"
    assert metadata(installed).version in python(installed, code)


def test_the_shipped_database_schema_can_be_built(installed, tmp_path):
    code = f"""
from datetime import UTC, datetime
from bridge.store import open_store
from bridge.vault import Vault
vault = Vault([Vault.generate_key()])
with open_store("sqlite:///{tmp_path}/x.db", vault=vault, now=lambda: datetime.now(UTC)) as store:
    print(store.instance)
"""
    assert python(installed, code)


@pytest.mark.parametrize(
    "module", ["connectors", "connectors.registry", "bridge.cli", "connectors.feishu",
               "connectors.google", "connectors.memory", "bridge.config"]
)  # fmt: skip
def test_importing_what_help_and_check_need_pulls_in_no_sdk(installed, module):
    code = f"import sys, {module}; print(sorted(set({SDKS!r}) & set(sys.modules)))"
    assert python(installed, code) == "[]"


def test_help_needs_neither_the_database_nor_the_web_server(installed):
    web = ("uvicorn", "starlette", "jinja2")
    heavy = ("sqlalchemy", "alembic", "pydantic", "requests", "rich", *web)
    code = (
        "import sys; from bridge.cli import run; run(['--help']); "
        f"print(sorted(set({heavy!r}) & set(sys.modules)))"
    )
    assert python(installed, code).splitlines()[-1] == "[]"
