"""The order in which things last changed: what full listings and diffs both walk along."""

from bisect import bisect_right
from collections.abc import Iterator


class ChangeLog:
    """Ids by the number of their latest change.

    Touching costs O(1), reading what changed since a number costs the size of the answer.
    """

    def __init__(self) -> None:
        self.head = 0
        self._numbers: list[int] = []
        self._ids: list[str] = []
        self._latest: dict[str, int] = {}

    def touch(self, name: str) -> int:
        """`name` changed now; the number of this change."""
        self.head += 1
        self._latest[name] = self.head
        self._numbers.append(self.head)
        self._ids.append(name)
        if len(self._ids) > 2 * len(self._latest) + 1000:
            self._compact()
        return self.head

    def since(self, number: int) -> Iterator[tuple[int, str]]:
        """Every id that changed after `number`, once, in the order of its latest change."""
        for at in range(bisect_right(self._numbers, number), len(self._ids)):
            name = self._ids[at]
            if self._latest[name] == self._numbers[at]:
                yield self._numbers[at], name

    def _compact(self) -> None:
        kept = [
            (number, name)
            for number, name in zip(self._numbers, self._ids, strict=True)
            if self._latest[name] == number
        ]
        self._numbers = [number for number, _ in kept]
        self._ids = [name for _, name in kept]
