"""Automap: records that equal a host's entity get a mapping; the others a reason."""
