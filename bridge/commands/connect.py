"""`connect`: one user's OAuth consent in a terminal, by loopback address or pasted code."""

import threading
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer

import click

from bridge import orders
from bridge.commands.consent import Pkce, code_of
from bridge.commands.session import Session, command
from bridge.errors import UsageError
from bridge.runtime import Runtime
from connectors.contract import Consents

PAGE = (
    "<!doctype html><meta charset=utf-8><title>Calendar bridge</title>"
    "<p>Thank you. You can close this window and go back to the terminal."
)


@command("connect", help="Give consent for one account in a browser.")
@click.argument("connector")
@click.option("--user", required=True, help="The user in the config.")
@click.option("--account", help="Which one, if the user has several there.")
@click.option("--paste", is_flag=True, help="No browser here: paste the address it ends up at.")
@click.option("--port", default=8378, show_default=True, help="Loopback port of the redirect.")
@click.option("--timeout", default=300, show_default=True, help="Seconds to wait for the browser.")
def connect(
    session: Session,
    connector: str,
    user: str,
    account: str | None,
    port: int,
    timeout: int,
    *,
    paste: bool,
) -> int:
    """Send the user to the provider, take the code, store the tokens."""
    with session.runtime() as runtime:
        account = _account(runtime, connector, user, account)
        for item in runtime.config.unset:
            if item.place.startswith(f"connectors.{connector}."):
                raise UsageError(f"{item.place}: {item.message}")
        provider = runtime.provider(connector)
        if not isinstance(provider, Consents):
            raise UsageError(f"connector {connector!r} needs no consent of a user")
        pkce = Pkce.new()
        redirect = f"http://127.0.0.1:{port}/callback"
        url = provider.authorize_url(
            redirect_uri=redirect, state=pkce.state, challenge=pkce.challenge
        )
        click.echo(f"open this address and agree, as {account}:\n{url}", err=True)
        if paste:
            answer = click.prompt("the address that the browser ended up at", err=True)
        else:
            webbrowser.open(url)
            answer = _wait(port, timeout)
        code = code_of(answer, pkce.state)
        who = provider.redeem(account, code=code, redirect_uri=redirect, verifier=pkce.verifier)
        orders.connected(runtime, connector, account)
    session.show(
        {"connector": connector, "account": account, "id": who.id, "name": who.name},
        lambda: click.echo(f"connected {account} ({who.name or who.id})"),
    )
    return 0


def _account(runtime: Runtime, connector: str, user: str, wanted: str | None) -> str:
    if connector not in runtime.config.connectors:
        names = ", ".join(runtime.config.connectors)
        raise UsageError(f"no connector {connector!r} in the config; there are: {names}")
    ends = [end for link in runtime.select(user=user) for end in (link.a, link.b)]
    known = dict.fromkeys(end.account for end in ends if end.connector == connector)
    found = [account for account in known if wanted in (None, account)]
    if len(found) == 1:
        return found[0]
    if not known:
        raise UsageError(f"user {user!r} has no account at {connector!r}")
    raise UsageError(
        f"user {user!r} has these accounts at {connector!r}: {', '.join(known)}; say one of them "
        "with --account"
    )


def _wait(port: int, timeout: int) -> str:
    """The first request that the browser makes to the loopback address."""
    answers: list[str] = []
    arrived = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith("/callback"):
                self.send_error(404)
                return
            answers.append(self.path)
            body = PAGE.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            arrived.set()

        def log_message(self, format: str, *args: object) -> None:
            """The address holds the code; it is not for logs."""

    try:
        server = HTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise UsageError(
            f"port {port} is taken ({error.strerror}); choose another --port"
        ) from None
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        if not arrived.wait(timeout):
            raise UsageError(f"nobody agreed within {timeout} s; run `connect` again")
    finally:
        server.shutdown()
        server.server_close()
    return answers[0]
