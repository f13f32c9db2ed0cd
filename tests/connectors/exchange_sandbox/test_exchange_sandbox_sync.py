"""SyncFolderItems: the first run, changes, and states that are void."""

import pytest
from exchangelib.errors import ErrorInvalidSyncStateData, ErrorSyncFolderNotFound
from exchangelib.items import SHALLOW
from exchangelib.recurrence import DailyPattern, NumberedPattern, Recurrence
from exchangelib.services import SyncFolderItems

ALICE = "alice@office.example"
FIELDS = {"subject": "x", "start": "2027-03-01T09:00:00", "end": "2027-03-01T10:00:00"}


@pytest.fixture
def page(alice):
    """One page: (kinds and ids, state, complete)."""

    def _page(state=None, most=512, ignore=None):
        service = SyncFolderItems(account=alice)
        entries = list(
            service.call(
                folder=alice.calendar, shape="IdOnly", additional_fields=[], sync_state=state,
                ignore=ignore, max_changes_returned=most, sync_scope=None,
            )
        )  # fmt: skip
        changes = [(kind, getattr(entry, "id", entry)) for kind, entry in entries]
        return changes, service.sync_state, service.includes_last_item_in_range

    return _page


def test_the_first_run_lists_everything_newest_first_by_pages(sandbox, page):
    made = [sandbox.edit(ALICE, "create", FIELDS)["id"] for _ in range(10)]
    seen, state, complete, sizes = [], None, False, []
    while not complete:
        changes, state, complete = page(state, most=4)
        sizes.append(len(changes))
        seen += changes
    assert sizes == [4, 4, 2]
    assert seen == [("create", name) for name in reversed(made)]
    assert page(state) == ([], state, True)


def test_what_changes_during_the_first_run_is_not_lost(sandbox, page):
    made = [sandbox.edit(ALICE, "create", FIELDS)["id"] for _ in range(6)]
    first, state, _complete = page(most=3)
    sandbox.edit(ALICE, "change", made[0], {"subject": "late"})
    sandbox.edit(ALICE, "remove", made[1])
    new = sandbox.edit(ALICE, "create", FIELDS)["id"]
    seen, complete = list(first), False
    while not complete:
        changes, state, complete = page(state, most=3)
        seen += changes
    assert {name for kind, name in seen if kind == "create"} == {*made, new} - {made[1]}
    assert ("create", made[0]) in seen
    assert seen.index(("create", made[0])) < seen.index(("update", made[0]))


def test_changes_are_told_once_and_replayed_for_an_old_state(sandbox, page):
    kept = sandbox.edit(ALICE, "create", FIELDS)["id"]
    gone = sandbox.edit(ALICE, "create", FIELDS)["id"]
    _changes, old, _complete = page()
    for subject in ("a", "b"):
        sandbox.edit(ALICE, "change", kept, {"subject": subject})
    sandbox.edit(ALICE, "remove", gone)
    new = sandbox.edit(ALICE, "create", FIELDS)["id"]
    brief = sandbox.edit(ALICE, "create", FIELDS)["id"]
    sandbox.edit(ALICE, "remove", brief, how="HardDelete")
    changes, state, complete = page(old)
    assert [kind for kind, _ in changes] == ["update", "delete", "create"]
    assert (changes[0][1], changes[1][1], changes[2][1]) == (kept, gone, new)
    assert complete
    assert page(old)[0] == changes
    assert page(state)[0] == []


def test_a_restored_event_is_a_create_with_a_new_id(sandbox, page):
    made = sandbox.edit(ALICE, "create", FIELDS)["id"]
    _changes, state, _complete = page()
    sandbox.edit(ALICE, "remove", made)
    [trashed] = sandbox.edit(ALICE, "events", "deleteditems")
    back = sandbox.edit(ALICE, "move", trashed["id"], "calendar")["id"]
    assert page(state)[0] == [("delete", made), ("create", back)]


def test_an_occurrence_shows_as_an_update_of_its_master(alice, event, at, page):
    bound = NumberedPattern(start=at(2027, 3, 1).date(), number=5)
    rule = Recurrence(pattern=DailyPattern(interval=1), boundary=bound)
    master = event(alice, recurrence=rule)
    _changes, state, _complete = page()
    master.occurrence(2).delete()
    changes, state, _complete = page(state)
    assert changes == [("update", master.id)]
    third = master.occurrence(3)
    third.refresh()
    third.subject = "x"
    third.save(update_fields=["subject"])
    assert page(state)[0] == [("update", master.id)]


def test_void_states_are_refused_with_their_own_error(sandbox, alice, page):
    _changes, state, _complete = page()
    assert len(state) >= 2000
    sandbox.void_sync_states(ALICE)
    for bad in (state, "bm9uc2Vuc2U=", "no state at all"):
        service = SyncFolderItems(account=alice)
        with pytest.raises(ErrorInvalidSyncStateData):
            list(service.call(
                folder=alice.calendar, shape="IdOnly", additional_fields=[], sync_state=bad,
                ignore=None, max_changes_returned=10, sync_scope=None,
            ))  # fmt: skip
        assert service.includes_last_item_in_range
        assert not service.sync_state


def test_a_folder_that_is_gone_says_so(sandbox, alice, post):
    folder = sandbox.add_calendar(ALICE, "Project")
    with sandbox.lock:
        mailbox = sandbox.world.mailbox(ALICE)
        mailbox.drop_folder(mailbox.folder(folder))
    answer = post(
        "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
        f"<m:SyncFolderId><t:FolderId Id='{folder}'/></m:SyncFolderId>"
        "<m:MaxChangesReturned>10</m:MaxChangesReturned></m:SyncFolderItems>"
    ).text
    assert ErrorSyncFolderNotFound.__name__ in answer
    assert "<m:SyncState/>" in answer


def test_thousands_of_events_are_read_in_pages(sandbox, page):
    first = sandbox.edit(ALICE, "create", FIELDS)["id"]
    sandbox.edit(ALICE, "copies", first, 2_047)
    seen, state, complete, pages = set(), None, False, 0
    while not complete:
        changes, state, complete = page(state)
        seen |= {name for _kind, name in changes}
        pages += 1
    assert (len(seen), pages) == (2_048, 4)


def test_further_calendars_stand_below_the_calendar(sandbox, alice):
    sandbox.add_calendar(ALICE, "Project")
    from exchangelib.services import FindFolder

    service = FindFolder(account=alice)
    found = list(
        service.call(
            folders=[alice.calendar], additional_fields=[], restriction=None, shape="Default",
            depth=SHALLOW, max_items=100, offset=0,
        )
    )  # fmt: skip
    assert [(folder.name, folder.folder_class) for folder in found] == [
        ("Project", "IPF.Appointment")
    ]
    changes = list(alice.root.sync_hierarchy())
    assert ("create", "Project") in [(kind, folder.name) for kind, folder in changes]


def test_entries_may_come_twice_and_pages_short(sandbox, page):
    made = [sandbox.edit(ALICE, "create", FIELDS)["id"] for _ in range(4)]
    sandbox.switches.turn(sync_duplicates=True, sync_page_limit=3)
    first, state, complete = page()
    assert (len(first), complete) == (3, False)
    second, _state, _complete = page(state)
    assert first[-1] in second
    assert {name for _kind, name in first + second} == set(made)


def test_a_change_without_content_is_still_a_change(sandbox, alice, event, page):
    made = event(alice)
    _changes, state, _complete = page()
    made.save(update_fields=["subject"])
    assert page(state)[0] == [("update", made.id)]
    sandbox.switches.turn(touch_on_noop=False)
    _changes, state, _complete = page()
    made.save(update_fields=["subject"])
    assert page(state)[0] == []
    sandbox.edit(ALICE, "touch", made.id)
    assert page(state)[0] == [("update", made.id)]


def test_items_the_reader_ignores_are_left_out(sandbox, page, post):
    kept, hidden = (sandbox.edit(ALICE, "create", FIELDS)["id"] for _ in range(2))
    answer = post(
        "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
        "<m:SyncFolderId><t:DistinguishedFolderId Id='calendar'/></m:SyncFolderId><m:SyncState/>"
        f"<m:Ignore><t:ItemId Id='{hidden}'/></m:Ignore>"
        "<m:MaxChangesReturned>10</m:MaxChangesReturned></m:SyncFolderItems>"
    ).text
    assert kept in answer
    assert hidden not in answer
