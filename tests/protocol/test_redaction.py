"""What a message shows of a key and of a text: nothing that tells."""

from __future__ import annotations

import json
import string

from hypothesis import given
from hypothesis import strategies as st

from videosdk_plugins_smallestai import ServerError
from videosdk_plugins_smallestai.protocol.redaction import TELLING_RUN, conceal, without_secret, without_speech

KEY = 'sk_1234567890"abcdef'
KEYS = st.text(string.ascii_letters + string.digits, min_size=8, max_size=60)


def test_a_message_without_a_secret_stays_as_it_is() -> None:
    assert without_secret("Invalid API key", KEY) == "Invalid API key"
    assert without_secret("Invalid API key", "") == "Invalid API key"
    told = "HTTP 400: Invalid Voice ID"
    assert without_speech(told, ["Hello there.", "400", "Voice"]) == told


def test_a_key_is_replaced_as_it_is_and_as_json_has_it() -> None:
    assert without_secret(f"Bearer {KEY}!", KEY) == "Bearer ***!"
    assert without_secret(json.dumps({"key": KEY}), KEY) == '{"key": "***"}'


def test_the_better_part_of_a_key_is_replaced() -> None:
    assert without_secret(f"Bearer {KEY[:-3]}", KEY) == "Bearer ***"
    assert without_secret(f"[{KEY[3:]}]", KEY) == "[***]"
    assert without_secret("sk_1234...", KEY) == "sk_1234...", "as services show which key it was"


@given(KEYS, st.text(), st.text())
def test_no_message_shows_a_key(key: str, before: str, after: str) -> None:
    assert key not in without_secret(f"{before}{key}{after}", key)


def test_a_text_is_replaced_wherever_it_is_repeated() -> None:
    text = 'I said "no" to Zoë.'
    message = f"Bad text {text!r}, {json.dumps(text)} and {json.dumps(text, ensure_ascii=False)}"
    shown = without_speech(message, ["What else?", text])
    assert "Zo" not in shown
    assert shown.startswith("Bad text ")


def test_a_text_that_is_cut_off_is_replaced_too() -> None:
    text = "The account number is 12 34 56 78."
    assert without_speech(f"Too long: {text[:20]}...", [text]) == "Too long: …..."


def test_a_short_text_is_replaced_as_a_whole() -> None:
    assert without_speech("Rejected: Hi Anna.", ["Hi Anna."]) == "Rejected: …"


def test_an_error_repeats_nothing_that_was_to_be_spoken() -> None:
    text = "The account number is 12 34 56 78."
    error = ServerError(f"Failed: {text}", request_id=f"req {text}")
    conceal(error, iter([text]))
    assert str(error) == "Failed: … [request req …]"


@given(st.text(min_size=TELLING_RUN), st.text(), st.text())
def test_no_message_shows_a_text(text: str, before: str, after: str) -> None:
    shown = without_speech(before + text + after, [text])
    assert all(text[i : i + TELLING_RUN] not in shown for i in range(len(text) - TELLING_RUN + 1)) or "…" in text
