"""What type checkers say of a typical user's file."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

USERS_FILE = Path(__file__).parent / "typed" / "users_file.py"
LIMIT = 110  # seconds until a checker counts as hung

CHECKERS = {
    "mypy": ["--strict", "--no-incremental", "--config-file="],
    "pyright": ["--warnings", "--pythonpath", sys.executable],
}


@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_users_file_passes_strictly(checker: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed: pip install {checker}")
    # Beside nothing of ours: what is found is what is installed, as a user has it.
    users_file = Path(shutil.copy(USERS_FILE, tmp_path))
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "reportMissingTypeStubs": false}')
    checked = subprocess.run(
        [sys.executable, "-m", checker, *CHECKERS[checker], str(users_file.name)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
