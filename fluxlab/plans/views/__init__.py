"""A plan as HTML, as terminal text and beside another; `words` is said by all three."""
