"""Fetches the service's list of voices."""

from __future__ import annotations

import aiohttp

from ..errors import APITimeoutError, ServerError, SmallestAIError
from ..protocol import error_mapping
from ..timing import Timing
from ..voices import Voice, read_voices
from .session import Session, retry_after

__all__ = ["list_voices"]


async def list_voices(session: Session, path: str, timing: Timing) -> list[Voice]:
    """Ask the service for a list of its voices.

    Args:
        session: Where the service is.
        path: The list's, below the base URL.
        timing: How long it may take.

    Raises:
        SmallestAIError: It does not tell them.
    """
    answer = await _ask(session, path, timing)
    if isinstance(answer, SmallestAIError):
        raise answer  # here and not in a handler, as in `Session.connect`
    return answer


async def _ask(session: Session, path: str, timing: Timing) -> list[Voice] | SmallestAIError:
    try:
        async with session.client().get(
            session.base_url + path,
            headers=session.headers,
            timeout=aiohttp.ClientTimeout(total=timing.voices),
            proxy=session.proxy(session.base_url),
            allow_redirects=False,
            raise_for_status=False,
        ) as response:
            return _understand(session, response, await response.text(errors="replace"))
    except TimeoutError:
        return APITimeoutError(f"No list of voices within {timing.voices:g} s. Check the network")
    except SmallestAIError as error:
        return error
    except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as failure:
        return session.translate(failure, "list the voices")


def _understand(session: Session, response: aiohttp.ClientResponse, text: str) -> list[Voice] | SmallestAIError:
    if 300 <= response.status < 400:
        return session.redirected(response.status, response.headers.get("Location"))
    if response.status != 200:
        return error_mapping.json_error(
            response.status,
            text,
            request_id=session.request_id(response),
            retry_after=retry_after(response.headers.get("Retry-After")),
            secret=session.secret,
        )
    voices = read_voices(text)
    return ServerError("The service answered something that is no list of voices") if voices is None else voices
