#!/usr/bin/env bash
# Runs Roost and what is installed beside it, one after the other, with the same work on the same machine, in rounds, and
# prints medians and ratios as a Markdown table. Starts and ends its own servers alone, all on loopback.
#
#   compare.sh [--systems "roost skeleton etcd35 ..."] [--work "put:1 put:64 ..."] [--rounds 5] [--seconds 3]
#              [--data DIRECTORY] [--out FILE]
#
# Work is a verb of kvbench and how many clients: put:1 put:64 put:1000 get:64 sget:64 mix:64 lock:1 lockc:50 lease watch
# failover load. The first system is what the others are compared with. FILE keeps one JSON line for each run.
set -eu
here=$(cd -- "${BASH_SOURCE[0]%/*}" && pwd)
. "$here/systems.sh"

systems='' rounds=5 seconds=3 data=${TMPDIR:-/tmp} out=''
work='put:1 put:64 put:1000 get:64 get:1000 sget:64 lock:1 lock:64 lockc:50 lease watch'
while [ $# -gt 0 ]; do
  case $1 in
    --systems) systems=$2 ;;
    --work) work=$2 ;;
    --rounds) rounds=$2 ;;
    --seconds) seconds=$2 ;;
    --data) data=$2 ;;
    --out) out=$2 ;;
    *)
      sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"
      exit 2
      ;;
  esac
  shift 2
done
[ -x "$KVBENCH" ] || { echo "there is no $KVBENCH; build it: swift build -c release" >&2; exit 1; }
if [ -z "$systems" ]; then
  for system in $SYSTEMS; do installed "$system" && systems+="$system "; done
fi
for system in $systems; do
  installed "$system" || { echo "$system is not installed; see install.sh" >&2; exit 1; }
done
out=${out:-$data/compare-$(date +%Y%m%d-%H%M%S).jsonl}
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
FOLDER=$(mktemp -d -p "$data")
trap 'stop; rm -rf "$FOLDER"' EXIT
trap 'exit 130' INT TERM

# What kind of work a system is spared, since it has nothing like it.
can() {
  case $1:${2%%:*} in
    *:put | *:get | *:sget | *:mix | *:load) return 0 ;;
    roost:* | etcd*:*) return 0 ;;
    redis*:lock | redis*:lease | redis*:watch) return 0 ;;
    zookeeper:lock | zookeeper:lockc | zookeeper:watch | zookeeper:failover) return 0 ;;
    nats:lock | nats:watch | nats:failover | tarantool:lock) return 0 ;;
  esac
  return 1
}

load() {
  local system=$1 what=$2 clients=()
  shift 2
  case $what in
    *:*)
      clients=(--clients "${what#*:}")
      # A WAIT holds up its connection, so that each client needs its own.
      [ "$system" != redis3 ] || clients+=(--connections "${what#*:}")
      ;;
  esac
  "$KVBENCH" "${what%%:*}" --system "$KIND" --endpoints "$ENDPOINTS" --pids "$PIDS" --seconds "$seconds" \
    --tag "$system $what" --quiet "${clients[@]}" "${MORE[@]}" "$@" ||
    echo "{\"tag\":\"$system $what\",\"failed\":1}"
}

measure() {
  local system=$1 what filled='' warm=1
  rm -rf "$FOLDER"
  mkdir -p "$FOLDER"
  start "$system"
  for what in $work; do
    can "$system" "$what" || continue
    echo "$system $what" >&2
    case ${what%%:*} in
      put | get | sget | mix | lock | lockc)
        if [ -z "$filled" ]; then
          "$KVBENCH" fill --system "$KIND" --endpoints "$ENDPOINTS" --quiet "${MORE[@]}" \
            $([ "$system" != redis3 ] || echo --connections 500) >/dev/null
          filled=1
          # A virtual machine compiles while it runs: give it time before anything counts.
          [ "$system" != zookeeper ] || warm=5
        fi
        load "$system" "$what" --no-fill --warmup $warm
        warm=1
        ;;
      *) load "$system" "$what" ;;
    esac
    # The killed leader is gone, and a million keys are no start for others.
    case ${what%%:*} in failover | load) break ;; esac
  done >>"$out"
  stop
}

for ((round = 1; round <= rounds; round++)); do
  for system in $systems; do measure "$system"; done
done
echo "$out" >&2
"$KVBENCH" table "$out"
