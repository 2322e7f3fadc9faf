"""Paths of the HTTP API."""

from __future__ import annotations

from urllib.parse import quote


def segment(text: str) -> str:
    """Any text as one segment of a path; "." and ".." too, which a client would take for steps."""
    return quote(text, safe="").replace(".", "%2E")
