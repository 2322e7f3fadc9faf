"""The HTTP API: a Quart application over the services that `flora/app.py` gives it."""

from flora.api.app import create_app
from flora.api.server import serve_api
from flora.api.services import Check, Deployer, Health, Limits, Services

__all__ = ["Check", "Deployer", "Health", "Limits", "Services", "create_app", "serve_api"]
