#!/usr/bin/env bash
# Starts, watches, breaks and heals a Roost cluster on this machine: only processes that it started, only on loopback.
# Needs bash and, for the first start, Swift. All state is in one folder, .roost/NAME beside this script.
set -u

here=$(cd -- "${BASH_SOURCE[0]%/*}" 2>/dev/null && pwd) || here=$PWD
program=./cluster.sh

usage() {
  cat <<TXT
usage: $program COMMAND [ARGUMENT] [--name NAME] [--port FIRST] [--debug]

  start [N]          build if needed, start N nodes (default 3), wait until all serve, say what to type
  status             every node: role, term, log; exit code 0 only if a leader serves
  stop [N]           stop all nodes, or node N, cleanly
  kill N|leader      end a node with kill -9, as a crash would
  restart N          start a stopped or killed node again (a running one is stopped first)
  pause N|leader     freeze a node (SIGSTOP), as a long pause of its machine would
  resume N           let a frozen node go on
  logs [N] [-f]      show the logs, of all nodes or of one; -f follows
  env                print the line that points kvctl at this cluster
  clean              stop the cluster and delete its data

  --name NAME        another cluster beside the first (default: main)
  --port FIRST       port of node 1; node N has FIRST+N-1 (default: 7401, or the next free block)
  --debug            use the debug build
TXT
}

die() {
  printf 'error: %s\n' "$1" >&2
  [ $# -gt 1 ] && printf 'hint: %s\n' "$2" >&2
  exit "${3:-1}"
}

# --- what is remembered between calls ------------------------------------------------------------------------

load() {
  [ -f "$state/cluster" ] || return 1
  # Three words that this script wrote: size, first port, cluster id.
  read -r size first cluster <"$state/cluster"
}

need_cluster() {
  load || die "there is no cluster '$name'" "$program start"
}

peers() {
  local list='' n
  for ((n = 1; n <= size; n++)); do list+="${list:+,}$n=127.0.0.1:$((first + n - 1))"; done
  printf '%s' "$list"
}

endpoints() {
  local list='' n
  for ((n = 1; n <= size; n++)); do list+="${list:+,}127.0.0.1:$((first + n - 1))"; done
  printf '%s' "$list"
}

kvctl() { "$bin/kvctl" --endpoints "$(endpoints)" "$@"; }

# --- processes -----------------------------------------------------------------------------------------------

# The start time of process $1 in clock ticks since boot: with the number it names one process for ever.
started_at() {
  local line
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  line=${line##*) }
  set -- $line
  printf '%s' "${20}"
}

# Answers the process of node $1, if it is the one that this script started and it is alive.
pid_of() {
  local pid start
  [ -f "$state/n$1/pid" ] || return 1
  read -r pid start <"$state/n$1/pid" || return 1
  [ "$(started_at "$pid")" = "$start" ] || return 1
  printf '%s' "$pid"
}

is_paused() {
  local line
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  line=${line##*) }
  [ "${line:0:1}" = T ]
}

launch() {
  local n=$1 pid found=()
  mkdir -p "$state/n$n" || die "can't create $state/n$n"
  # Only the very first start makes a log: a node that lost its own must not start over under its number.
  [ -e "$state/n$n/founded" ] || found=(--found)
  : >"$state/n$n/founded"
  (
    # The node outlives this script and its terminal.
    trap '' HUP INT
    exec "$bin/kvd" --id "$n" --peers "$(peers)" --cluster "$cluster" --data "$state/n$n/data" "${found[@]}" \
      >>"$state/n$n/log" 2>&1 </dev/null
  ) &
  pid=$!
  printf '%s %s\n' "$pid" "$(started_at "$pid")" >"$state/n$n/pid"
  disown "$pid" 2>/dev/null
}

# Waits up to $2 tenths of a second for process $1 to end.
wait_end() {
  local tenths=$2
  while [ -d "/proc/$1" ] && ! is_zombie "$1"; do
    ((tenths-- > 0)) || return 1
    sleep 0.1
  done
}

is_zombie() {
  local line
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
  line=${line##*) }
  [ "${line:0:1}" = Z ]
}

stop_node() {
  local n=$1 pid
  pid=$(pid_of "$n") || return 0
  kill -CONT "$pid" 2>/dev/null
  kill -TERM "$pid" 2>/dev/null
  if ! wait_end "$pid" 100; then
    printf 'node %s did not stop in 10 s and is killed\n' "$n"
    kill -KILL "$pid" 2>/dev/null
    wait_end "$pid" 50
  fi
  rm -f "$state/n$n/pid"
}

check_node() {
  case $1 in
    '' | *[!0-9]*) die "'$1' is not a node" "nodes are 1 to $size, or 'leader'" 2 ;;
  esac
  ((10#$1 >= 1 && 10#$1 <= size)) || die "there is no node $1" "nodes are 1 to $size" 2
}

# Answers the number that $1 names: itself, or the present leader's.
resolve() {
  local id address role rest
  if [ "$1" != leader ]; then
    check_node "$1"
    printf '%s' "$1"
    return
  fi
  while read -r id address role rest; do
    if [ "$role" = leader ]; then
      printf '%s' "$id"
      return
    fi
  done < <(kvctl status 2>/dev/null)
  die "no node leads at the moment" "$program status"
}

# --- commands ------------------------------------------------------------------------------------------------

build() {
  command -v swift >/dev/null || die "swift is not on the PATH" "install Swift 6.3 or newer from swift.org"
  local flags=(--package-path "$here" --static-swift-stdlib)
  [ "$mode" = release ] && flags+=(-c release)
  if [ ! -x "$bin/kvd" ]; then
    printf 'building kvd and kvctl (%s); the first time takes some minutes\n' "$mode"
  fi
  local line started=$SECONDS product
  for product in kvd kvctl; do
    # One line that is rewritten on a terminal; the log of a build that fails is shown whole.
    if [ -t 1 ]; then
      swift build "${flags[@]}" --product $product 2>&1 | while IFS= read -r line; do
        printf '\r\033[K  %.70s' "$line"
        printf '%s\n' "$line" >&3
      done 3>"$state/build.log"
    else
      swift build "${flags[@]}" --product $product >"$state/build.log" 2>&1
    fi
    if [ "${PIPESTATUS[0]}" -ne 0 ]; then
      [ -t 1 ] && printf '\r\033[K'
      printf '%s\n' "$(<"$state/build.log")" >&2
      die "the build failed; what the compiler said stands above"
    fi
  done
  [ -t 1 ] && printf '\r\033[K'
  ((SECONDS - started > 5)) && printf 'built in %s s\n' "$((SECONDS - started))"
  return 0
}

port_is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

choose_ports() {
  local base=$1 n
  while :; do
    for ((n = 0; n < size; n++)); do port_is_taken $((base + n)) && break; done
    if ((n == size)); then
      first=$base
      return
    fi
    [ -n "$port" ] && die "port $((base + n)) is taken" "choose others with --port"
    base=$((base + 10))
    ((base < 7600)) || die "found no free ports from 7401 to 7600" "choose some with --port"
  done
}

start() {
  local asked=${1:-} n pid running=0
  if ! load; then
    size=${asked:-3}
    case $size in *[!0-9]* | '') die "'$size' is not a number of nodes" "$program start 3" 2 ;; esac
    ((size >= 1 && size <= 9)) || die "$size nodes are not possible" "choose 1 to 9; 3 or 5 are usual" 2
  fi
  mkdir -p "$state" || die "can't create $state"
  build
  if load; then
    if [ -n "$asked" ] && [ "$asked" != "$size" ]; then
      die "cluster '$name' exists with $size nodes" "$program clean deletes it and its data"
    fi
    for ((n = 1; n <= size; n++)); do pid_of "$n" >/dev/null && running=$((running + 1)); done
    ((running == size)) && printf 'cluster %s is already running\n' "'$name'"
  else
    choose_ports "${port:-7401}"
    cluster=$(printf '%04x%04x%04x%04x' $((RANDOM * 2 + 1)) $RANDOM $RANDOM $((EPOCHSECONDS % 65536)))
    printf '%s %s %s\n' "$size" "$first" "$cluster" >"$state/cluster"
  fi
  for ((n = 1; n <= size; n++)); do
    if pid=$(pid_of "$n"); then
      is_paused "$pid" && printf 'node %s is paused: %s resume %s\n' "$n" "$program" "$n"
    else
      launch "$n"
      running=-1
    fi
  done
  wait_until_ready
  kvctl status
  hints
}

hints() {
  local kvctl
  kvctl=${bin#"$PWD"/}/kvctl$(option)
  cat <<TXT

commands to try:
  $kvctl put greeting hello
  $kvctl get greeting
  $kvctl watch greeting                             (in another terminal)
  $kvctl txn 'if exists greeting' 'then put greeting again'
  $kvctl lock mine -- sh -c 'echo holding it with token \$ROOST_TOKEN'
  $program kill leader$([ "$name" = main ] || printf ' --name %s' "$name"); $kvctl get greeting
TXT
}

# What kvctl must be told to find this cluster: nothing, where its own default does.
option() {
  ((first == 7401 && size == 3)) || printf ' --endpoints %s' "$(endpoints)"
}

# Waits until a leader serves and every node that runs answers.
wait_until_ready() {
  local tenths=150 n
  while ! is_ready; do
    for ((n = 1; n <= size; n++)); do
      if ! pid_of "$n" >/dev/null; then
        printf 'node %s ended; the last lines of its log:\n' "$n" >&2
        show_tail "$n" 5 >&2
        ((tenths -= 20))
        break
      fi
    done
    ((tenths -= 2, tenths > 0)) || die "the cluster is not ready after 15 s" "$program status; $program logs"
    sleep 0.1
  done
}

is_ready() {
  local output id address role rest pid n=0
  output=$(kvctl --timeout 1 status 2>/dev/null) || return 1
  while IFS=$'\t' read -r id address role rest; do
    n=$((n + 1))
    if [ "$role" = down ] && pid=$(pid_of "$n") && ! is_paused "$pid"; then return 1; fi
  done <<<"$output"
}

show_tail() {
  local lines count
  [ -f "$state/n$1/log" ] || return 0
  mapfile -t lines <"$state/n$1/log"
  count=${#lines[@]}
  local from=$((count > $2 ? count - $2 : 0))
  ((count > 0)) && printf '  %s\n' "${lines[@]:from}"
  return 0
}

status() {
  need_cluster
  local n pid code
  kvctl status
  code=$?
  for ((n = 1; n <= size; n++)); do
    if ! pid=$(pid_of "$n"); then
      printf 'node %s is not running: %s restart %s\n' "$n" "$program" "$n" >&2
    elif is_paused "$pid"; then
      printf 'node %s is paused: %s resume %s\n' "$n" "$program" "$n" >&2
    fi
  done
  return $code
}

stop() {
  need_cluster
  local n
  if [ -n "${1:-}" ]; then
    check_node "$1"
    stop_node "$1"
    printf 'node %s is stopped\n' "$1"
    return
  fi
  for ((n = 1; n <= size; n++)); do stop_node "$n"; done
  printf 'cluster %s is stopped; its data stays\n' "'$name'"
}

signal_node() {
  need_cluster
  [ -n "${2:-}" ] || die "$3 needs a node" "$program $3 N, or $program $3 leader" 2
  local n pid
  n=$(resolve "$2") || exit
  pid=$(pid_of "$n") || die "node $n is not running" "$program restart $n"
  kill "-$1" "$pid" || die "can't signal process $pid"
  if [ "$1" = KILL ]; then
    wait_end "$pid" 50
    rm -f "$state/n$n/pid"
  fi
  printf 'node %s is %s\n' "$n" "$4"
}

restart() {
  need_cluster
  [ -n "${1:-}" ] || die "restart needs a node" "$program restart N" 2
  check_node "$1"
  stop_node "$1"
  launch "$1"
  sleep 0.2
  if ! pid_of "$1" >/dev/null; then
    show_tail "$1" 5 >&2
    die "node $1 ended at once; the last lines of its log stand above"
  fi
  printf 'node %s is started\n' "$1"
}

logs() {
  need_cluster
  local n only='' follow='' argument line
  for argument in "$@"; do
    if [ "$argument" = -f ]; then follow=1; else check_node "$argument"; only=$argument; fi
  done
  local files=()
  for ((n = 1; n <= size; n++)); do
    [ -n "$only" ] && [ "$n" != "$only" ] && continue
    [ -f "$state/n$n/log" ] && files+=("$n")
  done
  if [ -z "$follow" ]; then
    for n in "${files[@]}"; do
      while IFS= read -r line || [ -n "$line" ]; do printf 'n%s %s\n' "$n" "$line"; done <"$state/n$n/log"
    done
    return
  fi
  # One reader a log: it goes on reading where the end was.
  trap 'kill $(jobs -p) 2>/dev/null; exit 0' INT TERM
  for n in "${files[@]}"; do
    (
      exec <"$state/n$n/log"
      while :; do
        while IFS= read -r line; do printf 'n%s %s\n' "$n" "$line"; done
        sleep 0.2
      done
    ) &
  done
  wait
}

clean() {
  if load; then
    local n
    for ((n = 1; n <= size; n++)); do stop_node "$n"; done
  fi
  # Only what this script made.
  [ -d "$state" ] && rm -rf -- "$state"
  printf 'cluster %s and its data are gone\n' "'$name'"
}

# --- arguments -----------------------------------------------------------------------------------------------

name=main port='' mode=release
words=()
while (($# > 0)); do
  case $1 in
    --name | --port)
      [ $# -gt 1 ] || die "$1 needs a value" "$program help" 2
      if [ "$1" = --name ]; then name=$2; else port=$2; fi
      shift
      ;;
    --name=*) name=${1#*=} ;;
    --port=*) port=${1#*=} ;;
    --debug) mode=debug ;;
    -h | --help) words=(help) ;;
    -f) words+=(-f) ;;
    -*) die "unknown option $1" "$program help" 2 ;;
    *) words+=("$1") ;;
  esac
  shift
done
case $name in '' | *[!a-zA-Z0-9_-]*) die "'$name' is not a name" "letters, digits, - and _" 2 ;; esac
case $port in *[!0-9]*) die "'$port' is not a port" "a number, such as --port 8001" 2 ;; esac
[ -z "$port" ] || ((10#$port >= 1024 && 10#$port <= 65500)) || die "port $port is not possible" "1024 to 65500" 2

state=${ROOST_HOME:-$here/.roost}/$name
bin=$here/.build/$mode

case ${words[0]:-help} in
  start) start "${words[1]:-}" ;;
  status) status ;;
  stop) stop "${words[1]:-}" ;;
  kill) signal_node KILL "${words[1]:-}" kill killed ;;
  pause) signal_node STOP "${words[1]:-}" pause "paused: $program resume ${words[1]:-}" ;;
  resume) signal_node CONT "${words[1]:-}" resume "running again" ;;
  restart) restart "${words[1]:-}" ;;
  logs) logs "${words[@]:1}" ;;
  env)
    need_cluster
    printf 'export KVCTL_ENDPOINTS=%s\n' "$(endpoints)"
    ;;
  clean) clean ;;
  help) usage ;;
  *)
    printf 'error: unknown command %s\n\n' "'${words[0]}'" >&2
    usage >&2
    exit 2
    ;;
esac
