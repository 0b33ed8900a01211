#!/bin/bash
# boot.sh ROOT: boots the Debian in the folder ROOT with its own systemd, without a network, until it is killed.
# Needs root. Every namespace is its own, and so is each of the few device nodes: a box changes their modes.
set -e
root=$1
groups=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)/capgate-box-$$
mkdir "$groups"
echo $$ >"$groups/cgroup.procs"
exec unshare --mount --pid --fork --kill-child=SIGKILL --net --uts --ipc --cgroup bash -ec '
mount --make-rprivate /
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
mkdir dev/pts dev/shm
ln -s pts/ptmx dev/ptmx
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ip link set lo up
pivot_root . mnt
umount -l /mnt
mount --make-rshared / # credentials reach a service by propagation
exec env -i container=capgate-box PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=null
' "$root"
