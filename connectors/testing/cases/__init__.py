"""The suite's cases, by what they are about."""
