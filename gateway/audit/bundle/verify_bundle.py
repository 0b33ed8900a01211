"""Checks an audit bundle. It needs only Python from 3.11 on, with its standard library, and the bundle's files.

    python3 verify_bundle.py [--held FILE] [--hash SEQ HASH]

FILE has checkpoints that you hold, one JSON object a line. README.txt says what is proven and what is not.
Exit codes: 0 all agrees, 1 something does not, 2 a file cannot be read.
"""

import argparse
import hashlib
import json
import sys
import tomllib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
Json = dict[str, Any]
SLACK_S = 0.002  # instants in messages are cut to milliseconds


def main() -> int:
    """Checks the bundle and prints every problem."""
    parser = argparse.ArgumentParser(description="Checks the audit bundle in this script's directory.")
    parser.add_argument("--held", metavar="FILE", type=Path, help="checkpoints that you hold, one JSON object a line")
    parser.add_argument("--hash", nargs=2, metavar=("SEQ", "HASH"), help="the hash that you know entry SEQ has")
    options = parser.parse_args()
    try:
        bundle = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))
        chain = lines(HERE / "chain.jsonl")
        held = dict(hashes(lines(options.held), bundle)) if options.held else {}
        if options.hash:
            held[int(options.hash[0])] = options.hash[1]
        problems = [*check_chain(bundle, chain), *check_checkpoints(bundle, chain, held), *check_session(bundle, chain)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        say(f"the bundle cannot be read: {type(error).__name__}: {error}")
        return 2
    for problem in problems:
        say(f"WRONG  {problem}")
    say(f"session {bundle['session']} of {bundle['gateway']}/{bundle['epoch']}")
    say(f"entries {bundle['first']} to {bundle['last']}, {bundle['entries_shown']} of them whole")
    say(f"{bundle['increments']} increments stand, {bundle['charged']} units are charged")
    if bundle["withheld"]:
        say(f"{len(bundle['withheld'])} entries are withheld, for they name the patient: what they say is not proven")
    if held and not problems:
        say(f"what you hold vouches for all entries up to {max(seq for seq in held if seq <= bundle['last'])}")
    elif not held:
        say("NOT PROVEN against somebody who could write the ledger: give a checkpoint that you hold")
    say("something is wrong" if problems else "all agrees")
    return 1 if problems else 0


def lines(path: Path) -> list[Json]:
    """The JSON objects of a file, one a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def hashes(checkpoints: Iterable[Json], bundle: Json) -> Iterator[tuple[int, str]]:
    """Seq and hash of each checkpoint of this ledger, plain or as the data of a message."""
    for line in checkpoints:
        header, gateway, epoch, seq, own_hash, _, _ = (line if "note" in line else line["data"])["note"].split("\n")
        if header != "capgate-checkpoint/1":
            raise ValueError("not a checkpoint")
        if (gateway, epoch) == (bundle["gateway"], bundle["epoch"]):
            yield int(seq), own_hash


def entry_hash(bundle: Json, entry: Json) -> str:
    """The hash that the entry must have, computed from its fields."""
    digest = hashlib.sha256(entry["body"].encode()).hexdigest() if "body" in entry else entry["body_sha256"]
    place = (bundle["gateway"], bundle["epoch"], str(entry["seq"]))
    said = (entry["kind"], entry["session"], str(entry["recorded_us"]), digest, entry["prev_hash"])
    fields = [field.encode() for field in (*place, *said)]
    return hashlib.sha256(b"".join(b"%d:%b," % (len(field), field) for field in fields)).hexdigest()


def check_chain(bundle: Json, chain: list[Json]) -> Iterator[str]:
    """The entries are chained without a gap, and those of the session are shown."""
    if [entry["seq"] for entry in chain] != list(range(bundle["first"], bundle["last"] + 1)):
        yield "the chain has a gap, or not the range that bundle.json says"
    for before, entry in pairwise(chain):
        if entry["prev_hash"] != before["hash"]:
            yield f"entry {entry['seq']} does not follow the one before it"
    for entry in chain:
        if entry_hash(bundle, entry) != entry["hash"]:
            yield f"entry {entry['seq']} is not what was hashed"
        if entry["session"] == bundle["session"] and "body" not in entry and entry["seq"] not in bundle["withheld"]:
            yield f"entry {entry['seq']} is of this session and not shown"


def check_checkpoints(bundle: Json, chain: list[Json], held: dict[int, str]) -> Iterator[str]:
    """The chain has the hashes that checkpoints state; one that is held proves all of the session's entries."""
    inside = dict(hashes(lines(HERE / "checkpoints.jsonl"), bundle))
    own = {entry["seq"]: entry["hash"] for entry in chain}
    for whose, known in (("in the bundle", inside), ("that you hold", held)):
        for seq in known.keys() & own.keys():
            if known[seq] != own[seq]:
                yield f"entry {seq} is not the one that a checkpoint {whose} vouches for"
    if held and not any(bundle["last_of_session"] <= seq <= bundle["last"] for seq in held):
        span = f"{bundle['last_of_session']} to {bundle['last']}"
        yield f"you hold no checkpoint of entries {span}: an end may be missing"


def check_session(bundle: Json, chain: list[Json]) -> Iterator[str]:
    """Counts and increments agree with the chain, as far as it is shown."""
    shown = [entry for entry in chain if entry["session"] == bundle["session"] and "body" in entry]
    withheld = {entry["kind"] for entry in chain if entry["seq"] in bundle["withheld"]}
    standing, charged = standing_of(shown), charged_of(shown)
    if "increment" not in withheld and len(standing) != bundle["increments"]:
        yield f"{len(standing)} increments stand by the chain, bundle.json says {bundle['increments']}"
    if "charge" not in withheld and charged != bundle["charged"]:
        yield f"{charged} units are charged by the chain, bundle.json says {bundle['charged']}"
    session = HERE / "session.json"
    recorded = json.loads(session.read_text(encoding="utf-8")) if session.exists() else None
    increments = standing
    if "increment" in withheld and recorded is not None:
        keys = set(recorded["increments_standing"])
        increments = {row["data"]["index"]: row["data"] for row in recorded["increments"] if row["key"] in keys}
    elif recorded is not None:
        rows = [row["data"] for row in recorded["increments"]]
        for data in standing.values():
            if {key: value for key, value in data.items() if key != "patient"} not in rows:
                yield f"session.json has {data['increment']} otherwise than the chain"
    text = (HERE / "policy.toml").read_bytes()
    pinned = [json.loads(entry["body"])["policy"] for entry in shown if entry["kind"] == "fact"]
    if {text.decode(), f"sha256:{hashlib.sha256(text).hexdigest()}"}.isdisjoint(pinned):
        yield "policy.toml is not the policy that the chain says was pinned"
    policy = tomllib.loads(text.decode())
    for index, data in sorted(increments.items()):
        yield from check_increment(index, data, policy)


def standing_of(entries: list[Json]) -> dict[int, Json]:
    """The increments that were emitted or amended and not retracted, by number."""
    standing: dict[int, Json] = {}
    for entry in entries:
        if entry["kind"] == "increment":
            body = json.loads(entry["body"])
            change = body["change"]
            if change["op"] == "retract":
                standing.pop(change["index"], None)
            else:
                standing[change["index"]] = body["event"]["data"]
    return standing


def charged_of(entries: list[Json]) -> int:
    """The units that were charged and not credited."""
    units = 0
    for entry in entries:
        if entry["kind"] == "charge":
            charge = json.loads(entry["body"])["charge"]
            quantity = len(charge["line"]["increments"])
            units += -quantity if charge.get("reverses") else quantity
    return units


def check_increment(index: int, data: Json, policy: Json) -> Iterator[str]:
    """The intervals are after the infusion's end, do not overlap, and sum up to the threshold under the policy."""
    name = data["increment"] + data["revision"]
    needed_s = policy["first_threshold_s"] + (index - 1) * policy.get("increment_s", 1800)
    if data["threshold_s"] != needed_s:
        yield f"{name} has a threshold of {data['threshold_s']} s, by the policy it is {needed_s} s"
    spans = [(instant(each["start"]), instant(each["end"])) for each in data["intervals"]]
    if not spans or data["infusion_end"] is None:
        yield f"{name} has no intervals, or no infusion end"
        return
    total_s = sum(end - start for start, end in spans)
    if abs(total_s - needed_s) > SLACK_S * len(spans):
        yield f"{name} has intervals of {total_s:.3f} s together, needed are {needed_s} s"
    if any(start > end for start, end in spans) or any(b[0] < a[1] - SLACK_S for a, b in pairwise(spans)):
        yield f"{name} has intervals that overlap or run backwards"
    if spans[0][0] < instant(data["infusion_end"]["time"]) - SLACK_S:
        yield f"{name} counts cooling before the infusion's end"
    if abs(spans[-1][1] - instant(data["attained_at"])) > SLACK_S:
        yield f"{name} was attained at another instant than that at which its intervals end"


def instant(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 text."""
    return datetime.fromisoformat(text).timestamp()


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
