"""This plugin with the model that is current at the vendor's: on the unified route, a reply as one continuation."""

from __future__ import annotations

from .plugin import Plugin


def make(base_url: str) -> Plugin:
    """A plugin with that model."""
    return Plugin(base_url, "lightning_v3.1")
