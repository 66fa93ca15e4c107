"""What the plugin's answers have in common: events for htmx, and headers."""

from __future__ import annotations

import json
import secrets
from typing import Any

from flask import Response, g, make_response, render_template, request
from flask_htmx import HTMX

htmx = HTMX()


def csp_nonce() -> str:
    """Return the nonce of this response, for the inline scripts and styles of a host's layout."""
    if "ensora_nonce" not in g:
        g.ensora_nonce = secrets.token_urlsafe(16)
    nonce: str = g.ensora_nonce
    return nonce


def secure(response: Response) -> Response:
    """Set the headers of a response of the plugin: it runs without inline or evaluated code."""
    nonce = f" 'nonce-{g.ensora_nonce}'" if "ensora_nonce" in g else ""
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self'{nonce}; style-src 'self'{nonce}; "
        "img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; "
        "base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if request.endpoint != "ensora.static":
        response.headers["Cache-Control"] = "no-store"
        response.headers.add("Vary", "HX-Request")
    return response


def fragment(template: str, status: int = 200, /, **context: Any) -> Response:
    """Render a partial as the answer to htmx."""
    return make_response(render_template(f"ensora/partials/{template}", **context), status)


def tell(response: Response, **events: Any) -> Response:
    """Add events for the page to an answer; ASCII, since headers carry nothing else."""
    named = {f"ensora-{name}": detail for name, detail in events.items()}
    response.headers["HX-Trigger"] = json.dumps(named)
    return response


def replace_address(response: Response, address: str) -> Response:
    """Let the browser show the address of the page that a fragment belongs to."""
    response.headers["HX-Replace-Url"] = address
    return response


def is_htmx() -> bool:
    """Tell whether htmx asks: an ended session and an old token are told to it in its own way."""
    return request.headers.get("HX-Request") == "true"
