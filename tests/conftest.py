"""Settings of all tests."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from support import order
from support.forms import FULL, some

settings.register_profile("corpuscurate", deadline=None, max_examples=some(100))  # the first example compiles a kernel
settings.load_profile("corpuscurate")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "campaign(every): in the short form, each `every`-th case of the test is run")
    config.addinivalue_line("markers", "full: run in the full form alone; the reason names the test of the short form")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest tests first, and leave out what is of the full form alone, unless all are wanted or tests are
    named one by one."""
    items.sort(key=lambda item: order.place(item.nodeid))
    if FULL or config.option.keyword or any("::" in argument for argument in config.args):
        return
    seen: Counter[str] = Counter()
    kept, left = [], []
    for item in items:
        mark = item.get_closest_marker("campaign")
        name = item.nodeid.partition("[")[0]
        skipped = mark is not None and seen[name] % mark.args[0]
        seen[name] += 1
        (left if skipped or item.get_closest_marker("full") else kept).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, give files of one group to one process, too."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Groups(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return order.group(nodeid)

    return Groups(config, log)
