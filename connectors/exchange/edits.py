"""The three writing operations. Whatever is written mails nobody unless asked to."""

from collections.abc import Iterable, Sequence

from connectors.errors import ConnectorError, RetryableError
from connectors.exchange.client import Answer, Client, Wire, item_of
from connectors.exchange.errors import PROVIDER, AbsentError, StaleError
from connectors.exchange.reading import batches

BATCH = 64
"""Items in one write request."""


class Edits:
    """CreateItem, UpdateItem and DeleteItem of one account."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def insert(
        self, calendar: str, wires: Sequence[Wire], mails: str = "SendToNone"
    ) -> list[Answer]:
        """Make items; the id of each, or why there is none."""
        found: list[Answer] = []
        for batch in batches(wires, BATCH):
            content = {
                "@SendMeetingInvitations": mails,
                "SavedItemFolderId": {"FolderId": {"@Id": calendar}},
                "Items": {"CalendarItem": batch},
            }
            answers = self._client.call("CreateItem", content)
            found += [
                each if isinstance(each, ConnectorError) else item_of(each) for each in answers
            ]
        return found

    def update(
        self, changes: Sequence[Wire], conflicts: str, mails: str = "SendToNone"
    ) -> list[Answer]:
        """Change items, each to a new version."""
        content = {
            "@ConflictResolution": conflicts,
            "@MessageDisposition": "SaveOnly",
            "@SendMeetingInvitationsOrCancellations": mails,
            "ItemChanges": {"ItemChange": list(changes)},
        }
        answers = self._client.call("UpdateItem", content)
        return [each if isinstance(each, ConnectorError) else item_of(each) for each in answers]

    def remove(self, ids: Iterable[str]) -> None:
        """Move items to the Deleted Items. Absent already = done."""
        self.delete([{"ItemId": {"@Id": id_}} for id_ in ids])

    def delete(self, addresses: Sequence[Wire]) -> None:
        """As `remove`, for items and occurrences by their addresses."""
        for batch in batches(addresses, BATCH):
            for answer in self.discard(batch):
                if answer is not None:
                    raise answer

    def discard(self, addresses: Sequence[Wire]) -> list[ConnectorError | None]:
        """One request that moves items, or occurrences, to the Deleted Items: what kept each from
        it. Absent already = done."""
        ids: Wire = {}
        for address in addresses:
            for name, value in address.items():
                ids.setdefault(name, []).append(value)
        content = {
            "@DeleteType": "MoveToDeletedItems",
            "@SendMeetingCancellations": "SendToNone",
            "ItemIds": ids,
        }
        return [
            answer
            if isinstance(answer, ConnectorError) and not isinstance(answer, AbsentError)
            else None
            for answer in self._client.call("DeleteItem", content)
        ]


def sure(answer: Answer) -> Wire:
    """The answer; its error is raised."""
    if isinstance(answer, ConnectorError):
        raise answer
    return answer


def guarded(answer: Answer) -> Wire:
    """The answer to a write under a version that was read a moment ago."""
    if isinstance(answer, StaleError):
        raise restless("series") from answer
    return sure(answer)


def restless(ref: str) -> RetryableError:
    """The error for what others change all the time."""
    return RetryableError(
        f"The event {ref} changes faster than it can be written.",
        provider=PROVIDER,
        operation="UpdateItem",
        code="restless",
    )
