"""bridge.toml: checked as a whole, every error with its line. Reference: docs/how-to/connect-an-engine.md."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictStr

from drivers.toml.document import TomlProblems, read_toml
from gateway.config.mqtt import client_id_in, resolve_mqtt
from gateway.config.problems import Problems
from gateway.config.tables import FileName, MqttTable, Segment, Table, listen_address
from gateway.messages.destination import Destination
from gateway.messages.notation import Mode, Notation
from gateway.mqtt.topics import CHARGE, OBSERVATION, Topics, filter_of
from gateway.mqtt.types import MqttSettings, TlsFiles
from gateway.runtime.addresses import is_loopback

DEFAULT_CLIENT_ID = "capgate-bridge"


class Carried(StrEnum):
    """The kinds of message that the bridge forwards to the engine."""

    CHARGE = "charge"
    OBSERVATION = "observation"


CHANNELS = {Carried.CHARGE: CHARGE[Notation.HL7], Carried.OBSERVATION: OBSERVATION[Notation.HL7]}


class AckCode(StrEnum):
    """The acknowledgement mode of the listener, by its positive code in MSA-1 (HL7 table 0008)."""

    AA = "AA"  # original mode
    CA = "CA"  # enhanced mode


def _target(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or any(c.isspace() or c == "/" for c in host):
        raise ValueError("not an address, accepted: host:port")
    return text


def _listen(text: str) -> str:
    listen_address(text)
    return text


class BridgeTable(Table):
    """`[bridge]`: site, id and mode of this bridge, as in its topics."""

    site: Segment
    id: Segment
    mode: Mode


class EngineTable(Table):
    """`[engine]`: the engine's MLLP listener."""

    address: Annotated[StrictStr, AfterValidator(_target)]
    carry: tuple[Carried, ...] = (Carried.CHARGE, Carried.OBSERVATION)
    ack_timeout_s: Annotated[StrictFloat, Field(ge=1, le=300)] = 30.0
    keep_connection: StrictBool = True
    insecure: StrictBool = False
    ca_file: FileName | None = None
    cert_file: FileName | None = None
    key_file: FileName | None = None


class ListenTable(Table):
    """`[listen]`: the bridge's own MLLP listener, to which the engine sends."""

    address: Annotated[StrictStr, AfterValidator(_listen)]
    ack: AckCode = AckCode.AA
    answer_timeout_s: Annotated[StrictFloat, Field(ge=1, le=300)] = 20.0
    insecure: StrictBool = False
    ca_file: FileName | None = None
    cert_file: FileName | None = None
    key_file: FileName | None = None


class StandbyTable(Table):
    """`[standby]`: this bridge is one of an active/standby pair."""

    name: Segment
    client_id: Annotated[StrictStr, Field(min_length=1, max_length=64)]
    takeover_s: Annotated[StrictFloat, Field(ge=1, le=600)] = 20.0
    cert_file: FileName | None = None
    key_file: FileName | None = None


class BridgeHealthTable(Table):
    """`[health]`: the address of /healthz and /metrics."""

    listen: Annotated[StrictStr, AfterValidator(_listen)]


class BridgeFile(Table):
    """All tables of bridge.toml."""

    bridge: BridgeTable
    mqtt: MqttTable
    engine: EngineTable
    listen: ListenTable | None = None
    standby: StandbyTable | None = None
    health: BridgeHealthTable | None = None


class Target(msgspec.Struct, frozen=True):
    """The engine's MLLP listener. `tls` None: plain TCP."""

    host: str
    port: int
    ack_timeout_s: float
    keep_connection: bool  # False: a new connection for each message
    tls: TlsFiles | None = None


class MllpListen(msgspec.Struct, frozen=True):
    """The bridge's MLLP listener. `certificate` makes it TLS; with `ca` the engine needs a client certificate."""

    host: str
    port: int
    ack: AckCode
    answer_timeout_s: float  # for the gateways' answers; must be below the engine's own time-out
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class Standby(msgspec.Struct, frozen=True):
    """An active/standby pair, as one of its bridges sees it."""

    name: str  # of this bridge; its peer's differs
    takeover_s: float  # the peer's silence after which this bridge becomes active
    lease: Destination  # retained topic on which the active bridge renews its lease
    watch: MqttSettings  # the connection on which the standby bridge watches the lease


class BridgeConfig(msgspec.Struct, frozen=True):
    """The resolved configuration of a bridge."""

    site: str
    id: str
    mode: Mode
    mqtt: MqttSettings
    target: Target
    outbound: Mapping[Carried, str]  # topic filter of each kind that goes to the engine
    inbound: Destination  # of the engine's messages
    listen: MllpListen | None
    standby: Standby | None = None
    health: tuple[str, int] | None = None


def certificates_of(config: BridgeConfig) -> dict[str, Path]:
    """The certificates that somebody must renew, by what each is for."""
    broker, engine, listen = config.mqtt.tls, config.target.tls, config.listen
    files = {
        "broker-authority": broker and broker.ca,
        "broker-client": broker and broker.certificate,
        "engine-authority": engine and engine.ca,
        "engine-client": engine and engine.certificate,
        "listener-authority": listen and listen.ca,
        "listener": listen and listen.certificate,
    }
    return {name: file for name, file in files.items() if file is not None}


def load_bridge(path: Path) -> BridgeConfig:
    """The configuration in bridge.toml. Raises TomlProblems with every error."""
    document = read_toml(path)
    problems = Problems(document)
    file = document.fit(BridgeFile).model
    settings = resolve_mqtt(problems, file.mqtt, file.bridge.mode, DEFAULT_CLIENT_ID)
    target, listen = _resolve_target(problems, file.engine), _resolve_listen(problems, file.listen)
    topics = Topics(file.bridge.site, file.bridge.id, file.bridge.mode)
    lease = f"{topics.root}/dev/{file.bridge.id}/lease"
    standby = _resolve_standby(problems, file, settings, lease)
    if problems.errors or settings is None:
        raise TomlProblems(tuple(problems.errors))
    return BridgeConfig(
        site=file.bridge.site,
        id=file.bridge.id,
        mode=file.bridge.mode,
        mqtt=settings,
        target=target,
        outbound={kind: filter_of(CHANNELS[kind], topics.root) for kind in file.engine.carry},
        inbound=topics.inbound(Notation.HL7),
        listen=listen,
        standby=standby,
        health=None if file.health is None else listen_address(file.health.listen),
    )


def _resolve_standby(problems: Problems, file: BridgeFile, settings: MqttSettings | None, lease: str) -> Standby | None:
    table = file.standby
    if table is None or settings is None:
        return None
    client_id = client_id_in(file.bridge.mode, table.client_id)
    if client_id == settings.client_id:
        problems.error(("standby", "client_id"), "the broker would cut the other off, accepted: not that of [mqtt]")
    watch = msgspec.structs.replace(settings, client_id=client_id, session_expiry_s=0)
    certificate, key = _pair(problems, "standby", table)
    if settings.tls is not None and certificate is not None:
        tls = msgspec.structs.replace(settings.tls, certificate=certificate, key=key)
        watch = msgspec.structs.replace(watch, tls=tls)
    return Standby(table.name, table.takeover_s, Destination(lease, 1, True, None, "text/plain"), watch)


def _resolve_target(problems: Problems, table: EngineTable) -> Target:
    host, _, port = table.address.rpartition(":")
    ca, certificate, key = _files(problems, "engine", table)
    _check_exposure(problems, "engine", host, is_tls=ca is not None, insecure=table.insecure)
    if certificate and ca is None:
        problems.error(("engine",), "ca_file is missing, accepted: the certificate of the engine's authority (PEM)")
    tls = TlsFiles(ca, certificate, key) if ca else None
    return Target(host.strip("[]"), int(port), table.ack_timeout_s, table.keep_connection, tls)


def _resolve_listen(problems: Problems, table: ListenTable | None) -> MllpListen | None:
    if table is None:
        return None
    host, port = listen_address(table.address)
    ca, certificate, key = _files(problems, "listen", table)
    _check_exposure(problems, "listen", host, is_tls=certificate is not None, insecure=table.insecure)
    if ca and certificate is None:
        problems.error(("listen",), "cert_file and key_file are missing, accepted: our own certificate and key (PEM)")
    return MllpListen(host, port, table.ack, table.answer_timeout_s, ca, certificate, key)


def _files(
    problems: Problems, name: str, table: EngineTable | ListenTable
) -> tuple[Path | None, Path | None, Path | None]:
    ca = problems.file((name, "ca_file"), table.ca_file) if table.ca_file else None
    return ca, *_pair(problems, name, table)


def _pair(
    problems: Problems, name: str, table: EngineTable | ListenTable | StandbyTable
) -> tuple[Path | None, Path | None]:
    if (table.cert_file is None) != (table.key_file is None):
        present = "cert_file" if table.key_file is None else "key_file"
        problems.error((name, present), "alone, accepted: cert_file and key_file together, or neither")
    certificate = problems.file((name, "cert_file"), table.cert_file) if table.cert_file else None
    key = problems.file((name, "key_file"), table.key_file, secret=True) if table.key_file else None
    return certificate, key


def _check_exposure(problems: Problems, name: str, host: str, *, is_tls: bool, insecure: bool) -> None:
    if not is_tls and not is_loopback(host.strip("[]")) and not insecure:
        message = "MLLP is readable on the network, accepted: TLS files, this machine, or insecure = true"
        problems.error((name, "address"), message)
