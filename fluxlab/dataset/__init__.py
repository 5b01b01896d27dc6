"""Every row of the database, computed from data/profile.toml, and its loading."""
