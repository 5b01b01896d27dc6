"""The users of the application, replayed on a real database against a real cache."""
