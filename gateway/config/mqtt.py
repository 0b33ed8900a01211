"""Resolves the [mqtt] table into MqttSettings: checks the TLS files, and warns of connections without TLS or login."""

import ssl
from pathlib import Path
from urllib.parse import urlsplit

from gateway.config.problems import Problems
from gateway.config.tables import MAX_CLIENT_ID, MqttTable
from gateway.messages.notation import Mode
from gateway.mqtt.types import PORTS, MqttSettings, TlsFiles
from gateway.runtime.addresses import is_loopback

_OF_TEST = "-t"  # short: brokers need take no more than MAX_CLIENT_ID


def client_id_in(mode: Mode, client_id: str) -> str:
    """The client id in that mode: test and live share no session, and no message that waits in one, at the broker."""
    return client_id if mode is Mode.LIVE else f"{client_id}{_OF_TEST}"


def resolve_mqtt(
    problems: Problems, table: MqttTable, mode: Mode, default_client_id: str | None
) -> MqttSettings | None:
    """The settings; None if they have an error."""
    parts = urlsplit(table.url)
    host, is_tls = parts.hostname or "", parts.scheme == "mqtts"
    _check_exposure(problems, table, host, is_tls=is_tls)
    tls = _tls_files(problems, table) if is_tls else None
    if not is_tls:
        for name in ("ca_file", "cert_file", "key_file"):
            if getattr(table, name) is not None:
                problems.error(("mqtt", name), "a file for TLS, but the URL is mqtt://, accepted: mqtts://")
    password = _password_file(problems, table)
    named = table.client_id or default_client_id
    if named is None:  # for want of a sound [gateway], which is reported already
        return None
    client_id = client_id_in(mode, named)
    if len(client_id) > MAX_CLIENT_ID:
        accepted = f"accepted: client_id of 1 to {MAX_CLIENT_ID - len(client_id) + len(named)} characters"
        where = ("mqtt",) if table.client_id is None else ("mqtt", "client_id")
        problems.error(where, f"client id {client_id} too long in mode {mode}, {accepted}")
    return MqttSettings(
        host=host,
        port=parts.port or PORTS[parts.scheme],
        client_id=client_id,
        tls=tls,
        username=table.username,
        password_file=password,
        keepalive_s=table.keepalive_s,
    )


def _check_exposure(problems: Problems, table: MqttTable, host: str, *, is_tls: bool) -> None:
    """Warn of, or refuse, a connection without TLS; warn of one without client authentication."""
    is_local = is_loopback(host)
    if is_tls and table.insecure:
        problems.error(("mqtt", "insecure"), "means mqtt:// beyond this machine, accepted with mqtts://: false")
    elif not is_tls and not is_local and not table.insecure:
        problems.error(("mqtt", "url"), "mqtt:// is readable on the network, accepted: mqtts://, or insecure = true")
    elif not is_tls and not is_local:
        problems.warn(("mqtt", "insecure"), "EVERYTHING, PATIENT DATA TOO, GOES OVER THE NETWORK IN CLEAR")
    if not is_local and table.cert_file is None and table.username is None:
        problems.warn(("mqtt",), "the broker is not told who connects: neither cert_file nor username")


def _password_file(problems: Problems, table: MqttTable) -> Path | None:
    if (table.username is None) != (table.password_file is None):
        present = "username" if table.password_file is None else "password_file"
        problems.error(("mqtt", present), "alone, accepted: username and password_file together, or neither")
    if table.password_file is None:
        return None
    return problems.file(("mqtt", "password_file"), table.password_file, secret=True)


def _tls_files(problems: Problems, table: MqttTable) -> TlsFiles | None:
    if table.ca_file is None:
        problems.error(("mqtt",), "ca_file is missing, accepted: the certificate of the broker's authority (PEM)")
    ca = _ca(problems, table.ca_file) if table.ca_file else None
    if (table.cert_file is None) != (table.key_file is None):
        present = "cert_file" if table.key_file is None else "key_file"
        problems.error(("mqtt", present), "alone, accepted: cert_file and key_file together, or neither")
    certificate = problems.file(("mqtt", "cert_file"), table.cert_file) if table.cert_file else None
    key = problems.file(("mqtt", "key_file"), table.key_file, secret=True) if table.key_file else None
    if certificate and key:
        _check_pair(problems, certificate, key)
    return TlsFiles(ca, certificate, key) if ca else None


def _ca(problems: Problems, name: str) -> Path | None:
    file = problems.file(("mqtt", "ca_file"), name)
    if file is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except (ssl.SSLError, UnicodeDecodeError):
        problems.error(("mqtt", "ca_file"), f"{file} holds no certificate, accepted: PEM")
        return None
    return file


def _check_pair(problems: Problems, certificate: Path, key: Path) -> None:
    try:
        # With password="" an encrypted key fails; without it OpenSSL would prompt on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, UnicodeDecodeError):
        problems.error(
            ("mqtt", "key_file"),
            f"{key} is not the key of {certificate}, accepted: a PEM pair, the key without password",
        )
