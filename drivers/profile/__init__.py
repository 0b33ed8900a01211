"""A kind of unit: a TOML file, checked, becomes a frozen DeviceProfile."""
