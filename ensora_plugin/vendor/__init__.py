"""Ensora Data Collection: the one place that knows the vendor's dialect."""
