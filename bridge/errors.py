"""Errors of the bridge itself, by what a person has to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """One thing that is wrong in the config: where, what, and what to do about it."""

    place: str
    message: str
    line: int | None = None


class ConfigError(Exception):
    """The config cannot be used. Nothing was written anywhere. Shown without traceback."""

    def __init__(self, source: str, problems: tuple[ConfigProblem, ...]) -> None:
        super().__init__(f"{len(problems)} problem(s) in {source}")
        self.source = source
        self.problems = problems

    def lines(self) -> tuple[str, ...]:
        """One line per problem: `file:line: place: message`."""
        return tuple(
            f"{self.source}{f':{problem.line}' if problem.line else ''}: "
            f"{f'{problem.place}: ' if problem.place else ''}{problem.message}"
            for problem in self.problems
        )


class UsageError(Exception):
    """The command cannot be carried out as asked (unknown link, stale plan, and such)."""
