"""Buckets, ranks and parts by their definitions."""


def equal_keys(keys, numbers):
    """The numbers of each key that occurs twice or more, by key, in the order given."""
    found = {}
    for key, number in zip(keys, numbers, strict=True):
        found.setdefault(key, []).append(number)
    return [found[key] for key in sorted(found) if len(found[key]) > 1]


def rank(members, number):
    """How many distinct members are below a number."""
    return sum(1 for member in set(members) if member < number)


def buckets_of_parts(buckets, root, part, local, parts):
    """For each part: (members by their index there, component) of its buckets."""
    out = [[] for _ in range(parts)]
    for bucket in buckets:
        out[part[bucket[0]]].append(([local[member] for member in bucket], root[bucket[0]]))
    return out
