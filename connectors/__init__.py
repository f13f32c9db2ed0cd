"""How each provider *talks*: one folder per provider behind one contract.

Importing this package pulls in no provider and no SDK.
"""
