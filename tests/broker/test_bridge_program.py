"""The installed `capgate bridge`, on its own event loop: its listener by TLS, and its status."""

import json
import signal
import socket
import ssl
import subprocess
from pathlib import Path

from tests.broker.authority import Authority
from tests.broker.bridge_side import SiteGateway, adt, write_config
from tests.broker.harness import HANGS_S, Mosquitto, free_port, wait_until
from tests.bus.recorder import recorded_capgate


def asked(config: Path, *options: str) -> tuple[int, str]:
    """The exit code and the output of `capgate bridge --status`."""
    command = [str(recorded_capgate()), "bridge", "--config", str(config), "--status", *options]
    run = subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S, check=False)
    return run.returncode, run.stdout + run.stderr


def exchanged(port: int, tls: ssl.SSLContext, message: bytes) -> bytes:
    """The answer to a message by TLS; b"" if the client is refused."""
    try:
        with tls.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1") as connection:
            connection.settimeout(HANGS_S)
            connection.sendall(b"\x0b" + message + b"\x1c\r")
            return connection.recv(4096)
    except OSError:
        return b""


def test_the_installed_bridge_serves_by_tls_and_says_how_it_is(tmp_path: Path, mosquitto: Mosquitto) -> None:
    authority = Authority(tmp_path / "ours")
    host, client = authority.issue("127.0.0.1"), authority.issue("engine")
    host.key.chmod(0o600)
    port, health_port = free_port(), free_port()
    listener = f'ca_file = "{authority.ca}"\ncert_file = "{host.certificate}"\nkey_file = "{host.key}"\n'
    config = write_config(
        tmp_path, mosquitto.port, free_port(), listen=f'{listener}[health]\nlisten = "127.0.0.1:{health_port}"'
    )
    config.write_text(config.read_text().replace('"127.0.0.1:0"', f'"127.0.0.1:{port}"'))
    assert asked(config)[0] == 3, "no bridge runs"
    gateway = SiteGateway(mosquitto.port, lambda _: "accepted")
    program = subprocess.Popen([str(recorded_capgate()), "bridge", "--config", str(config)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: '"gateways_online":["gw-01"]' in asked(config, "--json")[1], "the bridge knows the gateway")
        known = ssl.create_default_context(cafile=str(authority.ca))
        known.load_cert_chain(client.certificate, client.key)
        for number in range(3):
            answer = exchanged(port, known, adt(number, "NTE|1||" + "x" * 60_000 + "\r"))
            assert f"MSA|AA|ADT{number}\r".encode() in answer
        assert exchanged(port, ssl.create_default_context(cafile=str(authority.ca)), adt(4)) == b""
        wait_until(lambda: json.loads(asked(config, "--json")[1])["counts"]["tls_refused"] == 1, "it is counted")
        code, text = asked(config)
        assert code == 0
        assert "nothing is wrong" in text
        mosquitto.kill()
        wait_until(lambda: asked(config)[0] == 1, "something is wrong")
        assert "! no connection to the broker" in asked(config)[1]
        program.send_signal(signal.SIGTERM)
        assert program.wait(HANGS_S) == 0
    finally:
        program.kill()
        program.wait()
        gateway.cut()


def test_a_status_without_an_address_is_refused(tmp_path: Path) -> None:
    code, text = asked(write_config(tmp_path, 1883, 2575))
    assert code == 2
    assert "[health]" in text
