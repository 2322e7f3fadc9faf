"""flora: one Discord bot, a TypeScript script of its own for every server, isolated from all others."""

__version__ = "0.1.0"
