"""What messages of other wards cost: `python -m tests.bench.noise`.

A gateway that treats one patient hears a hospital's whole feed: a thousand messages of each kind, one after the other.
Prints the processor time of each and the entries that it left in the ledger, and asserts nothing; that they leave none,
and how often the ledger is asked, is held by a test.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gateway.runtime.loop import run_loop
from tests.support.pipeline import configured, cool, running
from tests.unit.gateway.messages.hl7_support import fhir, hl7

MESSAGES = 1_000  # of each kind
WORDS = '[drugs]\nchemo = ["PACLI"]\n\n'
WARD = "WARD9^R1^Z9"
HOUSE = "NORTH"


def _adt(trigger: str) -> Callable[[int], bytes]:
    def message(number: int) -> bytes:
        text = hl7(
            "adt_a04_register",
            MSH_9=f"ADT^{trigger}",
            MSH_10=f"{trigger}-{number}",
            EVN_1=trigger,
            PID_3=f"8{number:06d}^^^{HOUSE}^MR",
            PID_18=f"9{number:06d}^^^{HOUSE}^AN",
            PV1_3=WARD,
            PV1_19=f"X{number:06d}^^^{HOUSE}^VN",
        )
        return text + f"MRG|7{number:06d}^^^{HOUSE}^MR\r".encode() if trigger == "A40" else text

    return message


def _ras(number: int) -> bytes:
    who = {"PID_3": f"8{number:06d}^^^{HOUSE}^MR", "PID_18": f"9{number:06d}", "PV1_19": f"X{number:06d}"}
    return hl7("ras_o17_complete", MSH_10=f"R{number}", PV1_3=WARD, RXA_11="^^^WARD9", **who)


def _laboratory(number: int) -> bytes:
    stay = f"PV1|1|I|{WARD}" + "|" * 16 + f"X{number:06d}"
    lines = [f"MSH|^~\\&|LAB|H|C|N|20260310150000Z||ORU^R01|L{number}|P|2.5.1", f"PID|1||8{number:06d}", stay]
    return "\r".join([*lines, "OBR|1|||K^Potassium", *["OBX|1|NM|K^Potassium||4.1|mmol/L"] * 20, ""]).encode()


def _event(number: int) -> bytes:
    data = {"order": f"O{number}", "visit": f"X{number:06d}", "chair": "z9", "agent_class": "chemo", "source": "mar"}
    event = {
        "specversion": "1.0",
        "type": "org.example.infusion.completed.v1",
        "source": "urn:engine",
        "id": f"J{number}",
        "time": "2026-03-10T15:00:00Z",
        "data": data,
    }
    return json.dumps(event).encode()


def _event_by_number(number: int) -> bytes:
    event = json.loads(_event(number))
    event["data"] = {"order": f"O{number}", "patient": {"mrn": f"8{number:06d}", "account": f"9{number:06d}"}}
    return json.dumps(event).encode()


def _observation(number: int) -> bytes:
    of = {"subject": {"identifier": {"value": f"8{number:06d}"}}, "valueQuantity": {"value": 37.1, "unit": "Cel"}}
    return json.dumps({"resourceType": "Observation", "id": f"o{number}", "status": "final", **of}).encode()


def _administration(number: int) -> bytes:
    visit = {"identifier": {"value": f"X{number:06d}"}}
    who = {"identifier": {"value": f"8{number:06d}"}}
    return fhir("r4_medicationadministration_completed", id=f"m{number}", context=visit, subject=who)


def _unplaced(number: int) -> bytes:
    who = {"PID_3": f"8{number:06d}^^^{HOUSE}^MR", "PID_18": f"9{number:06d}", "PV1_19": f"Y{number:06d}"}
    return hl7("ras_o17_complete", MSH_10=f"R{number}", PV1_3="", RXA_11="", **who)


def _unplaced_event(number: int) -> bytes:
    event = json.loads(_event(number))
    event["data"] = {"order": f"O{number}", "visit": f"Z{number:06d}", "agent_class": "chemo", "source": "mar"}
    return json.dumps(event).encode()


FOREIGN: dict[str, Callable[[int], bytes]] = {
    **{f"ADT {trigger}": _adt(trigger) for trigger in ("A01", "A02", "A03", "A04", "A08", "A31", "A40")},
    "RAS": _ras,
    "ORU of a laboratory": _laboratory,
    "JSON with a chair": _event,
    "JSON by numbers": _event_by_number,
    "FHIR Observation": _observation,
    "FHIR administration": _administration,
    "RAS without a place": _unplaced,
    "JSON without a place": _unplaced_event,
}
"""By kind, messages that concern nobody here. Those that name no place wait, for their visit may get a cap later."""


async def measure(folder: Path) -> None:
    """Print a row for each kind."""
    async with running(configured(folder, WORDS)) as suite:
        await suite.infusion_over()
        await cool(suite)
        for kind, message in FOREIGN.items():
            payloads = [message(number) for number in range(MESSAGES)]
            entries, began_s = len(await suite.ledger.entries()), time.process_time()
            for payload in payloads:
                await suite.pipeline.message("any", payload)
            cost_ms = 1000 * (time.process_time() - began_s) / MESSAGES
            left = len(await suite.ledger.entries()) - entries
            sys.stdout.write(f"{kind:22} {cost_ms:8.2f} {left / MESSAGES:8.1f}\n")


def main() -> None:
    """Print what each kind costs, a message."""
    sys.stdout.write(f"{'':22} {'CPU ms':>8} {'entries':>8}\n")
    with tempfile.TemporaryDirectory(prefix="capgate-bench-") as name:
        run_loop(measure(Path(name)))


if __name__ == "__main__":
    main()
