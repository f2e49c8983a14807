"""A whole call with your agent on this machine, for its tests: no cloud, no key, no language model, no microphone.

::

    async with call(Receptionist("Be brief."), ["It is on Friday at 10:30."]) as c:
        reply = await c.ask("When is my appointment?")
    assert reply.heard == tone("It is on Friday at 10:30.")

The agent, the framework's session and pipeline, its websocket transport and the voice are the real ones. The
language model is a script, the caller's speech is text, and the voice speaks to the emulator unless one is given.
"""

from .conversation import Call
from .reply import Reply
from .script import ScriptedLLM, ToolCall
from .session import call

__all__ = ["Call", "Reply", "ScriptedLLM", "ToolCall", "call"]
