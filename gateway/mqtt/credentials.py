"""Password and TLS files, read at every connect, so that they can be renewed while the gateway runs."""

import ssl

import msgspec

from gateway.mqtt.types import BAD_CREDENTIALS, BadCredentials, BadTls, MqttSettings, TlsFiles


class Credentials(msgspec.Struct, frozen=True):
    """The credentials of one connection."""

    password: str | None
    tls: ssl.SSLContext | None


def read_credentials(settings: MqttSettings) -> Credentials:
    """Reads the files; blocks. Raises BadCredentials or BadTls."""
    password = None
    if settings.password_file is not None:
        try:
            password = settings.password_file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise BadCredentials(f"password file: {error}", BAD_CREDENTIALS) from error
    return Credentials(password, None if settings.tls is None else _tls_context(settings.tls))


def _tls_context(files: TlsFiles) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(files.ca))
        if files.certificate is not None:
            context.load_cert_chain(files.certificate, files.key)
    except OSError as error:  # SSLError is one
        raise BadTls(f"TLS files: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TlsSocket
    return context


class _TlsSocket(ssl.SSLSocket):
    """A socket that closes itself when the handshake fails, which the MQTT library may not do."""

    def do_handshake(self, block: bool = False) -> None:
        """Called by the MQTT library."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise
