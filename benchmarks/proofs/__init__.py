"""Proofs of the service as a whole: many people, real processes, real SDKs, bad weather.

Each module proves one thing and takes its size as a parameter: the tests run it small, `python -m
benchmarks.proofs` in full. What goes wrong is returned as sentences, never raised.
"""
