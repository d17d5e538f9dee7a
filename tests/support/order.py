"""In which order tests are run, and which files of them by one process.

The longest begin, so that the processes end at about the same time. Files that load torch and sentence-transformers are
run by one process, since loading takes as long as all that is done with them; so are those that lay out maps, whose
functions UMAP compiles in each process anew.
"""

from __future__ import annotations

TOGETHER = {
    "torch": (
        "tests/methods/embed/test_backends.py",
        "tests/engine/runners/test_cards.py",
        "tests/contract/test_embedders.py",
        "tests/contract/test_stages.py",
        "tests/kernels/embedding/test_wordpiece_kernel.py",
        "tests/methods/embed/test_cuda.py",
        "tests/methods/embed/test_sentence.py",
        "tests/methods/embed/test_sequence.py",
        "tests/methods/embed/test_static.py",
        "tests/methods/embed/test_tokens.py",
        "tests/stages/test_embed.py",
        "tests/stages/test_embedding_quality.py",
        "tests/stages/test_semantic.py",
        "tests/tools/train/test_heads.py",
        "tests/tools/train/test_train_quality.py",
        "tests/tools/tune/test_tune_quality.py",
    ),
}
"""Files that one process runs, in that order, by the name of their group."""
FIRST = (
    "torch",
    "tests/contract/test_contributing.py",
    "tests/contract/test_settle.py",
)
"""Groups and files that are begun first, in that order; all others follow as they are found."""
_GROUP = {file: group for group, files in TOGETHER.items() for file in files}
_PLACE = {name: place for place, name in enumerate(FIRST)}


def group(nodeid: str) -> str:
    """What a test is run with by one process: its file, or the group of its file."""
    file = nodeid.partition("::")[0]
    return _GROUP.get(file, file)


def place(nodeid: str) -> tuple[int, int]:
    """A number to order tests by, beside the order in which they were found."""
    file = nodeid.partition("::")[0]
    name = group(nodeid)
    return _PLACE.get(name, len(_PLACE)), TOGETHER[name].index(file) if name in TOGETHER else 0
