"""What can be wrong with a plan, one small function each; `table` has them all."""
