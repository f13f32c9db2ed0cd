"""Deterministic simulation: random histories of people, faults and crashes against the real engine.

A history is a value made from a seed; running it needs no randomness, no wall clock and no
network. Everything between the connectors and the database is the program itself.
"""
