"""The store: the database that is the truth about a study."""
