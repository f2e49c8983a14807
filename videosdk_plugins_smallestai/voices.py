"""The service's list of voices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from ._old import diagnosis
from ._old.service import Service, seconds
from .errors import APITimeoutError, ServerError, SmallestAIError

__all__ = ["Voice", "list_voices"]

PATH = "/lightning-v3.1/get_voices"
TIMEOUT = 15.0
"""Seconds for the whole list: nobody waits for it in a conversation."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice.

    Attributes:
        id: What to pass as ``voice_id``.
        name: For people.
        languages: As the service names them, such as ``"english"``; empty where it does not say.
        accent: Such as ``"indian"``; empty where it does not say.
        gender: ``"male"``, ``"female"``, or empty where it does not say.
    """

    id: str
    name: str
    languages: tuple[str, ...] = ()
    accent: str = ""
    gender: str = ""


async def list_voices(service: Service) -> list[Voice]:
    """Ask the service for its voices.

    Raises:
        SmallestAIError: It does not tell.
    """
    answer = await _ask(service)
    if isinstance(answer, SmallestAIError):
        raise answer  # here, as in Service.connect
    return answer


async def _ask(service: Service) -> list[Voice] | SmallestAIError:
    try:
        async with service.session().get(
            service.base_url + PATH,
            headers=service.headers,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            proxy=service.proxy(service.base_url),
            allow_redirects=False,
            raise_for_status=False,
        ) as response:
            return _understand(service, response, await response.text(errors="replace"))
    except TimeoutError:
        return APITimeoutError(f"No list of voices within {TIMEOUT:g} s. Check the network")
    except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as failure:
        return service.translate(failure, "list the voices")


def _understand(service: Service, response: aiohttp.ClientResponse, text: str) -> list[Voice] | SmallestAIError:
    if 300 <= response.status < 400:
        return service.redirected(response.status, response.headers.get("Location"))
    if response.status != 200:
        return diagnosis.json_error(
            response.status,
            text,
            request_id=service.request_id(response),
            retry_after=seconds(response.headers.get("Retry-After")),
            secret=service.secret,
        )
    body = _load(text)
    if not isinstance(body, dict) or not isinstance(body.get("voices"), list):
        return ServerError("The service answered something that is no list of voices")
    return [_voice(item) for item in body["voices"] if isinstance(item, dict) and item.get("voiceId")]


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _voice(item: dict[str, Any]) -> Voice:
    told = item.get("tags")
    tags: dict[str, Any] = told if isinstance(told, dict) else {}
    languages = tags.get("language")
    return Voice(
        id=str(item["voiceId"]),
        name=str(item.get("displayName") or item["voiceId"]),
        languages=tuple(str(name) for name in languages) if isinstance(languages, list) else (),
        accent=str(tags.get("accent") or ""),
        gender=str(tags.get("gender") or ""),
    )
