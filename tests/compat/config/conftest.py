"""What these tests share with those of specs."""

from tests.spec.conftest import refused, write  # noqa: F401
