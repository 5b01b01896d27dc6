"""The book: chapters as text, their executed twins, charts and the published site."""
