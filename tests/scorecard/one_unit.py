"""A site of one simulated unit, as the tests of the installed program have it."""

UNIT = "socket://127.0.0.1:1502"

SCENARIO = """
schema = 1
name = "one-unit"
length_min = 600
[[line]]
id = "net-1"
dialect = "modbus-tcp"
tcp = "127.0.0.1:1502"
[[unit]]
id = "cap-01"
line = "net-1"
map = "reference"
unit_id = 1
serial_number = "RCU1-000001"
set_point_c = -4.0
[[patient]]
visit = "V-2001"
unit = "cap-01"
step = [{ at_min = 0.01, do = "arrive" }, { at_min = 0.02, do = "precool" }]
"""
LINE = f"""
[[line]]
id = "net-1"
url = "{UNIT}"
[[line.unit]]
id = "cap-01"
profile = "reference-cap-unit"
unit_id = 1
simulated = true
cap = [{{ cap = 1, chair = "c01" }}]
"""
CONTAINER_GATEWAY = f"""
[gateway]
site = "north"
id = "gw-01"
mode = "test"
state_dir = "/var/lib/capgate"
[mqtt]
url = "mqtt://127.0.0.1:18831"
[tracking]
policy = "default"
{LINE}
"""
