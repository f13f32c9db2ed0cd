"""`explain`: everything that is known of one event, and what happens to it next."""

import click

from bridge.commands.copying import link_option
from bridge.commands.finding import find, show_matches
from bridge.commands.session import Session, command
from bridge.explain import DecisionView, Explanation, FieldView, explain, look
from bridge.wording import Names, field_words, side_names, sides

DECISIONS = 10
WIDTH = 44


@command("explain", help="Show why an event is as it is, and what happens to it next.")
@click.argument("event")
@link_option
@click.option("--offline", is_flag=True, help="Ask no provider what stands there now.")
def explain_command(session: Session, event: str, link: str | None, *, offline: bool) -> int:
    """Explain one event, or list those that may be meant."""
    with session.runtime(keep=False) as runtime:
        found = find(runtime, event, link)
        if len(found) > 1:
            show_matches(session, found)
            return 1
        (item,) = found
        connectors = runtime.connectors(item.link)
        entries = runtime.store.journal(item.link.id, item.unit.id, limit=DECISIONS)
        value = explain(
            item.link,
            item.unit,
            runtime.rules(item.ready.config, item.link),
            entries[::-1],
            connectors,
            None if offline else look(item.link, item.unit, connectors),
        )
    names = side_names(item.link)
    session.show(value.to_json(), lambda: _print(value, names))
    return 0


def _print(value: Explanation, names: Names) -> None:
    click.echo(f"{value.title!r} on link {value.link}, unit {value.unit}")
    click.echo(f"  {sides(value.state, names)}")
    for side in value.sides:
        whose = " (the bridge's copy)" if side.ours else ""
        click.echo(f"\n{side.connector} {side.account}{whose}: {side.now}")
        if side.ref is not None:
            click.echo(f"   {side.title!r} {side.when}")
            click.echo(f"   id {side.ref} in calendar {side.calendar}")
        if side.address:
            click.echo(f"   {side.address}")
    if value.fields:
        click.echo(f"\n  {'':12} {names['a']:{WIDTH}}  {names['b']}")
        for field in value.fields:
            click.echo(_row(field))
    for loss in value.losses:
        click.echo(f"\ncannot be carried: {loss}")
    if value.decisions:
        click.echo("\nwhat happened:")
        for item in value.decisions:
            click.echo(f"  {line(item, names)}")
    click.echo("\nnext:")
    for step in value.next:
        click.echo(f"  {sides(step, names)}")


def _row(field: FieldView) -> str:
    mark = "*" if field.differs else " "
    return f"{mark} {field.name:12} {_cut(field.a):{WIDTH}}  {_cut(field.b)}"


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def line(item: DecisionView, names: Names) -> str:
    """One thing that happened, in one line."""
    where = f" at {names[item.side.value]}" if item.side else ""
    fields = f" [{field_words(item.fields)}]" if item.fields else ""
    lost = "".join(f"; overruled {name} = {value}" for name, value in item.lost.items())
    by = f"run {item.run}" if item.run else "by hand"
    when = item.at.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
    return (
        f"{when} {by}: {item.op}{where} {item.title!r}{fields} ({sides(item.cause, names)}){lost}"
    )
