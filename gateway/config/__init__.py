"""The site's configuration: gateway.toml becomes a GatewayConfig, or every error with its line."""
