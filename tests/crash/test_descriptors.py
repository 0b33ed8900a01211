"""The installed gateway without a descriptor to spare: no connection is worth its end, and none is lost for ever."""

import resource
import signal
from pathlib import Path

from simulators.faults import Fault, InjectedFault
from tests.broker.harness import Mosquitto
from tests.support import suite

NO_MORE = 3  # below what it has open already


async def test_a_gateway_without_descriptors_goes_on_and_connects_again_when_it_has_some(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        async with suite.serving(tmp_path, suite.one_line("cap-01")) as units:
            suite.write_configuration(tmp_path, units.url, broker, 4, 3)
            gateway = suite.Gateway(tmp_path)
            await gateway.start()
            await gateway.connected()
            await gateway.says("line net-1 is open")
            before = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (NO_MORE, before[1]))
            units.afflict("cap-01", Fault(InjectedFault.LOST))  # so its line is opened again
            broker.kill()
            broker.start()
            await gateway.says("Too many open files")
            resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, before)
            await gateway.says("connected to the broker", times=2)
            assert await gateway.end(signal.SIGTERM) == 0
    assert "Traceback" not in (tmp_path / "gateway.log").read_text()
