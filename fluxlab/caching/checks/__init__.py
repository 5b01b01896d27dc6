"""Small checks of what the report says of its cache."""
