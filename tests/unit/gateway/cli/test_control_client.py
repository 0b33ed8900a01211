"""A running gateway is reached by its socket alone, whatever its configuration has become."""

import socket
from pathlib import Path
from threading import Thread

from click.testing import CliRunner

from gateway.cli import main

ANSWER = b'{"ok":false,"error":"not now","accepted":"later"}\n'


def _serve(path: Path) -> Thread:
    """Answer one request on the socket at `path`."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)

    def once() -> None:
        with server, server.accept()[0] as client, client.makefile("rwb") as stream:
            stream.readline()
            stream.write(ANSWER)

    thread = Thread(target=once, daemon=True)
    thread.start()
    return thread


def test_a_configuration_with_errors_still_names_the_socket(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text('[gateway]\nstate_dir = "."\nmodee = "live"\n[mqqt]\n')
    thread = _serve(tmp_path / "control.sock")
    result = CliRunner().invoke(main, ["session", "list", "--json", "--config", str(tmp_path / "gateway.toml")])
    thread.join(30)
    assert ANSWER.decode().strip() in result.output


def test_the_socket_alone_is_enough(tmp_path: Path) -> None:
    thread = _serve(tmp_path / "control.sock")
    result = CliRunner().invoke(main, ["session", "list", "--json", "--socket", str(tmp_path / "control.sock")])
    thread.join(30)
    assert ANSWER.decode().strip() in result.output


def test_a_file_that_is_no_toml_is_told_how_the_gateway_is_reached_without_it(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text("[gateway\n")
    result = CliRunner().invoke(main, ["session", "list", "--config", str(tmp_path / "gateway.toml")])
    assert result.exit_code == 2
    assert "gateway.toml:1:9: not TOML" in result.output
    assert "--socket STATE_DIR/control.sock" in result.output


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant() -> None:
    result = CliRunner().invoke(main, ["sesion", "list"])
    assert (result.exit_code, "No such command 'sesion'. (did you mean session?)" in result.output) == (2, True)
