"""Real CalDAV servers on loopback, and the wire to them, on which faults can be put.

The servers are other people's (Radicale, Xandikos), so nothing of ours decides what is right. They
are development dependencies.
"""

from connectors.sandbox.caldav.digest import Digest
from connectors.sandbox.caldav.servers import CaldavServer, radicale, xandikos
from connectors.sandbox.caldav.wire import Wire

__all__ = ["CaldavServer", "Digest", "Wire", "radicale", "xandikos"]
