"""Rendering: what a note means, and its way into an appointment and out of it."""
