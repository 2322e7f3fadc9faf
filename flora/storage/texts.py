"""Texts from outside, made fit for PostgreSQL."""

from __future__ import annotations


def no_nul(text: str) -> str:
    """What the type text can hold: U+0000 and lone surrogates are replaced. For messages and names, not for
    code.
    """
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
