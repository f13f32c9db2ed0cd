"""What people do on both sides at once, before the bridge looks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from connectors.sandbox.worlds.hands import Hands

ZONE = ZoneInfo("Asia/Shanghai")
PLAN, FINAL, BRIEF = "Team plan", "Team plan, final", "Team plan, short version"
COURSE = "Course, day {number}"
DAYS = 30


@dataclass(frozen=True)
class Scene:
    """Something that happens on both sides of the link of that name; `shown` tells afterwards
    what each side shows. `held` = a guard has to stop the link for a person's word, and what is
    then done is taken back again."""

    what: str
    link: str
    act: Callable[[], None]
    shown: Callable[[], str]
    held: bool = False


def prepare(hands: Hands, now: datetime) -> None:
    """The events that the scenes are about."""
    day = (now + timedelta(days=10)).astimezone(ZONE).replace(hour=11, minute=0, second=0)
    hands.put(PLAN, day.replace(microsecond=0), 60)
    for number in range(1, DAYS + 1):
        start = day + timedelta(days=number // 2, hours=number % 2)
        hands.put(COURSE.format(number=number), start.replace(microsecond=0), 30)


def scenes(link: str, here: Hands, there: Hands) -> Sequence[Scene]:
    """All scenes of one link, in order."""

    def merge() -> None:
        here.place(PLAN, "Room Everest")
        there.rename(PLAN, FINAL)

    def conflict() -> None:
        here.rename(FINAL, BRIEF)
        there.rename(FINAL, PLAN)

    def clear() -> None:
        for number in range(1, DAYS + 1):
            there.remove(COURSE.format(number=number))

    def plans() -> str:
        return "; ".join(
            f"{hands.name}: {title!r} at {hands.where(title)!r}"
            for hands in (here, there)
            for title in hands.titles()
            if title in (PLAN, FINAL, BRIEF)
        )

    def courses() -> str:
        counts = {
            hands.name: sum(title.startswith(COURSE[:6]) for title in hands.titles())
            for hands in (here, there)
        }
        return "; ".join(f"{name}: {count} of {DAYS} there" for name, count in counts.items())

    return (
        Scene(f"{here.name} gives a place, {there.name} another title", link, merge, plans),
        Scene("both give another title", link, conflict, plans),
        Scene(f"{DAYS} events are deleted at {there.name}", link, clear, courses, held=True),
    )
