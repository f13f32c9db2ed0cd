"""What can go wrong with the database."""


class StoreError(Exception):
    """The database cannot be used as asked. The message says why and what to do, no secret."""


class LeaseLostError(StoreError):
    """Another worker has taken this link over; whatever was to be written must not be."""


class OutdatedError(StoreError):
    """A newer version of this program has changed the database: this one must not write there."""


class UnwritableError(StoreError):
    """Nothing can be stored any more, for want of room or because the disk is broken. What was
    stored before is safe; there is no use in going on."""
