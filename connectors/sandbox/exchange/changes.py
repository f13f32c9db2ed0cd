"""What changed in one folder, in the order of the latest changes."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class FolderLog:
    """Item ids by the number of their latest change; a deleted item stays as a tombstone.

    Noting a change costs O(1), reading those since a number costs the size of the answer.
    """

    def __init__(self) -> None:
        self.head = 0
        self._numbers: list[int] = []
        self._ids: list[str] = []
        self._latest: dict[str, int] = {}
        self._born: dict[str, int] = {}

    def touch(self, item_id: str) -> None:
        """The item was created, changed or deleted."""
        self.head += 1
        self._born.setdefault(item_id, self.head)
        self._latest[item_id] = self.head
        self._numbers.append(self.head)
        self._ids.append(item_id)
        if len(self._ids) > 2 * len(self._latest) + 1000:
            self._compact()

    def born(self, item_id: str) -> int:
        """The number of the item's first change."""
        return self._born[item_id]

    def since(self, number: int) -> Iterator[tuple[int, str]]:
        """Every item that changed after `number`, once, oldest change first."""
        for at in range(bisect_right(self._numbers, number), len(self._ids)):
            if self._latest[self._ids[at]] == self._numbers[at]:
                yield self._numbers[at], self._ids[at]

    def newest_first(self, below: int) -> Iterator[tuple[int, str]]:
        """Items by the number of their first change, from just below a number downwards."""
        names = list(self._born)
        numbers = list(self._born.values())
        for at in range(bisect_left(numbers, below) - 1, -1, -1):
            yield numbers[at], names[at]

    def _compact(self) -> None:
        kept = [
            (number, name)
            for number, name in zip(self._numbers, self._ids, strict=True)
            if self._latest[name] == number
        ]
        self._numbers = [number for number, _ in kept]
        self._ids = [name for _, name in kept]
