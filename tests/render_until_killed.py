"""A process that renders an account's mapped notes in the demo host; a test kills it somewhere.

python -m tests.render_until_killed DATABASE_URL ACCOUNT_ID ACCOUNT
"""

from __future__ import annotations

import sys

from demo.host import create_app
from demo.host.adapter import DemoHost
from ensora_plugin import Ensora
from ensora_plugin.applying import Work
from ensora_plugin.plugin import state_of
from ensora_plugin.rendering import render_due
from tests.practices import CONFIG


def main(url: str, account_id: int, account: str) -> None:
    """Render everything that is due, and say so at the beginning and at the end."""
    app = create_app({**CONFIG, "SQLALCHEMY_DATABASE_URI": url})
    Ensora().init_app(app, DemoHost())
    with app.app_context():
        state = state_of(app)
        parts = (state.session, account_id, account, state.host, state.sealer)
        print("began", flush=True)
        render_due(Work(*parts, run_id=None, still_ours=lambda: None))
        print("ended", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
