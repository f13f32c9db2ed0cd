"""`lark_oapi` without its catalogue.

`import lark_oapi` loads the classes of every service that Feishu has: 10,000 modules, seconds of
CPU and 130 MiB in each process. The connector sends any request through the SDK's core, which
needs none of them.
"""

import sys
import warnings
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_NAME = "lark_oapi"


def slim() -> None:
    """From now on `lark_oapi.core` and `lark_oapi.ws` can be imported alone.

    Whoever asks the package itself for a name gets it, and the whole catalogue with it.
    """
    if _NAME in sys.modules:
        return
    spec = find_spec(_NAME)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {_NAME!r}", name=_NAME)
    package, loader = module_from_spec(spec), spec.loader

    def whole(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        del package.__getattr__
        with quiet():
            loader.exec_module(package)
        return getattr(package, name)

    package.__getattr__ = whole  # type: ignore[method-assign]
    sys.modules[_NAME] = package


def replace_handler(handler: type) -> None:
    """Let `handler` be what the SDK's socket client takes for its dispatcher of events.

    Its own one knows the class of every event of every service. Call this before the client is
    imported; `handler` needs `_do_without_validation` alone.
    """
    name = f"{_NAME}.event.dispatcher_handler"
    module = ModuleType(name)
    module.EventDispatcherHandler = handler  # type: ignore[attr-defined]
    sys.modules.setdefault(name, module)


def quiet() -> "warnings.catch_warnings[None]":
    """Its modules ask asyncio for a current event loop, and pin old protobuf, when imported."""
    return warnings.catch_warnings(action="ignore")
