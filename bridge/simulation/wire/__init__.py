"""The same over the wire: random histories of people at real servers' likenesses, through the real
SDKs, with faults. A history is a value made from a seed; running it twice gives the same course.
"""
