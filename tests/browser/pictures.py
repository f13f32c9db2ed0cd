"""Takes the pictures of the dashboard that the documentation shows, from the office of the demo.

python tests/browser/pictures.py [FOLDER]
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from bridge import config, orders
from bridge.commands.trial import consent_all, write_config
from bridge.records import RunKind
from bridge.runtime import Runtime
from bridge.service import Service
from connectors.sandbox.worlds import WORLDS

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
DESK, PHONE = {"width": 1180, "height": 720}, {"width": 390, "height": 720}


@contextmanager
def office() -> Iterator[tuple[Runtime, str]]:
    """The demo's office, copied once, with a clash, a held link and an event left alone."""
    trial = WORLDS["office"](0)
    with tempfile.TemporaryDirectory(prefix="calbridge-pictures-") as folder:
        path = Path(folder) / "pictures.yaml"
        write_config(trial, path)
        with Runtime(config.load(path)) as runtime:
            consent_all(trial, runtime)
            for kind in (RunKind.BACKFILL, RunKind.SYNC):
                for ready in runtime.ready(runtime.select()):
                    runtime.link_pass(ready, full=kind is RunKind.BACKFILL).run(kind)
            for scene in trial.scenes:
                scene.act()
                (ready,) = runtime.ready(runtime.select(link=scene.link))
                runtime.link_pass(ready).run(RunKind.SYNC)
            (ready,) = runtime.ready(runtime.select(link="alice/google"))
            orders.drop(runtime, ready.link, next(runtime.store.units(ready.link.id)))
            service = Service(runtime)
            service.start()
            trial.webhook(service.address)
            service.wait_idle(60)
            yield runtime, service.address
            service.stop()
    trial.stop()


def opened(browser: Browser, address: str, path: str, **options: object) -> Page:
    """A page at a size and in a language."""
    page = browser.new_context(base_url=address, **options).new_page()
    page.goto(path)
    return page


def main(folder: Path) -> None:
    """Take them all."""
    folder.mkdir(parents=True, exist_ok=True)
    program = shutil.which("chromium")
    with office() as (runtime, address), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        link = runtime.store.link("alice/google")
        dana = runtime.store.link("dana/google-oauth")
        assert link is not None
        assert dana is not None
        (unit, *_) = runtime.store.find_units("team plan")
        desk = {"viewport": DESK, "locale": "en-GB"}
        for name, path, options in (
            ("overview", "/", desk),
            ("week", f"/links/{link.id}/week?zone=Asia/Shanghai", desk),
            ("event", f"/links/{dana.id}/events/{unit.id}", desk),
            ("approve", f"/links/{dana.id}/approve", desk),
            ("phone", f"/links/{dana.id}", {"viewport": PHONE, "locale": "zh-CN"}),
        ):
            opened(browser, address, path, **options).screenshot(path=folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
