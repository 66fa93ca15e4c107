"""The host: the port that it fills, and what is known of its people and appointments."""
