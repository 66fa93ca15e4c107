"""The demo host with the plugin mounted: `app` for gunicorn and for the `flask` command."""

from __future__ import annotations

import os

from demo.host import create_app
from demo.host.adapter import DemoHost
from demo.settings import read_settings_file
from ensora_plugin import Ensora

# What `make demo` wrote down, so that `flask ensora ...` finds the same vendor and keys;
# the environment wins.
_config = {**read_settings_file(), **os.environ}
app = create_app(
    {
        key: value
        for key, value in _config.items()
        if key.startswith("ENSORA_") or key in ("SQLALCHEMY_DATABASE_URI", "SECRET_KEY")
    }
)
Ensora(app, DemoHost())
