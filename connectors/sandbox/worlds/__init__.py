"""Ready-made worlds: sandboxes that belong together, with people, calendars and a past."""

from connectors.sandbox.worlds.desk import desk
from connectors.sandbox.worlds.mailbox import mailbox
from connectors.sandbox.worlds.office import office
from connectors.sandbox.worlds.trial import Edit, Trial

WORLDS = {"office": office, "desk": desk, "mailbox": mailbox}

__all__ = ["WORLDS", "Edit", "Trial"]
