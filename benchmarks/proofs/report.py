"""What a proof has found: figures, and what contradicts the claim."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Report:
    """The figures of a proof in the order in which they are shown, and its complaints."""

    title: str
    figures: dict[str, str] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def tell(self, what: str, value: float | str, unit: str = "") -> None:
        """Add a figure."""
        shown = value if isinstance(value, str) else _short(value)
        self.figures[what] = f"{shown} {unit}".strip()

    def expect(self, true: object, complaint: str) -> None:
        """Complain unless it is true."""
        if not true:
            self.complaints.append(complaint)

    def __str__(self) -> str:
        width = max(map(len, self.figures), default=0)
        lines = [
            self.title,
            *(f"  {what:{width}}  {value}" for what, value in self.figures.items()),
        ]
        lines += [f"  WRONG: {text}" for text in self.complaints[:20]]
        if len(self.complaints) > 20:
            lines.append(f"  WRONG: and {len(self.complaints) - 20} more")
        return "\n".join(lines)


def quantile(sorted_values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies, 0 if there are none."""
    if not sorted_values:
        return 0.0
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
