"""Spans cut out of texts, from the definition."""


def first_fault(texts: list[str], spans: list[tuple[int, int, int]]) -> tuple[int, str] | None:
    """The first of the spans (row, start, stop), by row and start, that cannot be cut, and why."""
    ends: dict[int, int] = {}
    for number, (row, start, stop) in enumerate(spans):
        data = texts[row].encode()
        if not 0 <= start <= stop <= len(data):
            return number, "outside"
        if start < ends.get(row, 0):
            return number, "overlapping"
        for cut in (start, stop):
            try:
                data[:cut].decode()
            except UnicodeDecodeError:
                return number, "inside"
        ends[row] = stop
    return None


def cut(texts: list[str], spans: list[tuple[int, int, int]]) -> list[str]:
    """The texts without the spans."""
    left = [text.encode() for text in texts]
    for row, start, stop in reversed(spans):
        left[row] = left[row][:start] + left[row][stop:]
    return [text.decode() for text in left]
