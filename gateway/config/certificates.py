"""The certificates that a gateway uses, and somebody must renew."""

from pathlib import Path

from gateway.config.load import GatewayConfig


def certificates(config: GatewayConfig) -> dict[str, Path]:
    """Their files, by what each is for."""
    broker, page = config.mqtt.tls, config.page.tls
    files = {
        "broker-authority": broker and broker.ca,
        "broker-client": broker and broker.certificate,
        "page": page and page.cert,
    }
    return {name: file for name, file in files.items() if file is not None}
