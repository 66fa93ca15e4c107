"""Runs: claimed, worked through step by step, ended; and RQ, which wakes for them."""
