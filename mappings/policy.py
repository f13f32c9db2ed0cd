"""What a link may carry: the user's wishes, independent of any provider's abilities."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class Direction(StrEnum):
    """Which side's changes travel. A is the hub's calendar, B the other one."""

    TWO_WAY = "two-way"
    TO_TARGET = "to-target"
    FROM_TARGET = "from-target"


class Content(StrEnum):
    """How much of an event is shown on the other side."""

    FULL = "full"
    TITLE = "title"
    BUSY = "busy"


class AttendeePolicy(StrEnum):
    """What becomes of the attendees: a list in the footer, nothing, or real invitations."""

    TEXT = "text"
    NONE = "none"
    INVITE = "invite"


class Conflict(StrEnum):
    """Whose value stands when both sides changed the same field."""

    NEWEST = "newest"
    A = "a"
    B = "b"


class Unwritable(StrEnum):
    """What becomes of an edit of a copy whose original the account may not change, being only a
    participant: the copy is put back, or left as it is."""

    REVERT = "revert"
    KEEP = "keep"


class EditVersusDelete(StrEnum):
    """What happens when one side edited what the other deleted."""

    EDIT_WINS = "edit-wins"
    DELETE_WINS = "delete-wins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of time is kept the same, relative to now. None = without bound.

    A unit is inside if any of its occurrences is. Leaving the window is not deletion.
    """

    past: timedelta | None = timedelta(days=90)
    future: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Events that the user does not want on the other side at all.

    `skip_titles` are regular expressions searched in the title, upper and lower case the same.
    """

    skip_declined: bool = True
    skip_all_day: bool = False
    only_busy: bool = False
    skip_titles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteGuard:
    """How many deletions one pass may make before a person must approve.

    The link is held when the deletions exceed `count` *and* `share` of the units the link knows.
    """

    count: int = 10
    share: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that a link's user can decide."""

    direction: Direction = Direction.TWO_WAY
    window: Window = field(default_factory=Window)
    content: Content = Content.FULL
    busy_title: str = "Busy"
    attendees: AttendeePolicy = AttendeePolicy.TEXT
    reminders: bool = True
    color: bool = True
    origin_note: bool = False
    filters: Filters = field(default_factory=Filters)
    conflict: Conflict = Conflict.NEWEST
    edit_versus_delete: EditVersusDelete = EditVersusDelete.EDIT_WINS
    unwritable: Unwritable = Unwritable.REVERT
    delete_guard: DeleteGuard = field(default_factory=DeleteGuard)

    def writes(self, *, to_target: bool) -> bool:
        """Whether changes travel to calendar B (`to_target`) or to A."""
        allowed = Direction.TO_TARGET if to_target else Direction.FROM_TARGET
        return self.direction in (Direction.TWO_WAY, allowed)
