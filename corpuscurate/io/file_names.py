"""What the name of an input file tells: its format and compression, whether it is hidden, the values of its folders."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote

from corpuscurate.io.base import format_of_suffix, input_format, input_formats

COMPRESSIONS = {".gz": "gz", ".gzip": "gz", ".zst": "zst", ".zstd": "zst"}


def kind_of(name: str) -> tuple[str | None, str | None]:
    """Format (None: unknown) and compression that a file name's suffixes tell, in any case of letters."""
    plain = PurePosixPath(name.lower())
    compression = COMPRESSIONS.get(plain.suffix)
    if compression:
        plain = plain.with_suffix("")
    format = format_of_suffix(plain.suffix)
    if compression and format is not None and not input_format(format).compressible:
        return None, compression
    return format, compression


NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
"""How Hive, Spark and pyarrow spell a missing value in the name of a folder."""


def folder_values(path: str) -> tuple[tuple[str, str | None], ...]:
    """The keys and values of the folders of a path that are named `key=value`, as Hive partitions are; of a key that
    stands twice the last. Escapes such as %20 are resolved; the value is None for NULL_FOLDER."""
    found: dict[str, str | None] = {}
    for name in PurePosixPath(path).parts[:-1]:
        key, equals, value = (_unquoted(part) for part in name.partition("="))
        if key and equals:
            found[key] = None if value == NULL_FOLDER else value
    return tuple(found.items())


def _unquoted(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def unknown_suffix(name: str, compression: str | None) -> str:
    """The message for a name whose suffix tells no format."""
    plain = PurePosixPath(name).with_suffix("") if compression else PurePosixPath(name)
    suffix = "".join(part.suffix for part in ((plain, PurePosixPath(name)) if compression else (plain,)))
    formats = input_formats()
    known = "; ".join(f"{kind}: {', '.join(each.suffixes)}" for kind, each in formats.items())
    compressible = [kind for kind, each in formats.items() if each.compressible]
    return (
        f"{name}: the suffix {suffix!r} tells no format. Known are {known}; "
        f"of these {' and '.join(compressible)} may be followed by {', '.join(COMPRESSIONS)}. "
        f"Otherwise say what the files are with `format:` ({', '.join(formats)})."
    )


def is_hidden(path: str) -> bool:
    """Whether a name begins with "." or "_"."""
    return PurePosixPath(path).name.startswith((".", "_"))


def has_format(path: str, format: str | None) -> bool:
    """Whether the suffix of a file tells a format, that of `format:` where there is one."""
    known, _ = kind_of(PurePosixPath(path).name)
    return known is not None and format in (None, known)


def is_meant(name: str, format: str | None) -> bool:
    """Whether a file is meant by naming the folder that it is in."""
    if is_hidden(name):
        return False
    known, _ = kind_of(name)
    return known is not None if format is None else known in (None, format)
