"""A Discord of our own on loopback: gateway, REST API and a chat page, for development, tests and load.

Nothing in it protects anything: it binds loopback addresses only and its tokens are public.
"""

from flora.playground.demo import BOT_TOKEN, HUMAN_TOKENS, demo_model
from flora.playground.say import Answer, Said, post, say
from flora.playground.server import PlaygroundInfo, serve

__all__ = [
    "BOT_TOKEN",
    "HUMAN_TOKENS",
    "Answer",
    "PlaygroundInfo",
    "Said",
    "demo_model",
    "post",
    "say",
    "serve",
]
