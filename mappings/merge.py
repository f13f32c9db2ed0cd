"""Three-way merge by field and by occurrence.

A *change* is the difference between what a side showed before and what it shows now, path by
path. `changes` finds them, `transfer` carries one side's changes over to the other side's event,
`clashes` names the paths that both sides changed to different values.

A path is a tuple: `("title",)` and so on for details, `("schedule",)` for time, rule and extra
dates together (a rule means nothing without the start it was written for), and
`("occurrence", key, field)` for one occurrence, where field is a detail, `when`, or `exists`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

from mappings import recurrence
from mappings.members import is_member
from mappings.model import Details, Event, Key, Override, When

Path = tuple[str, ...]

SCHEDULE: Path = ("schedule",)
DETAIL_FIELDS = tuple(item.name for item in fields(Details))


@dataclass(frozen=True, slots=True)
class Schedule:
    """When an event takes place: the part of it that can only be understood together."""

    when: When
    rule: Any
    rdates: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """One occurrence as a reader sees it: its details and time, or None if it is not there."""

    details: Details
    when: When


@dataclass(frozen=True, slots=True)
class Change:
    """One path's value before and after."""

    before: Any
    after: Any


def schedule(event: Event) -> Schedule:
    """The schedule of an event."""
    return Schedule(event.when, event.rule, event.rdates)


def shown(event: Event, key: Key) -> Shown | None:
    """What the series shows at an occurrence, whether by exception or by rule."""
    override = event.overrides_by_key.get(key)
    if override is None:
        if not is_member(event, key):
            return None
        return Shown(event.details, recurrence.when_of(event, key))
    if override.cancelled or override.details is None or override.when is None:
        return None
    return Shown(override.details, override.when)


def aligned(event: Event, like: Event) -> Event:
    """`event` with its exceptions named as in a series whose start or zone was moved to `like`."""
    if event.when == like.when or not event.overrides:
        return event
    return replace(event, overrides=recurrence.rekey(event.overrides, event, like))


def changes(before: Event, after: Event) -> dict[Path, Change]:
    """Every path whose value differs. Exceptions are matched by occurrence."""
    found: dict[Path, Change] = {}
    _compare_details(found, (), before.details, after.details)
    if schedule(before) != schedule(after):
        found[SCHEDULE] = Change(schedule(before), schedule(after))
    if not before.overrides and not after.overrides:
        return found
    before = aligned(before, after)
    if before.overrides == after.overrides and not found:
        return found
    for key in sorted(before.overrides_by_key.keys() | after.overrides_by_key.keys()):
        _compare_occurrence(found, key, before, after)
    return found


def _compare_details(found: dict[Path, Change], prefix: Path, old: Details, new: Details) -> None:
    if old == new:
        return
    for name in DETAIL_FIELDS:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            found[(*prefix, name)] = Change(before, after)


def _compare_occurrence(found: dict[Path, Change], key: Key, before: Event, after: Event) -> None:
    inherits = key not in after.overrides_by_key
    old, new = _shown_as_before(before, after, key), shown(after, key)
    prefix = ("occurrence", key)
    if old is None and new is None:
        return
    if old is None or new is None:
        found[(*prefix, "exists")] = Change(old is not None, new is not None)
        if new is None or inherits:
            return
        old = Shown(after.details, recurrence.when_of(after, key))
    if inherits and key not in before.overrides_by_key:
        return
    _compare_details(found, prefix, old.details, new.details)
    if old.when != new.when:
        found[(*prefix, "when")] = Change(old.when, new.when)


def _shown_as_before(before: Event, after: Event, key: Key) -> Shown | None:
    """What the occurrence showed before, measured on the *new* series where it had no exception:
    a change of the whole series is not a change of each occurrence."""
    if key in before.overrides_by_key:
        return shown(before, key)
    return shown(replace(after, overrides=()), key)


def transfer(before: Event, after: Event, onto: Event, only: Collection[Path] | None) -> Event:
    """`onto` with the changes from `before` to `after` made to it, and nothing else.

    `only` restricts them to some paths. An exception on `onto` follows a change of the series in
    every field in which it agreed with the series so far, unless it stands on `after` without
    having followed there.
    """
    found = changes(before, after)
    if only is not None:
        found = {path: change for path, change in found.items() if path in only}
    if not found:
        return onto
    own = {path[0]: change.after for path, change in found.items() if len(path) == 1}
    result = replace(
        onto,
        details=replace(
            onto.details, **{name: value for name, value in own.items() if name != "schedule"}
        ),
    )
    if SCHEDULE in found:
        result = replace(result, when=after.when, rule=after.rule, rdates=after.rdates)
        result = replace(result, rdates=tuple({*result.rdates, *_spelled(onto, after)}))
        result = replace(result, overrides=recurrence.rekey(onto.overrides, onto, result))
    loose = _spelled(result, after) - result.overrides_by_key.keys()
    if loose:
        apart = (
            Override(key=key, details=onto.details, when=recurrence.when_of(onto, key))
            for key in loose
        )
        result = replace(result, overrides=(*result.overrides, *apart))
    via = (after,) if SCHEDULE in found else (after, before)
    theirs = {
        _key_on(result, via, override.key): override.details
        for override in after.overrides
        if override.details is not None
    }
    overrides = {}
    for override in result.overrides:
        there = theirs.get(override.key)
        alone = {
            name
            for name in DETAIL_FIELDS
            if there is not None and getattr(there, name) != getattr(after.details, name)
        }
        overrides[override.key] = _inherit(override, onto.details, result.details, alone)
    _transfer_occurrences(found, before, via, result, overrides)
    for key in aligned(before, after).overrides_by_key.keys() - after.overrides_by_key.keys():
        _give_back(_key_on(result, via, key), result, overrides)
    return recurrence.tidy(
        replace(result, overrides=tuple(overrides[key] for key in sorted(overrides)))
    )


def completed(made: Event, wanted: Event) -> Event:
    """`made`, which was being written as `wanted`, with the exceptions that were still missing.
    Whatever else is different was done to it since."""
    if schedule(made) != schedule(wanted):
        return made
    missing = wanted.overrides_by_key.keys() - made.overrides_by_key.keys()
    overrides = (*made.overrides, *(wanted.overrides_by_key[key] for key in missing))
    return replace(made, overrides=tuple(sorted(overrides, key=lambda item: item.key)))


def _spelled(event: Event, other: Event) -> set[Key]:
    """The extra dates of `event` that the other side can only show as exceptions that stand by
    themselves (`mappings.spelled`): they do not follow when the series is changed there."""
    if not event.rdates or event.rdates == other.rdates:
        return set()
    there = {item.key for item in other.overrides if not item.cancelled}
    return {key for key in event.rdates if key in there and not is_member(other, key)}


def _inherit(override: Override, old: Details, new: Details, alone: Collection[str]) -> Override:
    """An exception follows its series in what it agreed with so far, but for the fields that
    stand `alone` because they did not follow where the series was changed."""
    if override.details is None or old == new:
        return override
    moved = {
        name: getattr(new, name)
        for name in DETAIL_FIELDS
        if name not in alone
        and getattr(old, name) != getattr(new, name)
        and getattr(override.details, name) == getattr(old, name)
    }
    return replace(override, details=replace(override.details, **moved)) if moved else override


def _transfer_occurrences(
    found: Mapping[Path, Change],
    before: Event,
    via: Sequence[Event],
    result: Event,
    overrides: dict[Key, Override],
) -> None:
    after = via[0]
    before = aligned(before, after)
    by_key: dict[Key, dict[str, Any]] = {}
    for path, change in found.items():
        if len(path) == 3:
            by_key.setdefault(Key(path[1]), {})[path[2]] = change.after
    standing = {_key_on(result, via, override.key) for override in after.overrides}
    for key, values in by_key.items():
        here = _key_on(result, via, key)
        inherits = key not in after.overrides_by_key
        if inherits and here in standing:
            continue  # a move that does not stand had left its exception behind
        exists = values.pop("exists", None)
        if exists is False:
            overrides.pop(here, None)
            ruled = is_member(after, key) or is_member(before, key)
            if ruled or here in result.rdates:  # what stood by itself here may be a date there
                overrides[here] = Override(key=here, cancelled=True)
            continue
        if exists and inherits:
            if here in overrides and overrides[here].cancelled:
                del overrides[here]
            continue
        current = shown(replace(result, overrides=tuple(overrides.values())), here)
        base = current or _revived(after, key, result, here, new=bool(exists))
        if base is None:
            continue
        new = (
            _following(values, shown(before, key), base, result, here)
            if inherits
            else _agreeing(values, after, result)
        )
        when = new.pop("when", base.when)
        if here != key and when == recurrence.when_of(after, key):
            when = recurrence.when_of(result, here)
        overrides[here] = Override(key=here, details=replace(base.details, **new), when=when)


def _give_back(key: Key, series: Event, overrides: dict[Key, Override]) -> None:
    """End an exception that is none any more. One that the rule has no date for would stand on
    just because it was one."""
    override = overrides.get(key)
    ruled = recurrence.when_of(series, key)
    if override is not None and (override.details, override.when) == (series.details, ruled):
        del overrides[key]


def _revived(after: Event, key: Key, series: Event, here: Key, *, new: bool) -> Shown | None:
    """An occurrence of `after` that was not there on the other side: in what it agrees with its
    series, it agrees with that one, too; a `new` one in all that is not its own change. One that
    the other series has no date for keeps its time, as exceptions do that a new rule leaves behind.
    """
    there = shown(after, key)
    if there is None:
        return None
    agreed = {
        name: getattr(series.details, name)
        for name in DETAIL_FIELDS
        if new or getattr(there.details, name) == getattr(after.details, name)
    }
    dated = is_member(replace(series, overrides=()), here)
    regular = recurrence.when_of(after, key)
    when = regular if new else there.when
    if dated and when == regular:
        when = recurrence.when_of(series, here)
    return Shown(replace(there.details, **agreed), when)


def _agreeing(changed: Mapping[str, Any], after: Event, series: Event) -> dict[str, Any]:
    """The values of an occurrence, those of its series where it has come to agree with it."""
    return {
        name: getattr(series.details, name)
        if name in DETAIL_FIELDS and value == getattr(after.details, name)
        else value
        for name, value in changed.items()
    }


def _following(
    changed: Mapping[str, Any], was: Shown | None, now: Shown, series: Event, key: Key
) -> dict[str, Any]:
    """The values of an occurrence that was given back to its series: those of the series, but
    for what was changed elsewhere meanwhile."""
    values: dict[str, Any] = {
        name: getattr(series.details, name)
        for name in DETAIL_FIELDS
        if name in changed
        or (was and getattr(now.details, name) == getattr(was.details, name))
    }  # fmt: skip
    if "when" in changed or (was and now.when == was.when):
        values["when"] = recurrence.when_of(series, key)
    return values


def _key_on(target: Event, via: Sequence[Event], key: Key) -> Key:
    """What an occurrence is called on `target`, whose series may stand elsewhere. It has its name
    from the first of `via`; where that stands elsewhere too, the last was like `target` once."""
    bare = replace(target, overrides=())
    for old, new in pairwise((*via, bare)):
        if old.when != new.when:
            key = recurrence.renamed(key, old, new)
    return key


def clashes(
    ours: Mapping[Path, Change], theirs: Mapping[Path, Change]
) -> tuple[frozenset[Path], frozenset[Path]]:
    """The paths of each side's changes that contradict the other side's.

    The same path with two different new values; an occurrence that one side removed, alone or
    with the whole series, and the other edited. Otherwise a schedule and a single occurrence's
    time never clash: the occurrence keeps its own.
    An occurrence is the same one although a side has moved the series meanwhile.
    """
    mine, yours = _as_before(ours), _as_before(theirs)
    both = {path for path in mine.keys() & yours.keys() if mine[path][1] != yours[path][1]}
    left, right = set(both), set(both)
    for first, second, out_first, out_second in (
        (mine, yours, left, right),
        (yours, mine, right, left),
    ):
        for path, (_named, value) in first.items():
            if len(path) == 3 and path[2] == "exists" and value is False:
                edits = {other for other in second if len(other) == 3 and other[1] == path[1]}
                edits = {other for other in edits if second[other][1] is not False}
                if edits:
                    out_first.add(path)
                    out_second.update(edits)
        if SCHEDULE in first and not _recurring(first[SCHEDULE][1]):
            edits = {other for other in second if len(other) == 3}
            if edits:
                out_first.add(SCHEDULE)
                out_second.update(edits)
    return frozenset(mine[path][0] for path in left), frozenset(yours[path][0] for path in right)


def _recurring(schedule: Schedule) -> bool:
    return schedule.rule is not None or bool(schedule.rdates)


def _as_before(changes: Mapping[Path, Change]) -> dict[Path, tuple[Path, Any]]:
    """Each path by the name that its occurrence had before the changes: with the name that it
    has now, and the new value. An exception that a move has left behind, at a time that was one of
    the series' own, stands back behind the occurrence that went along."""
    moved = changes.get(SCHEDULE)
    if moved is None:
        return {path: (path, change.after) for path, change in changes.items()}
    old, new = (
        Event(details=Details(), when=item.when, rule=item.rule, rdates=item.rdates)
        for item in (moved.before, moved.after)
    )
    named = {
        path: (path[0], recurrence.renamed(Key(path[1]), new, old), path[2])
        if len(path) == 3
        else path
        for path in changes
    }
    went_along = sorted(named, key=lambda path: path != named[path])
    return {named[path]: (path, changes[path].after) for path in went_along}
