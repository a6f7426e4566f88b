"""The graph optimizer: what ncnnoptimize does, as rules. `pipeline.PASSES` is the rule book."""
