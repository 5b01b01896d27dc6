"""A plan as HTML, as terminal text and side by side with another; `words` is said by all."""
