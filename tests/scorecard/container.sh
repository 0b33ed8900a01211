#!/bin/bash
# container.sh FOLDER ROOT CAPGATE: builds the image from FOLDER/dist and FOLDER/base.tar, then has it run.
# Run in mount and cgroup namespaces of its own, as root, with the machine's network for the distribution's archive.
set -euo pipefail
cd "$1"
mount --make-rprivate /
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup # the runtime takes no mixture of both hierarchies
mkdir -p /run/containers
mount -t tmpfs tmpfs /run/containers # its path has a limit
mknod -m 666 /run/containers/null c 1 3 # the runtime gives it to the container's user: not the machine's own
mount --bind /run/containers/null /dev/null
export STORE="--storage-driver=vfs --root $PWD/store --runroot /run/containers"
podman $STORE import base.tar base
buildah $STORE bud --isolation=chroot --network=host --format=docker --build-arg BASE=localhost/base \
	--file "$2/release/Containerfile" --tag capgate .
exec unshare --net "$2/tests/scorecard/container_run.sh" "$3"
