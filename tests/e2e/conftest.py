"""One host for the tests of a file that do not end it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.running import Flora, running


@pytest.fixture(scope="module")
def flora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flora]:
    with running(tmp_path_factory.mktemp("flora") / "data") as host:
        yield host
