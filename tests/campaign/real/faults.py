"""What goes wrong with the installed gateway and around it. Each fault is over when its function returns."""

import asyncio
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from random import Random

from simulators.faults import Fault, InjectedFault
from simulators.machine import Sensor
from tests.broker.proxy import Proxy
from tests.crash.killed_session import FIRST_S, PLACE, Scene
from tests.support import suite

UNIT = "cap-01"
LAST_CALL = 9  # of those at which it is killed
SPARE_DESCRIPTORS = 2
MOST_MESSAGES = 20

Strike = Callable[[Scene, Random], Awaitable[None]]


class Kind(StrEnum):
    """A kind of fault."""

    KILL = "kill"  # SIGKILL, and a while later another start
    TERM = "term"  # ended in order
    TWICE = "twice"  # killed again while it starts
    AT_WRITE = "at-write"  # killed at a write of its ledger
    AT_SYNC = "at-sync"
    FREEZE = "freeze"  # SIGSTOP
    SYNC_FAILS = "sync-fails"  # EIO, once
    WRITE_FAILS = "write-fails"
    NO_ROOM = "no-room"  # the disk is full for a while
    READ_ONLY = "read-only"
    SLOW_SYNC = "slow-sync"
    DESCRIPTORS = "descriptors"  # there are no more
    FILE_LIMIT = "file-limit"  # no file may grow
    HISTORY = "history"  # the history of temperatures is spoilt
    SOCKET = "socket"  # a folder lies where the control socket is to be
    CONFIGURATION = "configuration"  # spoilt when it starts
    POLICY = "policy"  # changed, and taken up
    COMMANDS = "commands"  # of people, beside it
    BROKER_KILLED = "broker-killed"
    BROKER_FROZEN = "broker-frozen"
    LINK_CUT = "link-cut"
    LINK_DEAD = "link-dead"  # half-open: nothing gets through, and no side hears of it
    LINK_SLOW = "link-slow"
    PUBACKS = "pubacks"  # the broker's answers are lost
    LINE_CUT = "line-cut"  # to the units
    LINE_DEAD = "line-dead"
    LATE = "late"  # the unit's answers
    LOST = "lost"
    WRONG_UNIT = "wrong-unit"
    WRONG_FUNCTION = "wrong-function"
    BUSY = "busy"
    STUCK = "stuck"  # a sensor
    REPEATED = "repeated"  # the engine says everything again
    GARBAGE = "garbage"  # it sends what nobody can read
    FOREIGN = "foreign"  # it tells of patients who are not here


async def revived(scene: Scene) -> None:
    """Start the gateway if it ended, as systemd does."""
    if not scene.gateway.runs:
        await asyncio.sleep(1)
        await scene.gateway.start()


async def _begin_again(scene: Scene, chance: Random, signum: signal.Signals = signal.SIGKILL) -> None:
    await scene.gateway.end(signum)
    await asyncio.sleep(chance.uniform(0, 3))
    await scene.gateway.start()


async def _kill(scene: Scene, chance: Random) -> None:
    await _begin_again(scene, chance)


async def _term(scene: Scene, chance: Random) -> None:
    await _begin_again(scene, chance, signal.SIGTERM)


async def _twice(scene: Scene, chance: Random) -> None:
    await _begin_again(scene, chance)
    await asyncio.sleep(chance.uniform(0, 1))
    await _begin_again(scene, chance)


def _at(call: str) -> Strike:
    async def strike(scene: Scene, chance: Random) -> None:
        await scene.gateway.end(signal.SIGKILL)
        await scene.gateway.start_to_die(call, chance.randint(1, LAST_CALL))
        death = asyncio.create_task(scene.gateway.died())
        while not death.done():
            await scene.remind()
        await death
        await scene.gateway.start()

    return strike


async def _freeze(scene: Scene, chance: Random) -> None:
    os.kill(scene.gateway.pid, signal.SIGSTOP)
    await asyncio.sleep(chance.uniform(1, 6))
    os.kill(scene.gateway.pid, signal.SIGCONT)


def _calls(injection: str) -> Strike:
    """System calls of the ledger's thread go wrong for a while."""

    async def strike(scene: Scene, chance: Random) -> None:
        watching = await asyncio.create_subprocess_exec(
            "strace", "-f", "-qq", "-o", "/dev/null", "-p", str(scene.gateway.pid),
            "-e", f"trace={injection.partition(':')[0]}", "-e", f"inject={injection}",
        )  # fmt: skip
        await _reminded(scene, chance.uniform(2, 6))
        if watching.returncode is None:
            watching.send_signal(signal.SIGINT)
        await watching.wait()

    return strike


@contextmanager
def _limited(pid: int, which: int, most: int) -> Generator[None]:
    before = resource.prlimit(pid, which)
    resource.prlimit(pid, which, (most, before[1]))
    yield
    if Path(f"/proc/{pid}").exists():
        resource.prlimit(pid, which, before)


async def _descriptors(scene: Scene, chance: Random) -> None:
    pid = scene.gateway.pid
    with _limited(pid, resource.RLIMIT_NOFILE, len(os.listdir(f"/proc/{pid}/fd")) + SPARE_DESCRIPTORS):
        scene.link.cut()
        scene.line.cut()
        await asyncio.sleep(chance.uniform(1, 4))


async def _file_limit(scene: Scene, chance: Random) -> None:
    with _limited(scene.gateway.pid, resource.RLIMIT_FSIZE, 4096):
        await _reminded(scene, chance.uniform(1, 4))


async def _reminded(scene: Scene, for_s: float) -> None:
    until_s = asyncio.get_running_loop().time() + for_s
    while asyncio.get_running_loop().time() < until_s and scene.gateway.runs:
        await scene.remind()
        await asyncio.sleep(0.3)


async def _history(scene: Scene, chance: Random) -> None:
    await scene.gateway.end(signal.SIGKILL)
    history = scene.gateway.ledger.with_name("temperatures.db")
    history.write_bytes(chance.randbytes(max(4096, history.stat().st_size if history.exists() else 0)))
    await scene.gateway.start()


async def _socket(scene: Scene, _: Random) -> None:
    await scene.gateway.end(signal.SIGKILL)
    taken = scene.gateway.ledger.with_name("control.sock")
    taken.unlink(missing_ok=True)
    taken.mkdir()
    await scene.gateway.start()


async def _configuration(scene: Scene, chance: Random) -> None:
    file = scene.folder / "gateway.toml"
    good = file.read_bytes()
    await scene.gateway.end(signal.SIGKILL)
    named = good.index(b"[mqtt]")  # it still says where the state is; systemd would say so as well
    file.write_bytes(good[: chance.randrange(named, len(good))] + chance.randbytes(20))
    await scene.gateway.start()
    await asyncio.sleep(chance.uniform(1, 4))
    file.write_bytes(good)


async def _policy(scene: Scene, chance: Random) -> None:
    """Sessions that are open keep the one that they opened under."""
    text = suite.POLICY.format(first_s=FIRST_S + 3, further_s=chance.randint(5, 9))
    number = chance.randint(2, 1000)
    (scene.folder / "policy.toml").write_text(text.replace('revision = "1"', f'revision = "{number}"'))
    await _command(scene, "unit", "reload", *_of(scene))


async def _commands(scene: Scene, _: Random) -> None:
    await _command(scene, "ledger", "verify", str(scene.gateway.ledger))
    for words in (("session", "list"), ("outbox", "list"), ("status",)):
        await _command(scene, *words, *_of(scene))


def _of(scene: Scene) -> tuple[str, str]:
    return ("--config", str(scene.folder / "gateway.toml"))


async def _command(scene: Scene, *words: str) -> None:
    await suite.until(lambda: _listens(scene), "the gateway listens to people")
    process = await asyncio.create_subprocess_exec(
        suite.CAPGATE, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, f"{' '.join(words)}: {said.decode()}"


def _listens(scene: Scene) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(scene.gateway.ledger.with_name("control.sock"))) == 0


async def _broker_killed(scene: Scene, chance: Random) -> None:
    scene.broker.kill()
    await asyncio.sleep(chance.uniform(0, 3))
    await asyncio.to_thread(scene.broker.start)


async def _broker_frozen(scene: Scene, chance: Random) -> None:
    scene.broker.pause()
    await asyncio.sleep(chance.uniform(1, 6))
    scene.broker.go_on()


def _link(scene: Scene) -> Proxy:
    return scene.link


def _line(scene: Scene) -> Proxy:
    return scene.line


def _cut(proxy: Callable[[Scene], Proxy]) -> Strike:
    async def strike(scene: Scene, chance: Random) -> None:
        for _ in range(chance.randint(1, 4)):
            proxy(scene).cut()
            await asyncio.sleep(chance.uniform(0, 2))

    return strike


def _dead(proxy: Callable[[Scene], Proxy]) -> Strike:
    async def strike(scene: Scene, chance: Random) -> None:
        proxy(scene).hole = True
        await asyncio.sleep(chance.uniform(1, 8))
        proxy(scene).hole = False
        proxy(scene).cut()

    return strike


async def _link_slow(scene: Scene, chance: Random) -> None:
    scene.link.bytes_per_s = chance.choice((500, 2000, 8000))
    await asyncio.sleep(chance.uniform(2, 6))
    scene.link.bytes_per_s = 0


async def _pubacks(scene: Scene, chance: Random) -> None:
    scene.link.swallow = True
    await _reminded(scene, chance.uniform(1, 5))
    scene.link.cut()
    scene.link.swallow = False


def _of_unit(kind: InjectedFault) -> Strike:
    """The unit's answers, or some of them, for a while."""

    async def strike(scene: Scene, chance: Random) -> None:
        for_s = chance.uniform(1, 8)
        often = chance.choice((0.3, 0.7, 1.0))
        delay_s = chance.uniform(0.1, 1.5) if kind is InjectedFault.LATE else 0.0
        sensor = Sensor.SUPPLY if kind is InjectedFault.STUCK_SENSOR else None
        scene.units.afflict(UNIT, Fault(kind, for_s, often, delay_s, sensor=sensor))
        await asyncio.sleep(for_s + delay_s)

    return strike


async def _repeated(scene: Scene, _: Random) -> None:
    for _number in range(MOST_MESSAGES):
        await scene.remind()


async def _garbage(scene: Scene, chance: Random) -> None:
    texts = ("", "{", "[]", "null", "MSH|", '{"specversion": "1.0"}', "\x01" * 50, "9" * 100_000, "[" * 5000)
    for text in chance.sample(texts, 5):
        await suite.publish(scene.broker, suite.TOPIC_IN, text)


async def _foreign(scene: Scene, chance: Random) -> None:
    for _number in range(chance.randint(1, MOST_MESSAGES)):
        visit = f"V-{chance.randint(1000, 9999)}"
        ended: dict[str, object] = {"visit": visit, "order": f"O-{visit}", "final": True, "agent_class": "chemo"}
        name = f"f-{chance.random()}"
        await suite.send_event(scene.broker, name, "infusion.completed", suite.in_future(0), {**ended, "source": "mar"})
    elsewhere = {**PLACE, "unit": "cap-77", "visit": "V-77"}
    await suite.send_event(scene.broker, f"f-{chance.random()}", "association.bound", suite.in_future(0), elsewhere)


STRIKES: Mapping[Kind, Strike] = {
    Kind.KILL: _kill,
    Kind.TERM: _term,
    Kind.TWICE: _twice,
    Kind.AT_WRITE: _at("pwrite64"),
    Kind.AT_SYNC: _at("fdatasync"),
    Kind.FREEZE: _freeze,
    Kind.SYNC_FAILS: _calls("fdatasync:error=EIO:when=1"),
    Kind.WRITE_FAILS: _calls("pwrite64:error=EIO:when=2"),
    Kind.NO_ROOM: _calls("pwrite64:error=ENOSPC"),
    Kind.READ_ONLY: _calls("pwrite64:error=EROFS"),
    Kind.SLOW_SYNC: _calls("fdatasync:delay_enter=1500000"),
    Kind.DESCRIPTORS: _descriptors,
    Kind.FILE_LIMIT: _file_limit,
    Kind.HISTORY: _history,
    Kind.SOCKET: _socket,
    Kind.CONFIGURATION: _configuration,
    Kind.POLICY: _policy,
    Kind.COMMANDS: _commands,
    Kind.BROKER_KILLED: _broker_killed,
    Kind.BROKER_FROZEN: _broker_frozen,
    Kind.LINK_CUT: _cut(_link),
    Kind.LINK_DEAD: _dead(_link),
    Kind.LINK_SLOW: _link_slow,
    Kind.PUBACKS: _pubacks,
    Kind.LINE_CUT: _cut(_line),
    Kind.LINE_DEAD: _dead(_line),
    Kind.LATE: _of_unit(InjectedFault.LATE),
    Kind.LOST: _of_unit(InjectedFault.LOST),
    Kind.WRONG_UNIT: _of_unit(InjectedFault.WRONG_UNIT),
    Kind.WRONG_FUNCTION: _of_unit(InjectedFault.WRONG_FUNCTION),
    Kind.BUSY: _of_unit(InjectedFault.BUSY),
    Kind.STUCK: _of_unit(InjectedFault.STUCK_SENSOR),
    Kind.REPEATED: _repeated,
    Kind.GARBAGE: _garbage,
    Kind.FOREIGN: _foreign,
}
