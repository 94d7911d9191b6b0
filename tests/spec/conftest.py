"""Files of a test, in a folder of its own that is the working directory."""

import cloudpickle
import pytest

from roleml_nb.spec import ConfigError, read
from tests.spec import examples

cloudpickle.register_pickle_by_value(examples)  # engines do not find the tests


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write files (parts__a is parts/a.yaml); returns the first one's name."""
    monkeypatch.chdir(tmp_path)

    def write(**files: str) -> str:
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return f"{next(iter(files))}.yaml"

    return write


@pytest.fixture
def refused(write):
    """The text of the error that files are refused with."""

    def refused(**files: str) -> str:
        with pytest.raises(ConfigError) as caught:
            read(write(**files)).check({})
        return str(caught.value)

    return refused
