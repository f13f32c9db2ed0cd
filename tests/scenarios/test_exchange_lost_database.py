"""The complaint: "after the server's disk died, every meeting was in my mailbox twice"."""

from typing import Any


def test_a_new_database_finds_the_copies_by_their_keys(mailbox: Any) -> None:
    assert mailbox.run().counts.created == 31
    before = mailbox.stored()
    mailbox.restart()
    for path in mailbox.path.parent.glob("config.db*"):
        if path.is_file():
            path.unlink()
    mailbox.consent()
    outcome = mailbox.run(full=True)
    assert outcome.held == ""
    assert mailbox.stored().keys() == before.keys()
    assert mailbox.titles() == mailbox.source_titles()
    assert mailbox.verify().differences == []
    assert mailbox.run(full=True).counts.writes == 0
