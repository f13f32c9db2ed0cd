"""What should *happen next*: reads both sides, decides, writes, remembers, runs as a service."""
