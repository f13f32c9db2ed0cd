"""What should *happen next*: reads both sides, decides, writes, remembers, and runs as a service."""
