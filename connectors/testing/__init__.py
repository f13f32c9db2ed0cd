"""The contract suite that every connector has to pass; shipped, so that others can run it."""
