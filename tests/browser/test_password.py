"""`calbridge password`: from what somebody types to what the config takes."""

import io
import json

import pytest

from bridge.cli import run
from bridge.web.passwords import matches

PASSWORD = "correct horse battery staple"


def test_what_it_prints_opens_with_what_was_typed(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert run(["password"]) == 0
    printed = capsys.readouterr().out.strip()
    assert matches(PASSWORD, printed)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert run(["password", "--json"]) == 0
    assert matches(PASSWORD, json.loads(capsys.readouterr().out)["password_hash"])


@pytest.mark.parametrize("text", ["", "short\n"])
def test_a_short_password_is_refused(capsys, monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert run(["password"]) == 2
    shown = capsys.readouterr()
    assert "12 characters or more" in shown.err
    assert "scrypt" not in shown.out
