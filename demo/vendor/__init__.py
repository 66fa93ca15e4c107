"""The emulator: Ensora Data Collection's API as the contract `docs/vendor-api.yaml` has it.

It stands on its own: it knows neither the plugin nor the demo host, so that what both sides agree
on is the contract alone. Scenarios (`scenario.py`) make it fail as a remote service can fail.
"""

from demo.vendor.app import create_app
from demo.vendor.store import Store

__all__ = ["Store", "create_app"]
