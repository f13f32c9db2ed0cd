"""What the bridge has been doing: writes and runs of the last day, hour by hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from starlette.responses import Response

from bridge.store.activity import hours, outcomes, spent
from bridge.web.site import Visit

HOURS = 24
WIDTH, HEIGHT, GAP = 13, 110, 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a plot, in the plot's units. `over` is the part of another colour on top."""

    x: int
    height: float
    over: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Bars for the hours of a day; `top` is what the highest stands for."""

    bars: tuple[Bar, ...]
    top: str

    @property
    def width(self) -> int:
        """Of all of it."""
        return len(self.bars) * (WIDTH + GAP)


def activity_page(visit: Visit) -> Response:
    """The plots, and the numbers behind them as a table."""
    now = visit.runtime.system.now()
    found = hours(visit.runtime.store, now, HOURS)
    labels = [f"{hour.at:%H}" for hour in found]
    return visit.page(
        "activity.html",
        hours=found,
        writes=_plot([hour.writes for hour in found], labels),
        runs=_plot([hour.runs for hour in found], labels, [hour.failed for hour in found]),
        lasts=_plot(
            [hour.longest.total_seconds() for hour in found],
            labels,
            [(hour.longest - hour.mean).total_seconds() for hour in found],
            unit=" s",
        ),
        outcomes=sorted(outcomes(visit.runtime.store, now - timedelta(days=1)).items()),
        spent=spent(visit.runtime.store, now),
        queue=visit.runtime.store.job_stats(now),
        height=HEIGHT,
        bar=WIDTH,
    )


def _plot(
    values: Sequence[float],
    labels: Sequence[str],
    over: Sequence[float] | None = None,
    unit: str = "",
) -> Plot:
    highest = max(values)
    scale = HEIGHT / highest if highest else 0.0
    top = f"{highest:,.0f}" if highest == int(highest) else f"{highest:,.1f}"
    rest = over or [0.0] * len(values)
    bars = tuple(
        Bar(number * (WIDTH + GAP), round(value * scale, 1), round(part * scale, 1), label)
        for number, (value, part, label) in enumerate(zip(values, rest, labels, strict=True))
    )
    return Plot(bars, f"{top}{unit}")
