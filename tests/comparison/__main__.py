"""What a listener hears of this plugin, and of the one that it replaces, on the same emulated service.

    python tests/comparison            # every scene: some minutes
    python tests/comparison drop idle  # these

Each plugin runs in an environment of its own, with the framework's own speech generation and track; the replaced
one's is made in ``.ci-comparison`` at the first time. The voice is a tone that shows each lost sample. Ctrl-C stops
it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from scenes import SCENES, Scene

from videosdk_plugins_smallestai.emulator import WavesEmulator, tone

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "network_faults"))

from proxy import Line, Proxy  # noqa: E402

REPLACED = "videosdk-plugins-smallestai==1.0.30"
ENVIRONMENT = HERE.parent.parent / ".ci-comparison"
FRAME = 960
"""Bytes of 20 ms, at 24 kHz."""

PATIENCE = 150
"""Seconds until a listener counts as hung."""


def replaced_python() -> str:
    """The interpreter that has the replaced plugin; installs it where it is missing."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        print(f"Installing {REPLACED} into {ENVIRONMENT.name} ...", file=sys.stderr)
        venv.create(ENVIRONMENT, with_pip=True)
        command = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", REPLACED, "websockets"]
        if subprocess.run(command, check=False).returncode:
            python.unlink()
            sys.exit(f"comparison: {REPLACED} could not be installed. Is there a package index? Then run it again")
    return str(python)


async def hear(python: str, scene: Scene) -> tuple[list[dict[str, Any]], list[str]]:
    """Play a scene to one plugin. Returns what was heard of the replies that count, and what was requested."""
    async with WavesEmulator(voice="tone", **scene.server) as waves, Proxy(waves.port) as network:
        network.line = Line(latency=scene.latency)
        base_url = waves.base_url.replace(str(waves.port), str(network.port))
        asked = {"base_url": base_url, "plugin": scene.plugin, "replies": scene.replies}
        listener = await asyncio.create_subprocess_exec(
            python, "-I", str(HERE / "listener.py"), json.dumps(asked),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(PATIENCE):
                out, err = await listener.communicate()
        except TimeoutError:
            return [], ["hung"]
        finally:
            if listener.returncode is None:
                listener.kill()
                await listener.wait()
        if listener.returncode:
            raise RuntimeError(err.decode()[-2000:])
        return json.loads(out)[scene.skip :], [request.text for request in waves.requests]


def verdict(scene: Scene, heard: list[dict[str, Any]], requested: list[str]) -> str:
    """What that was like, in a few words."""
    if not heard:
        return "hung"
    (reply, text) = heard[-1], scene.replies[-1]["text"]
    heard_pcm, expected = base64.b64decode(reply["pcm"]).rstrip(b"\0"), tone(text)
    # After an interruption the framework's track fades out what was being heard: the reply begins behind that.
    start = max(0, heard_pcm.find(expected[:FRAME])) // FRAME
    pcm = heard_pcm[start * FRAME :]
    if scene.plugin.get("sample_rate"):  # converted: only its length can be compared
        share = len(pcm) / len(expected)
        parts = [f"lasts {len(pcm) / 48000:.1f} s of {len(expected) / 48000:.1f} s"]
    elif pcm.replace(b"\0\0", b"") == expected:
        share, parts = 1.0, ["whole"]
    else:
        share = len(pcm) / len(expected)
        parts = [f"{share:.0%} heard" if pcm else "nothing heard"]
    if reply["gaps"]:
        count = len(reply["gaps"])
        parts.append(f"{count} gap{'s' if count > 1 else ''} ({sum(reply['gaps']):.2f} s)")
    if reply["frames"]:
        parts.append(f"first audio {reply['frames'][start]:.2f} s")
    if share < 0.99:
        error = f"raises {reply['error']}" if reply["error"] else "no error"
        parts.append(error if pcm else f"{error} after {reply['ended']:.1f} s")
    elif not reply["end_told"]:
        parts.append("its end is never told")
    if scene is SCENES["number"]:
        parts.append("requests " + " ".join(f"`{text}`" for text in requested))
    return ", ".join(parts)


async def compare(names: list[str]) -> None:
    """Print the table, a row as soon as it is known."""
    contestants = [replaced_python(), sys.executable]
    print("| | 1.0.30 | this plugin | scene |\n|---|---|---|---|", flush=True)
    for name in names:
        scene = SCENES[name]
        print(f"{name} ...", end="\r", file=sys.stderr, flush=True)
        heard = await asyncio.gather(*(hear(python, scene) for python in contestants))
        verdicts = [verdict(scene, *each) for each in heard]
        print(f"| {scene.title} | {' | '.join(verdicts)} | `{name}` |", flush=True)


def main() -> int:
    """Run the program. Returns its exit code."""
    command = argparse.ArgumentParser(prog="comparison", description="What a listener hears of both plugins.")
    command.add_argument("scenes", nargs="*", metavar="SCENE", help=f"any of {', '.join(SCENES)}; default: all")
    names = command.parse_args().scenes or list(SCENES)
    unknown = [name for name in names if name not in SCENES]
    if unknown:
        command.error(f"there is no scene {', '.join(unknown)}: choose from {', '.join(SCENES)}")
    try:
        asyncio.run(compare(names))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
