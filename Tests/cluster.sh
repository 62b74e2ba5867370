#!/usr/bin/env bash
# Drives cluster.sh as a person would, on its own name, ports and folder, and stops at the first surprise.
set -u
root=$(cd -- "${BASH_SOURCE[0]%/*}/.." && pwd)
ROOST_HOME=$(mktemp -d)
export ROOST_HOME
cd / || exit 1

cluster() { "$root/cluster.sh" "$@" --name e2e --port "$port"; }
kvctl() { "$root/.build/release/kvctl" "$@"; }

finish() {
  local code=$?
  if ((code != 0)); then cluster logs | tail -n 40; fi
  cluster clean >/dev/null 2>&1
  rm -rf -- "$ROOST_HOME"
  exit "$code"
}
trap finish EXIT

passed=0
# expect CODE WORDS COMMAND...: the command ends with CODE, and its output holds WORDS.
expect() {
  local code=$1 words=$2 output status
  shift 2
  output=$("$@" 2>&1)
  status=$?
  if ((status != code)) || [[ $output != *"$words"* ]]; then
    printf 'FAILED: %s\n  exit code %s, expected %s; expected words: %s\n%s\n' "$*" "$status" "$code" "$words" "$output"
    exit 1
  fi
  passed=$((passed + 1))
}

# Retries a command for up to 10 s: a new leader takes a moment.
soon() {
  local tenths=100
  until "$@" >/dev/null 2>&1; do
    ((tenths-- > 0)) || { printf 'FAILED: never succeeded: %s\n' "$*"; exit 1; }
    sleep 0.1
  done
  passed=$((passed + 1))
}

port=17401
expect 1 "there is no cluster" cluster status
expect 2 "unknown command" cluster bogus
expect 2 "not possible" cluster start 99
expect 0 "commands to try" cluster start 3
expect 0 "already running" cluster start
expect 1 "exists with 3 nodes" cluster start 5
eval "$(cluster env)"
expect 0 "leader" cluster status
[[ $(cluster status) == *down* ]] && { echo "FAILED: a node is down after start"; exit 1; }
expect 0 "revision 1" kvctl put greeting hello
expect 0 "hello" kvctl get greeting
expect 4 "else" kvctl txn 'if absent greeting' 'then put greeting x'
expect 0 "token 1" kvctl lock mine -- sh -c 'echo token $ROOST_TOKEN'
expect 0 "greeting" kvctl watch greeting --from 1 --limit 1
expect 0 "is killed" cluster kill leader
expect 0 "hello" kvctl get greeting
expect 0 "revision 2" kvctl put greeting again
for node in 1 2 3; do expect 0 "node $node is started" cluster restart "$node"; done
soon cluster status
expect 0 "again" kvctl get greeting
expect 0 "is paused" cluster pause leader
expect 0 "again" kvctl get greeting
for node in 1 2 3; do cluster resume "$node" >/dev/null 2>&1; done
soon cluster status
if command -v python3 >/dev/null; then
  for node in 1 2 3; do expect 0 "revision" python3 "$root/Tests/foreign-client.py" "127.0.0.1:$((port + node - 1))"; done
else
  echo "no python3: the client in another language is left out"
fi
expect 0 "is stopped" cluster stop 2
expect 0 "again" kvctl get greeting
expect 1 "is not running" cluster kill 2
expect 2 "there is no node 7" cluster kill 7
expect 0 "is started" cluster restart 2
expect 0 "leads in term" cluster logs
expect 0 "its data stays" cluster stop
expect 5 "no server answered" kvctl get greeting
expect 0 "commands to try" cluster start
expect 0 "again" kvctl get greeting
expect 0 "are gone" cluster clean
expect 1 "there is no cluster" cluster status
[ -e "$ROOST_HOME/e2e" ] && { echo "FAILED: clean left files behind"; exit 1; }
printf 'cluster.sh: %s passed, 0 failed\n' "$passed"
