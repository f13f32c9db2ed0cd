"""Who the people named in the config are: e-mail addresses and user ids become open_ids.

An open_id belongs to one app: the same person has another one in another app.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from connectors.contract import Identity
from connectors.errors import RejectedError
from connectors.feishu.client import Call
from connectors.feishu.session import Session

_BATCH = 50
_OPEN_ID = "ou_"


def resolve(tenant: Session, accounts: Sequence[str]) -> dict[str, Identity]:
    """The accounts that Feishu knows, by the name they were asked for.

    An open_id (`ou_...`) costs no call, an address one call per 50 (docs: obtain user id by
    e-mail; only the account's own address resolves, within the app's contact range), a user id
    one call each. Raises `ConnectorError`s.
    """
    found = {name: Identity(id=name) for name in accounts if name.startswith(_OPEN_ID)}
    addresses = [name for name in accounts if "@" in name]
    for name, open_id in open_ids(tenant, addresses).items():
        found[name] = Identity(id=open_id, email=name.lower())
    for name in accounts:
        if name not in found and "@" not in name:
            identity = _by_user_id(tenant, name)
            if identity is not None:
                found[name] = identity
    return found


def open_ids(tenant: Session, addresses: Iterable[str]) -> Mapping[str, str]:
    """The open_id per e-mail address, spelled as asked; unknown ones are left out."""
    found: dict[str, str] = {}
    waiting = iter(addresses)
    while batch := list(islice(waiting, _BATCH)):
        answer = tenant.call(
            Call(
                method="POST",
                path="/open-apis/contact/v3/users/batch_get_id",
                query={"user_id_type": "open_id"},
                body={"emails": batch},
            )
        )
        by_address = {
            str(user["email"]).lower(): str(user["user_id"])
            for user in answer.get("user_list") or ()
            if user.get("email") and user.get("user_id")
        }
        found |= {name: by_address[name.lower()] for name in batch if name.lower() in by_address}
    return found


def _by_user_id(tenant: Session, user_id: str) -> Identity | None:
    try:
        answer = tenant.call(
            Call(
                method="GET",
                path="/open-apis/contact/v3/users/:user_id",
                ids={"user_id": user_id},
                query={"user_id_type": "user_id"},
            )
        )
    except RejectedError:
        return None
    user = answer.get("user") or {}
    if not user.get("open_id"):
        return None
    email = str(user["email"]).lower() if user.get("email") else None
    return Identity(id=str(user["open_id"]), email=email, name=str(user.get("name") or ""))
