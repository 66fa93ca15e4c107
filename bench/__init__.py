"""Measurements, side by side in one run: what the work costs against its floor and against its
peers.
"""
