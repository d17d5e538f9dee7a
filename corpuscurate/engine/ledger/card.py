"""The dataset card of an output folder: with it, `datasets.load_dataset(OUT)` reads data/ and nothing else there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from corpuscurate.core.run_folder import DATA, DROPPED, QUARANTINE, REPORT

_WHOLE = "train"
"""The split that `datasets` gives a dataset that has no others."""
_RESERVED = "all"
"""What `datasets` calls all splits together."""


def card_text(names: Iterable[str]) -> str:
    """The card for the output files of a run, given as paths within its folder (`data/part-00000.parquet`).

    Each partition of data/ is a split of its own. It names folders of this folder only, and nothing of the run.
    """
    splits = "".join(f"  - split: {split}\n    path: {path}\n" for split, path in _splits(names).items())
    return (
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{splits}---\n\n"
        f"Written by corpuscurate. {DATA}/ holds the dataset; {DROPPED}/ a row for each document that was left out, and"
        f" why; {QUARANTINE}/ the records that could not be read; {REPORT} all figures.\n"
    )


def _splits(names: Iterable[str]) -> Mapping[str, str]:
    """Name of a split -> glob of its files. Names of splits hold no hyphens."""
    parts = [name.split("/") for name in names if name.startswith(f"{DATA}/")]
    suffix = parts[0][-1].partition(".")[2]
    folders = list(dict.fromkeys(part[1] for part in parts if len(part) > 2))
    if not folders:
        return {_WHOLE: f"{DATA}/*.{suffix}"}
    splits = {folder.replace("-", "_"): f"{DATA}/{folder}/*.{suffix}" for folder in folders}
    if len(splits) < len(folders) or _RESERVED in splits:
        return {_WHOLE: f"{DATA}/**/*.{suffix}"}
    return splits
