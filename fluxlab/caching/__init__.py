"""The cache: a layer that never serves what it was told to forget, and what measures it."""
