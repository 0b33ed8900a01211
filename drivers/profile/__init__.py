"""Profiles (kinds of unit): loads a TOML file into a checked, frozen DeviceProfile."""
