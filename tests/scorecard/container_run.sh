#!/bin/bash
# container_run.sh CAPGATE: runs the image that container.sh built beside a broker and a unit, without other network.
# Prints what a container says, last "all is done".
set -euo pipefail
# A container may not raise the limits of this machine's users.
run="--cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 --read-only --network=host"
run="$run -v $PWD/etc:/etc/capgate:ro -v $PWD/volume:/var/lib/capgate"
ip link set lo up
"$(PATH=$PATH:/usr/sbin command -v mosquitto)" -p 18831 &
"$1" simulate units.toml &
trap 'kill $(jobs -p)' EXIT
until (exec 3<>/dev/tcp/127.0.0.1/18831 4<>/dev/tcp/127.0.0.1/1502) 2>/dev/null; do sleep 0.2; done

podman $STORE run --detach --name gateway $run capgate
until podman $STORE exec gateway capgate health; do sleep 1; done
podman $STORE healthcheck run gateway && echo "its health check passes"
podman $STORE exec gateway id
podman $STORE exec gateway touch /opt/capgate/x && exit 1
podman $STORE stop --time 30 gateway
echo "ended with $(podman $STORE inspect gateway --format '{{.State.ExitCode}}')"
podman $STORE rm gateway
podman $STORE run --rm $run capgate ledger verify /var/lib/capgate/ledger.db
echo "all is done"
