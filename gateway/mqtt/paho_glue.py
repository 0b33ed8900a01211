"""Converts the gateway's types to the MQTT library's, and the library's errors to the gateway's."""

import logging
import ssl

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.mqtt.types import (
    BAD_CREDENTIALS,
    NOT_AUTHORIZED,
    BadCredentials,
    BadTls,
    ConnectRefused,
    MqttDown,
    MqttSettings,
    OutgoingMessage,
    Unreachable,
)

OUR_RECEIVE_MAXIMUM = 64  # inbound QoS 1 messages that the broker may send before an acknowledgement
LARGEST_PACKET = 1 << 20  # bytes that the gateway accepts; an inbound message is a few kilobytes


def connect_properties(settings: MqttSettings) -> Properties:
    """The properties of CONNECT for an MQTT 5 broker."""
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = settings.session_expiry_s
    properties.ReceiveMaximum = OUR_RECEIVE_MAXIMUM
    properties.MaximumPacketSize = LARGEST_PACKET
    return properties


def last_will(message: OutgoingMessage, delay_s: int, mqtt5: bool) -> aiomqtt.Will:
    """`message` as the will. MQTT 3.1.1 has no delay."""
    properties = None
    if mqtt5:
        properties = _properties(PacketTypes.WILLMESSAGE, message)
        properties.WillDelayInterval = delay_s
    return aiomqtt.Will(message.topic, message.payload, message.qos, message.retain, properties)


def publish_properties(message: OutgoingMessage) -> Properties:
    """The MQTT 5 properties of `message`."""
    return _properties(PacketTypes.PUBLISH, message)


def subscribe_options(with_retained: bool, qos: int) -> SubscribeOptions:
    """Subscribe options, with or without retained messages (MQTT 5)."""
    if with_retained:
        return SubscribeOptions(qos=qos, retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE)
    return SubscribeOptions(qos=qos, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)


def refusal(reason_code: ReasonCode) -> ConnectRefused:
    """The error for a failed CONNACK; the library converts 3.1.1 codes to MQTT 5 ones."""
    refused = BadCredentials if reason_code.value in (BAD_CREDENTIALS, NOT_AUTHORIZED) else ConnectRefused
    return refused(str(reason_code), reason_code.value)


def translated(error: BaseException, timeout_s: float) -> MqttDown | None:
    """The error of a failed connect, translated; None if neither the network nor TLS is the cause."""
    match error:
        case TimeoutError():
            return Unreachable(f"no answer within {timeout_s:g} s")
        case ssl.SSLError():
            return BadTls(str(error))
        case OSError():
            return Unreachable(str(error))
        case _:
            return None


class LastLoggedError(logging.Handler):
    """Keeps the library's last logged error, the only place where it gives the reason why a connection ended."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""
        self._tls = False
        self.logger = logging.Logger("capgate.mqtt.library", logging.ERROR)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        self.text = record.getMessage()
        self._tls = isinstance(record.args, tuple) and any(isinstance(part, ssl.SSLError) for part in record.args)

    def as_error(self) -> MqttDown:
        """The error of a connection that ended before the broker answered."""
        detail = f"closed before CONNACK: {self.text}" if self.text else "closed before CONNACK"
        return BadTls(detail) if self._tls else Unreachable(detail)


def _properties(packet_type: int, message: OutgoingMessage) -> Properties:
    properties = Properties(packet_type)
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    if message.content_type:
        properties.ContentType = message.content_type
        properties.PayloadFormatIndicator = 1  # UTF-8: JSON, HL7 v2 and FHIR all are
    return properties
