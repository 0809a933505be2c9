"""Checks a bundle of pytest-slmsec from its bytes: `python -I verify.py [FOLDER or ZIP] [--sha256 DIGEST]`.

It needs Python 3.10 or later and nothing else. It checks the hash of every file, computes every score again from
the stored scores of the items, and counts again what the verdicts say: gates by verdict, and items lost and gained.
Exit status: 0 all of it holds, 1 something does not; each trouble is one line that names the file.

It cannot tell a bundle that was written anew with other numbers. For that, compare the digest that it prints with the
one that `slmsec bundle` printed, or give that one with --sha256.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MANIFEST = "BUNDLE.json"
VERDICT = "verdict.json"
SELF = "sha256"
FORMAT = 1
TOLERANCE = 1e-9
PARSE_RATE = "parse rate"
UNSCORED = "unscored"
ENCRYPTED = 1
"""The bit of a zip entry's flags that says so."""
FLAGS = {PARSE_RATE: "parsed"}
"""Column of flags behind the counts of a gate; `correct` for every other one."""

Files = Mapping[str, bytes]
Item = dict[str, Any]


def canonical(value: Any) -> bytes:
    """JSON as it stands in a bundle: sorted keys, ASCII, a line feed at the end."""
    return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode("ascii")


def digest(manifest: Mapping[str, Any]) -> str:
    """The digest of a bundle: SHA-256 of its manifest without the digest itself. It covers the hashes of all files."""
    return hashlib.sha256(canonical({key: value for key, value in manifest.items() if key != SELF})).hexdigest()


def counted(items: Sequence[Item], rule: str) -> list[Item]:
    """The items in the denominator of a score: ``all``, ``parsed`` ones, or all but the ``unscored``."""
    if rule == "parsed":
        return [item for item in items if item["parsed"]]
    if rule == UNSCORED:
        return [item for item in items if not item["parts"].get(UNSCORED)]
    return list(items)


def mean(items: Sequence[Item]) -> float | None:
    """Mean score of items; None where there are none."""
    return math.fsum(item["value"] for item in items) / len(items) if items else None


def same(first: float | None, second: float | None) -> bool:
    """Whether two numbers are equal but for rounding."""
    if first is None or second is None:
        return first is second
    return abs(first - second) <= TOLERANCE * max(1.0, abs(first))


def flips(base: Sequence[Item], candidate: Sequence[Item], flag: str) -> tuple[int, int]:
    """Items on which `flag` was lost and gained. Items without a published answer do not count.

    Items are paired by the digest of what was asked; the second with one digest by the second, and so on.
    """
    theirs = dict(zip(_identities(candidate), candidate, strict=True))
    pairs = [(item, theirs[key]) for key, item in zip(_identities(base), base, strict=True) if key in theirs]
    pairs = [(a, b) for a, b in pairs if not a["parts"].get(UNSCORED)]
    lost = sum(bool(a[flag]) and not b[flag] for a, b in pairs)
    return lost, sum(bool(b[flag]) and not a[flag] for a, b in pairs)


def _identities(items: Sequence[Item]) -> list[tuple[str, int]]:
    seen: dict[str, int] = {}
    found = []
    for item in items:
        key = item["sha256"]
        found.append((key, seen.get(key, 0)))
        seen[key] = found[-1][1] + 1
    return found


def altered(files: Files) -> list[str]:
    """A line for each file whose bytes are not those that were written, that is missing, or does not belong here."""
    try:
        manifest = json.loads(files[MANIFEST])
        sound = canonical(manifest) == files[MANIFEST] and digest(manifest) == manifest[SELF]
        sound = sound and isinstance(manifest["files"], dict)
    except KeyError:
        return [f"{MANIFEST}: missing or altered"]
    except (ValueError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        return [f"{MANIFEST}: altered"]
    if manifest.get("format") != FORMAT:
        return [f"{MANIFEST}: has the format {manifest.get('format')}, this script reads {FORMAT}"]
    found = []
    for name, known in manifest["files"].items():
        if name not in files:
            found.append(f"{name}: missing")
        elif hashlib.sha256(files[name]).hexdigest() != known:
            found.append(f"{name}: altered")
    foreign = [name for name in files if name not in manifest["files"] and name != MANIFEST]
    return found + [f"{name}: does not belong to the bundle" for name in foreign]


def contradictions(files: Files) -> list[str]:
    """A line for each number that does not follow from the items."""
    manifest = json.loads(files[MANIFEST])
    items = {group["file"]: _items(files[group["file"]]) for group in manifest["groups"]}
    found = [text for group in manifest["groups"] for text in _score_troubles(group, items[group["file"]])]
    verdicts = json.loads(files[VERDICT])["judgements"]
    if len(verdicts) != len(manifest["verdicts"]):
        found.append(f"{VERDICT}: has {len(verdicts)} verdicts, and {MANIFEST} {len(manifest['verdicts'])}")
    for told, judgement in zip(manifest["verdicts"], verdicts, strict=False):
        found += _verdict_troubles(told, judgement, items)
    return found


def _items(content: bytes) -> list[Item]:
    return [json.loads(line) for line in content.splitlines()]


def _score_troubles(group: Mapping[str, Any], items: Sequence[Item]) -> list[str]:
    now: dict[str, float | None] = {
        "n_items": len(items),
        "n_correct": sum(bool(item["correct"]) for item in items),
        "n_parsed": sum(bool(item["parsed"]) for item in items),
    }
    if group["counted"] is not None:
        now["score"] = mean(counted(items, group["counted"]))
    return [
        f"{group['file']}: {key} is {value}, and {MANIFEST} says {group[key]}"
        for key, value in now.items()
        if not same(value, group[key])
    ]


def _verdict_troubles(
    told: Mapping[str, Any], judgement: Mapping[str, Any], items: Mapping[str, Sequence[Item]]
) -> list[str]:
    name = f"{VERDICT}: {judgement['candidate']} against {judgement['base']}"
    tally: dict[str, int] = {}
    for gate in judgement["gates"]:
        tally[gate["verdict_in_family"]] = tally.get(gate["verdict_in_family"], 0) + 1
    found = []
    keys = ("candidate", "base", "verdict")
    if [told[key] for key in keys] != [judgement[key] for key in keys] or told["gates"] != tally:
        before = f"{MANIFEST} says {told['candidate']} against {told['base']}: {told['verdict']} with {told['gates']}"
        found.append(f"{name}: {judgement['verdict']} with {tally}, and {before}")
    for gate in judgement["gates"]:
        sides = told["flips"].get(gate["benchmark"])
        if sides is None or gate["what"] not in sides["gates"]:
            continue
        now = flips(items[sides["base"]], items[sides["candidate"]], FLAGS.get(gate["what"], "correct"))
        said = (gate["details"]["lost"], gate["details"]["gained"])
        if now != said:
            found.append(f"{name}: {gate['gate']} lost and gained {said}, and the items say {now}")
    return found


def read(place: Path) -> dict[str, bytes]:
    """All files of a folder or zip, by their names inside it.

    Nothing is unpacked to disk. `slmsec bundle` neither links nor compresses files, nor names one twice: what does was
    made by somebody else, and could stand for files outside, or for more bytes than memory holds.

    Raises:
        OSError, zipfile.BadZipFile: it cannot be read, or is no zip that `slmsec bundle` would write.
    """
    if place.is_dir():
        paths = sorted(place.rglob("*"))
        links = [path for path in paths if path.is_symlink() or not (path.is_file() or path.is_dir())]
        if links:
            raise OSError(f"{links[0].relative_to(place).as_posix()} is a link or no file, which no bundle has")
        return {path.relative_to(place).as_posix(): path.read_bytes() for path in paths if path.is_file()}
    with zipfile.ZipFile(place) as archive:
        entries = archive.infolist()
        _check_entries(entries, place.stat().st_size)
        return {info.filename: archive.read(info) for info in entries}


def _check_entries(entries: Sequence[zipfile.ZipInfo], size: int) -> None:
    names = set[str]()
    for info in entries:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ENCRYPTED:
            raise zipfile.BadZipFile(f"{info.filename} is compressed or encrypted, which no file of a bundle is")
        if info.filename in names:
            raise zipfile.BadZipFile(f"it holds {info.filename} twice")
        names.add(info.filename)
    if sum(info.file_size for info in entries) > size:
        raise zipfile.BadZipFile("its files would be larger than itself")


def troubles(files: Files, wanted: str | None = None) -> list[str]:
    """All that is wrong with a bundle, one line each. `wanted`: the digest that it should have."""
    found = altered(files)
    if found:
        return found
    known = json.loads(files[MANIFEST])[SELF]
    if wanted is not None and wanted != known:
        found.append(f"the digest is {known}, and not {wanted}: the bundle was written anew")
    try:
        return found + contradictions(files)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        return [*found, f"the numbers cannot be read ({type(error).__name__}: {error})"]


def printable(text: str) -> str:
    """A text in ASCII, with control characters escaped: a bundle must not write to the terminal of who checks it."""
    return text.encode("unicode_escape").decode("ascii")


def main(argv: Sequence[str] | None = None) -> int:
    """Check and tell."""
    parser = argparse.ArgumentParser(description="Check a bundle of pytest-slmsec from its bytes.")
    parser.add_argument("place", nargs="?", type=Path, default=Path(__file__).resolve().parent, metavar="FOLDER|ZIP")
    parser.add_argument("--sha256", metavar="DIGEST", help="the digest that the bundle must have")
    args = parser.parse_args(argv)
    try:
        files = read(args.place)
    except (OSError, zipfile.BadZipFile, MemoryError) as error:
        found = [f"{args.place}: cannot be read ({str(error) or 'it is too large'})"]
        files = {}
    else:
        found = troubles(files, args.sha256)
    for line in found:
        print(f"WRONG  {printable(line)}")
    if found:
        return 1
    manifest = json.loads(files[MANIFEST])
    scores = [group["counted"] is not None for group in manifest["groups"]]
    print(f"{len(files)} files are as they were written.")
    print(f"{sum(scores)} of {len(scores)} scores follow from their items.")
    for verdict in manifest["verdicts"]:
        print(printable(f"{verdict['candidate']} against {verdict['base']}: {verdict['verdict']}"))
    print(f"sha256 {manifest[SELF]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
