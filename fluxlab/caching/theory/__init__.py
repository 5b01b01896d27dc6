"""What hit rates to expect: formulas, windows, lifetimes, eviction."""
