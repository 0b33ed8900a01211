"""The naive script a good engineer writes first: pymodbus client and aiomqtt, one task a unit.

python tests/bench/naive.py UNITS FIRST_PORT BROKER_PORT
"""

import asyncio
import json
import sys
from datetime import UTC, datetime

import aiomqtt
from pymodbus.client import AsyncModbusTcpClient

POINTS = {"cap_front": 34, "cap_back": 35, "cap_safety": 36, "coolant_supply": 4, "coolant_return": 5}


def values_of(registers: list[int]) -> list[int]:
    """Registers as signed numbers."""
    return [register - 0x10000 if register & 0x8000 else register for register in registers]


async def follow(number: int, first_port: int, mqtt: aiomqtt.Client) -> None:
    """Poll one unit once a second and publish each reading."""
    client = AsyncModbusTcpClient("127.0.0.1", port=first_port + number, timeout=1, retries=0)
    await client.connect()
    loop = asyncio.get_running_loop()
    due_s = loop.time() + number % 10 / 10
    polls = 0
    while True:
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        due_s += 1.0
        reply = await client.read_input_registers(0, count=64, device_id=1)
        if reply.isError():
            continue
        polls += 1
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        registers = [reply.registers[address] for address in POINTS.values()]
        values = [
            {"name": name, "value": value / 100, "unit": "Cel", "quality": "good"}
            for name, value in zip(POINTS, values_of(registers), strict=True)
        ]
        event = {
            "specversion": "1.0",
            "type": "org.capgate.cap.temperature.v1",
            "source": "urn:capgate:bench:gw-01",
            "id": f"u{number:04d}.1.{polls:016d}",
            "time": now,
            "subject": f"unit/u{number:04d}/cap/1",
            "datacontenttype": "application/json",
            "dataschema": "urn:capgate:schema:temperature-1",
            "dataclassification": "internal",
            "data": {"unit": f"u{number:04d}", "cap": 1, "observed_at": now, "values": values},
        }
        topic = f"capgate-test/v1/bench/dev/gw-01/unit/u{number:04d}/cap/1/temperature"
        await mqtt.publish(topic, json.dumps(event), qos=0)


async def main(units: int, first_port: int, broker_port: int) -> None:
    """Run until killed."""
    async with aiomqtt.Client("127.0.0.1", broker_port) as mqtt, asyncio.TaskGroup() as group:
        for number in range(units):
            group.create_task(follow(number, first_port, mqtt))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
