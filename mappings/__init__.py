"""What an event *means*: the canonical model and every translation into and out of it.

Pure: values in, values out. No I/O, no clock, no logging, no SDK.
"""
