"""The fixture ``waves_emulator`` in a user's own tests: in a pytest of its own, opted into as the guide says."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import threading

import pytest

from videosdk_plugins_smallestai.pytest_plugin import running

pytest_plugins = ["pytester"]

AGENT_TEST = """
    import asyncio
    import pytest
    from videosdk.agents import CustomAudioStreamTrack
    from videosdk_plugins_smallestai import SmallestAITTS

    {mark}
    async def test_the_greeting_is_spoken(waves_emulator):
        async with SmallestAITTS(api_key="sk_test", base_url=waves_emulator.base_url) as tts:
            tts.loop = asyncio.get_running_loop()
            tts.audio_track = CustomAudioStreamTrack(tts.loop)
            await tts.synthesize("Hello! How can I help you?")
            await waves_emulator.idle()
        assert [request.text for request in waves_emulator.requests] == ["Hello! How can I help you?"]
"""


OPT_IN = """
    pytest_plugins = ["videosdk_plugins_smallestai.pytest_plugin"]
"""


@pytest.fixture
def users(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with a user's tests that has opted in."""
    pytester.makeconftest(OPT_IN)
    return pytester


def run(users: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return users.runpytest_subprocess(
        "-p", "no:cacheprovider", "--strict-markers", "-Werror::ResourceWarning", *arguments
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "mark"), [pytest.param("auto", "", marks=pytest.mark.slow), ("strict", "@pytest.mark.asyncio")]
)
def test_an_agents_own_test_speaks_without_a_key(users: pytest.Pytester, mode: str, mark: str) -> None:
    users.makepyfile(AGENT_TEST.format(mark=mark))
    run(users, "-o", f"asyncio_mode={mode}").assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_plain_test_needs_no_asyncio_plugin(users: pytest.Pytester) -> None:
    users.makepyfile(
        """
        import json
        import urllib.request

        def test_the_voices(waves_emulator):
            url = waves_emulator.base_url + "/lightning-v3.1/get_voices"
            request = urllib.request.Request(url, headers={"Authorization": "Bearer sk_test"})
            with urllib.request.urlopen(request) as answer:
                assert len(json.load(answer)["voices"]) > 3
        """
    )
    run(users, "-p", "no:asyncio").assert_outcomes(passed=1)


@pytest.mark.slow
def test_markers_set_the_emulator_up_and_the_closest_wins(users: pytest.Pytester) -> None:
    users.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.waves_emulator(first_audio=0.5, chunk=0.02)

        def test_the_modules(waves_emulator):
            assert (waves_emulator.voice, waves_emulator.first_audio, waves_emulator.chunk) == ("tone", 0.5, 0.02)

        @pytest.mark.waves_emulator(first_audio=0.1, voice="speech")
        def test_its_own(waves_emulator):
            assert (waves_emulator.voice, waves_emulator.first_audio, waves_emulator.chunk) == ("speech", 0.1, 0.02)

        @pytest.mark.waves_emulator("speech")
        def test_a_mistake(waves_emulator):
            pass
        """
    )
    result = run(users)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(['*the marker waves_emulator takes keywords only, such as voice="speech"'])


@pytest.mark.slow
def test_a_fault_can_be_set_while_it_runs(users: pytest.Pytester) -> None:
    users.makepyfile(
        AGENT_TEST.format(mark="").replace(
            "        async with", "        waves_emulator.fault = lambda request: Refuse(401)\n        async with"
        )
        + "\n    from videosdk_plugins_smallestai.emulator import Refuse\n"
    )
    result = run(users, "-o", "asyncio_mode=auto")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*AuthenticationError*"])


@pytest.mark.slow
def test_the_fixture_and_its_marker_are_documented_where_pytest_lists_them(users: pytest.Pytester) -> None:
    run(users, "--fixtures").stdout.fnmatch_lines(["waves_emulator*", "*A local Waves server*"])
    run(users, "--markers").stdout.fnmatch_lines(["@pytest.mark.waves_emulator(*"])


@pytest.mark.slow
def test_who_has_not_opted_in_gets_no_fixture(pytester: pytest.Pytester) -> None:
    offered = importlib.metadata.distribution("videosdk-plugins-smallestai").entry_points.select(group="pytest11")
    if offered:
        pytest.fail("this environment is older than the opt-in: run pip install -e . again", pytrace=False)
    pytester.makepyfile("def test_it(waves_emulator): pass")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'waves_emulator' not found*"])


def test_the_opt_in_imports_nothing_heavy() -> None:
    code = (
        "import sys, videosdk_plugins_smallestai.pytest_plugin\n"
        "sys.exit(' '.join({'aiohttp', 'asyncio', 'videosdk', 'numpy'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


async def test_it_can_be_awaited_in_any_loop_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with running(voice="tone") as waves:
        assert waves.base_url.startswith("http://127.0.0.1:")
        await waves.idle()
        await waves.close_connections()
        await waves.stop()
        await waves.start()  # on the same port
    assert set(threading.enumerate()) == before
    with pytest.raises(RuntimeError, match="thread is over"):
        await waves.idle()


def test_a_port_in_use_is_told_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with running(voice="tone") as waves, pytest.raises(OSError, match="in use"), running(port=waves.port):
        pytest.fail("it cannot run")
    assert set(threading.enumerate()) == before
