"""What a move speaks of, as plain values: what lies there, the plan, the results."""
