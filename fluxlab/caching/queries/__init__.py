"""Results of queries, cached by what they say and what they read."""
