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


def kept_in_front(keys, chosen, first, part, parts):
    """(key, number) of the chosen keys whose upper half falls into a part; the chosen ones are numbered from first."""
    numbered = [(key, first + sum(chosen[:i])) for i, key in enumerate(keys) if chosen[i]]
    return [(key, number) for key, number in numbered if (key >> 32) * parts >> 32 == part]


def components_in_parts(root, parts):
    """The part of each document: that of the last document of its component, where documents stand component after
    component in the order of the roots; and its index among those of its part."""
    m = len(root)
    last = {each: sum(other <= each for other in root) - 1 for each in root}
    part = [min(last[each] * parts // m, parts - 1) for each in root]
    return part, [part[:i].count(part[i]) for i in range(m)]


def without_repeats(bands):
    """The buckets of all bands, but those of two or three that repeat the last bucket with the same first document."""
    last, out = {}, []
    for buckets in bands:
        kept = []
        for bucket in buckets:
            if len(bucket) > 3 or last.get(bucket[0]) != bucket:
                kept.append(bucket)
            if len(bucket) <= 3:
                last[bucket[0]] = bucket
        out.append(kept)
    return out


def buckets_of_parts(buckets, part, local, parts):
    """For each part its buckets, with the members' indices there."""
    out = [[] for _ in range(parts)]
    for bucket in buckets:
        out[part[bucket[0]]].append([local[member] for member in bucket])
    return out


def by_group(buckets, group):
    """The numbers of the buckets, those of the lowest group first."""
    return sorted(range(len(buckets)), key=lambda b: (group[buckets[b][0]], b))
