"""The files under docs/deploy, by which people run it as a service."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from bridge import config
from bridge.cli import cli
from bridge.commands.template import Answers, render
from bridge.runtime import Runtime
from bridge.service import ROLES, Service
from bridge.vault import Vault

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "deploy"
UNIT = FOLDER / "calbridge.service"
LIMIT = 10
"""Seconds within which `calbridge run` ends after SIGTERM (docs/operations.md)."""
SERVICE_KEYS = {  # the Compose Specification, "Services top-level elements"
    "build", "cap_drop", "command", "depends_on", "deploy", "environment", "healthcheck", "image",
    "ports", "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip


def understood(words: list[str]) -> click.Command:
    """The command that the words name; fails where they name an option or value that is not."""
    words = list(words)
    if words[0] == "--config":
        del words[:2]
    name, *options = words
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, name
    command.make_context(name, options)
    return command


@pytest.fixture(scope="module")
def unit() -> dict[str, dict[str, list[str]]]:
    """Sections of the unit; a setting may stand in it several times."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


def test_the_unit_runs_commands_that_there_are(unit: Any) -> None:
    service = unit["Service"]
    for key in ("ExecStartPre", "ExecStart"):
        (line,) = service[key]
        program, *words = shlex.split(line)
        assert Path(program).name == "calbridge"
        assert understood(words).name == {"ExecStartPre": "check", "ExecStart": "run"}[key]


def test_the_unit_gives_it_time_to_end_and_brings_it_back(unit: Any) -> None:
    service = unit["Service"]
    assert int(service["TimeoutStopSec"][0]) > LIMIT
    assert service["Restart"] == ["on-failure"]
    assert service["EnvironmentFile"] == ["/etc/calbridge/secrets"]


def test_the_unit_lets_it_write_nothing_but_its_state(unit: Any) -> None:
    service = unit["Service"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["StateDirectory"] == ["calbridge"]
    assert "ReadWritePaths" not in service
    assert service["User"] == ["calbridge"]
    assert service["CapabilityBoundingSet"] == [""]


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        configparser.ConfigParser(strict=False, allow_no_value=True, interpolation=None).read(UNIT)
        pytest.skip("systemd-analyze is not here; it could only be parsed")
    copy = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8")
    copy.write_text(text.replace("/opt/calbridge/bin/calbridge", shutil.which("true") or ""))
    done = subprocess.run([systemd, "verify", "--man=no", copy], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (ours, done.returncode) == ([], 0)


# -- image ----------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    text = (FOLDER / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_copies_what_there_is_and_installs_what_it_needs() -> None:
    lines = [rest for word, rest in instructions() if word == "COPY"]
    stages = " ".join(rest for rest in lines if "--from" not in rest)
    copied = {name for name in stages.split() if name not in (".", "./")}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert needed | set(packages) <= copied
    (install,) = [rest for word, rest in instructions() if "pip install" in rest]
    extras = re.findall(r"'\.\[(\w+)\]'", install)
    assert extras
    assert set(extras) <= set(project["project"]["optional-dependencies"])
    bases = {rest.split()[0] for word, rest in instructions() if word == "FROM"}
    assert len(bases) == 1
    minor = bases.pop().rpartition(":")[2].removesuffix("-slim")
    assert f"Programming Language :: Python :: {minor}" in project["project"]["classifiers"]


def test_the_image_runs_the_service_as_nobody_special() -> None:
    told = dict(instructions())
    program, *words = yaml.safe_load(told["ENTRYPOINT"])
    assert program == "calbridge"
    assert understood([*words, *yaml.safe_load(told["CMD"])]).name == "run"
    assert int(told["USER"]) > 0
    last = [word for word, _ in instructions()]
    assert last.index("USER") < last.index("ENTRYPOINT")


@pytest.fixture
def open_service(tmp_path: Path) -> Iterator[str]:
    """The address of the service with the role web alone."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "connectors: {hub: {type: memory}, other: {type: memory}}\n"
        "users: {ann: {hub: ann, links: [{to: other, account: ann}]}}\n"
        "service: {listen: '127.0.0.1:0'}\n"
        f"secret_key: {Vault.generate_key()}\n"
    )
    with Runtime(config.load(path, {})) as runtime:
        service = Service(runtime, only=["web"])
        service.start()
        yield service.address
        service.stop()


def test_the_health_check_asks_a_running_service(open_service: str) -> None:
    (check,) = [rest for word, rest in instructions() if word == "HEALTHCHECK"]
    program, *words = yaml.safe_load(check.partition("CMD ")[2])
    assert program == "python"

    def asked(address: str) -> int:
        here = [word.replace("http://127.0.0.1:8377", address) for word in words]
        assert here != words
        return subprocess.run([sys.executable, *here], stderr=subprocess.DEVNULL).returncode

    assert asked(open_service) == 0
    assert asked("http://127.0.0.1:9") == 1


# -- compose ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def test_compose_uses_keys_that_there_are(compose: dict[str, Any]) -> None:
    assert {key for key in compose if not key.startswith("x-")} == {"name", "services", "volumes"}
    for name, service in compose["services"].items():
        assert set(service) <= SERVICE_KEYS, name
        assert all(each in compose["services"] for each in service.get("depends_on", ()))
        for volume in service.get("volumes", ()):
            if volume["type"] == "volume":
                assert volume["source"] in compose["volumes"]


def test_compose_has_every_role_and_two_workers(compose: dict[str, Any]) -> None:
    roles = []
    for name in ("bridge", "workers"):
        words = compose["services"][name]["command"]
        assert understood(words).name == "run"
        roles += words[2::2]
    assert sorted(roles) == sorted(ROLES)
    assert compose["services"]["workers"]["deploy"]["replicas"] >= 2


def test_compose_holds_no_secret_and_opens_nothing_to_the_outside(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service["environment"].items():
            if re.search("SECRET|PASSWORD|HASH|DATABASE", name):
                assert re.search(r"\$\{[A-Z_]+:[?-]\}", value), name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")


def test_compose_knows_the_variables_of_every_config_that_init_writes(
    compose: dict[str, Any],
) -> None:
    text = render(Answers(services=("google", "exchange"), dashboard="password"))
    live = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    named = set(re.findall(r"\$\{([A-Z_]+)", live)) - {"CALBRIDGE_SECRET_KEY"}
    assert named <= set(compose["services"]["bridge"]["environment"])
