"""What the bridge has been doing: throughput, latency and quota of the last day, hour by hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from starlette.responses import Response

from bridge.store.activity import Hour, hours, outcomes, spent
from bridge.store.calls import Tally, traffic
from bridge.web.site import Visit

HOURS = 24
WIDTH, HEIGHT, GAP = 13, 110, 4
BUDGETS = 8
"""So many are shown at first, those that are used most."""
_SCALES = ((7200, 3600, "h"), (120, 60, "min"), (1, 1, "s"), (0, 0.001, "ms"))
"""From how many seconds on a plot has which unit, and how many seconds that is."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a plot, in the plot's units. `over` is the part of another colour on top;
    `label` stands below it, `told` says what it means."""

    x: int
    height: float
    over: float
    label: str
    told: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Bars for the hours of a day; `top` is what the highest stands for."""

    bars: tuple[Bar, ...]
    top: str

    @property
    def width(self) -> int:
        """Of all of it."""
        return len(self.bars) * (WIDTH + GAP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An hour, with the calls that went out in it."""

    hour: Hour
    calls: int
    failed: int
    mean: timedelta


def activity_page(visit: Visit) -> Response:
    """The plots, and the numbers behind them as a table."""
    now = visit.runtime.system.now()
    visit.runtime.calls.store()
    store = visit.runtime.store
    found = hours(store, now, HOURS)
    calls = traffic(store, found[0].at)
    rows = [_row(hour, *calls.get(hour.at, (Tally(), Tally()))) for hour in found]
    return visit.page(
        "activity.html",
        rows=rows,
        writes=_plot(rows, [row.hour.writes for row in rows]),
        runs=_plot(rows, [row.hour.runs for row in rows], [row.hour.failed for row in rows]),
        lasts=_timed(
            rows,
            [row.hour.longest for row in rows],
            [row.hour.longest - row.hour.mean for row in rows],
        ),
        gaps=_timed(rows, [row.hour.gap for row in rows]),
        calls=_plot(rows, [row.calls for row in rows], [row.failed for row in rows]),
        took=_timed(rows, [row.mean for row in rows]),
        outcomes=sorted(outcomes(store, now - timedelta(days=1)).items()),
        spent=sorted(spent(store, now), key=lambda each: -(each.used or 0)),
        shown=BUDGETS,
        queue=store.job_stats(now),
        height=HEIGHT,
        bar=WIDTH,
    )


def _row(hour: Hour, every: Tally, failed: Tally) -> Row:
    mean = every.time / every.calls if every.calls else timedelta(0)
    return Row(hour=hour, calls=every.calls, failed=failed.calls, mean=mean)


def _timed(
    rows: Sequence[Row], values: Sequence[timedelta], over: Sequence[timedelta] | None = None
) -> Plot:
    """In the unit that fits the highest."""
    highest = max(values).total_seconds()
    size, unit = next((size, unit) for least, size, unit in _SCALES if highest >= least)
    scaled, rest = (
        [each.total_seconds() / size for each in times] if times else None
        for times in (values, over)
    )
    return _plot(rows, scaled or [], rest, f" {unit}")


def _plot(
    rows: Sequence[Row],
    values: Sequence[float],
    over: Sequence[float] | None = None,
    unit: str = "",
) -> Plot:
    highest = max(values)
    scale = HEIGHT / highest if highest else 0.0
    bars = tuple(
        Bar(
            number * (WIDTH + GAP),
            round(value * scale, 1),
            round(part * scale, 1),
            f"{row.hour.at:%H}",
            f"{row.hour.at:%H}:00 · {_told(value)}{unit}",
        )
        for number, (row, value, part) in enumerate(
            zip(rows, values, over or [0.0] * len(values), strict=True)
        )
    )
    return Plot(bars, f"{_told(highest)}{unit}")


def _told(value: float) -> str:
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if value >= 1 else f"{value:.2g}"
