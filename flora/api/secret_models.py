"""Secrets as they cross the border: a value comes in and never goes out."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from flora.api.models import Model


class SecretBody(Model):
    value: str = Field(min_length=1, max_length=32 * 1024, repr=False)
    allowed_hosts: tuple[str, ...] = Field(
        (),
        max_length=50,
        description="Where it may be sent: host names, or `*.suffix`. Empty: nowhere.",
        examples=[["api.github.com"]],
    )


class SecretModel(Model):
    name: str
    allowed_hosts: list[str]
    created_at: datetime
    updated_at: datetime


class SecretsModel(Model):
    items: list[SecretModel]


class RotatedModel(Model):
    key_id: str = Field(description="Names the key that encrypts now.")
    rotated: int = Field(description="How many secrets were encrypted anew.")
