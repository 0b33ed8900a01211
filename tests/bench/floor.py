"""The floor: asyncio sockets and MQTT frames, one cheap loop, no decoding, no checks, nothing kept.

What any gateway must at least do: ask each unit once a second in one of ten slots, take its 137 bytes, and publish a
payload of the same shape and size. Only the one number that the measurement needs is read from the reply.

    python tests/bench/floor.py UNITS FIRST_PORT BROKER_PORT
"""

import asyncio
import struct
import sys
import time

PAYLOAD = (
    '{"specversion":"1.0","type":"org.capgate.cap.temperature.v1","source":"urn:capgate:bench:gw-01",'
    '"id":"u%04d.1.%016d","time":"%s.000Z","subject":"unit/u%04d/cap/1","datacontenttype":"application/json",'
    '"dataschema":"urn:capgate:schema:temperature-1","dataclassification":"internal","data":'
    '{"unit":"u%04d","cap":1,"observed_at":"%s.000Z","values":['
    '{"name":"cap_front","value":%.2f,"unit":"Cel","quality":"good"},'
    '{"name":"cap_back","value":3.1,"unit":"Cel","quality":"good"},'
    '{"name":"cap_safety","value":3.05,"unit":"Cel","quality":"good"},'
    '{"name":"coolant_supply","value":-4.2,"unit":"Cel","quality":"good"},'
    '{"name":"coolant_return","value":-3.3,"unit":"Cel","quality":"good"}]}}'
)


class Broker:
    """The broker's connection: what one round of the loop made goes out in one write."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._out: list[bytes] = []

    def put(self, frame: bytes) -> None:
        """Queue one PUBLISH."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(frame)

    def _flush(self) -> None:
        self._transport.write(b"".join(self._out))
        self._out.clear()


class Unit(asyncio.Protocol):
    """One unit's connection."""

    def __init__(self, number: int, broker: Broker) -> None:
        self.number = number
        self.broker = broker
        self.request = struct.pack(">HHHBBHH", 1, 0, 6, 1, 4, 0, 64)
        self.topic = f"capgate-test/v1/bench/dev/gw-01/unit/u{number:04d}/cap/1/temperature".encode()
        self.polls = 0

    def data_received(self, data: bytes) -> None:
        """Publish what came; a reply always fits one segment here."""
        front = int.from_bytes(data[9 + 68 : 9 + 70], "big")
        self.polls += 1
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        number = self.number
        payload = (PAYLOAD % (number, self.polls, now, number, number, now, front / 100)).encode()
        body = struct.pack(">H", len(self.topic)) + self.topic + payload
        length = len(body)
        self.broker.put(bytes([0x30, length & 0x7F | 0x80, length >> 7]) + body)


async def main(units: int, first_port: int, broker_port: int) -> None:
    """Run until killed."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", broker_port)
    connect = b"\x00\x04MQTT\x04\x02\x00\x00\x00\x05floor"
    transport.write(bytes([0x10, len(connect)]) + connect)
    broker = Broker(transport)
    slots: list[list[tuple[asyncio.Transport, Unit]]] = [[] for _ in range(10)]
    for number in range(units):
        port = first_port + number
        slots[number % 10].append(await loop.create_connection(lambda n=number: Unit(n, broker), "127.0.0.1", port))
    start_s = loop.time()
    tick = 0
    while True:
        for unit_transport, unit in slots[tick % 10]:
            unit_transport.write(unit.request)
        tick += 1
        await asyncio.sleep(start_s + tick / 10 - loop.time())


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
