"""The contract suite that every connector has to pass; shipped, so that third parties can run it."""
