from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import in_memory

SAYS_WHERE = "import os, pathlib; pathlib.Path('{}').write_text(os.environ.get('TMPDIR', 'nowhere'))"


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(in_memory, "MEMORY", memory)
    monkeypatch.setattr(in_memory, "ROOM", 1)
    monkeypatch.delenv("TMPDIR", raising=False)
    return memory


def where(tmp_path: Path) -> str:
    answer = tmp_path / "answer"
    assert in_memory.main([sys.executable, "-c", SAYS_WHERE.format(answer)]) == 0
    return answer.read_text()


def test_temporary_files_are_in_memory_until_the_end(memory: Path, tmp_path: Path) -> None:
    assert Path(where(tmp_path)).parent == memory
    assert list(memory.iterdir()) == []


def test_without_room_they_stay_on_disk(memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "ROOM", 1024**6)
    assert where(tmp_path) == "nowhere"


def test_without_such_a_folder_they_stay_on_disk(memory: Path, tmp_path: Path) -> None:
    memory.rmdir()
    assert where(tmp_path) == "nowhere"


def test_a_folder_that_is_asked_for_is_taken(memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert where(tmp_path) == str(tmp_path)


@pytest.mark.usefixtures("memory")
def test_a_failure_is_passed_on() -> None:
    assert in_memory.main([sys.executable, "-c", "raise SystemExit(3)"]) == 3
