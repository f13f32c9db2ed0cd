"""The operations of the service by name."""

from collections.abc import Callable

from connectors.sandbox.exchange import (
    attachments,
    folders,
    items,
    lookups,
    schema,
    search,
    sync,
)
from connectors.sandbox.exchange.call import Call
from connectors.sandbox.exchange.soap import Element

OPERATIONS: dict[str, Callable[[Call], Element]] = {
    "ConvertId": lookups.convert_id,
    "CopyItem": items.move,
    "CreateAttachment": attachments.create,
    "CreateFolder": folders.create,
    "CreateItem": items.create,
    "DeleteAttachment": attachments.delete,
    "DeleteFolder": folders.delete,
    "DeleteItem": items.delete,
    "FindFolder": folders.find,
    "FindItem": search.find,
    "GetAttachment": attachments.get,
    "GetFolder": folders.get,
    "GetItem": items.get,
    "GetServerTimeZones": lookups.server_time_zones,
    "GetUserConfiguration": lookups.user_configuration,
    "MoveItem": items.move,
    "ResolveNames": lookups.resolve_names,
    "SyncFolderHierarchy": folders.sync,
    "SyncFolderItems": sync.sync,
    "UpdateFolder": folders.update,
    "UpdateItem": items.update,
}


def run(call: Call) -> Element:
    """Check the request's structure and answer it. Raises EwsFaultError."""
    schema.check(call.body)
    return OPERATIONS[call.name](call)
