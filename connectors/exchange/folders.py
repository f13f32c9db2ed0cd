"""The calendars of a mailbox."""

from collections.abc import Sequence

from connectors.contract import Calendar, Role
from connectors.errors import ConnectorError
from connectors.exchange.client import Client, Wire, single
from mappings.exchange import many, text

_CALENDAR = "IPF.Appointment"
_PAGE = 500
_SHAPE = {
    "BaseShape": "Default",
    "AdditionalProperties": {
        "FieldURI": [
            {"@FieldURI": "folder:FolderClass"},
            {"@FieldURI": "folder:ParentFolderId"},
            {"@FieldURI": "folder:EffectiveRights"},
        ]
    },
}


def calendars(client: Client, zone: str) -> Sequence[Calendar]:
    """The mailbox's own calendar first, then all others outside the Deleted Items. Two calls.

    A delegate who may see the calendar but not the folders beside it gets the calendar alone.
    """
    account = client.account
    asked = ["calendar", "deleteditems"]
    content = {
        "FolderShape": _SHAPE,
        "FolderIds": {"DistinguishedFolderId": [_standard(name, account) for name in asked]},
    }
    own, bin_ = client.call("GetFolder", content)
    primary = _folders(single([own]).get("Folders"))[0]
    deleted = "" if isinstance(bin_, ConnectorError) else _id(_folders(bin_.get("Folders"))[0])
    found = [primary]
    try:
        found += [
            folder
            for folder in _below(client, account)
            if _id(folder) != _id(primary) and _parent(folder) != deleted
        ]
    except ConnectorError as error:
        if error.code != "ErrorAccessDenied":
            raise
    return tuple(
        Calendar(
            id=_id(folder),
            name=text(folder, "DisplayName"),
            role=_role(folder),
            primary=folder is primary,
            zone=zone,
        )
        for folder in found
    )


def _below(client: Client, account: str) -> list[Wire]:
    found: list[Wire] = []
    while True:
        content = {
            "@Traversal": "Deep",
            "FolderShape": _SHAPE,
            "IndexedPageFolderView": {
                "@MaxEntriesReturned": str(_PAGE),
                "@Offset": str(len(found)),
                "@BasePoint": "Beginning",
            },
            "ParentFolderIds": {"DistinguishedFolderId": _standard("msgfolderroot", account)},
        }
        root = client.one("FindFolder", content)["RootFolder"]
        page = _folders(root.get("Folders"))
        found += page
        if not page or root.get("@IncludesLastItemInRange") == "true":
            return [folder for folder in found if text(folder, "FolderClass") == _CALENDAR]


def _standard(name: str, account: str) -> Wire:
    return {"@Id": name, "Mailbox": {"EmailAddress": account}}


def _folders(wire: Wire | str | None) -> list[Wire]:
    return [*many(wire, "CalendarFolder"), *many(wire, "Folder")]


def _id(folder: Wire) -> str:
    return str(folder["FolderId"]["@Id"])


def _parent(folder: Wire) -> str:
    return str((folder.get("ParentFolderId") or {}).get("@Id", ""))


def _role(folder: Wire) -> Role:
    """From what the login may do; a server that does not say it lets the owner do all."""
    rights = folder.get("EffectiveRights")
    if not isinstance(rights, dict):
        return Role.OWNER
    if text(rights, "CreateContents") == "true":
        return Role.OWNER if text(rights, "Delete") == "true" else Role.WRITER
    return Role.READER if text(rights, "Read") == "true" else Role.NONE
