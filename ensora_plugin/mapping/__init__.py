"""What a person may do to a mapping, and what follows from it."""
