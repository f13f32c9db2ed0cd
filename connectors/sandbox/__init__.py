"""The other end of each wire: servers on loopback that speak the providers' real protocols.

Written from the providers' documentation, importing nothing of the rest of this project, so that
a misreading in a connector cannot be answered by the same misreading here. Strict: what the real
service refuses, they refuse with its own error body. Behaviour that no source settles is a named
switch with a default.
"""
