"""Faults of every sort, one after the other, on a deployment that stands for a customer's.

`python -m tests.chaos --faults 1000 --seed 7 --db sqlite` does it from the command line.
"""
