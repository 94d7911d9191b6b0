"""Sockets lie where their paths are short enough."""

import os
import tempfile
from pathlib import Path

import pytest

from roleml_nb import Testbed
from roleml_nb.host.socket_folder import make_socket_folder


@pytest.fixture
def long_folder(tmp_path, monkeypatch):
    folder = tmp_path / ("x" * 110)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_a_long_tmpdir_is_left_for_a_shorter_one(long_folder):
    folder = Path(make_socket_folder())
    assert (
        len(os.fsencode(folder)) < 90
        and long_folder not in folder.parents
        and folder.stat().st_mode & 0o777 == 0o700
    )
    folder.rmdir()


def test_engines_start_with_a_long_tmpdir(long_folder):
    with Testbed(engines=1, timeout=30, preload=()) as bed:
        bed.spawn("node")
        assert bed.engines == 1
