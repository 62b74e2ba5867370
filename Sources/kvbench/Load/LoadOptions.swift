import RoostPlatform

/// What a load does.
enum Verb: String, CaseIterable, Sendable {
  case put, get, sget, mix, lock, lockc, watch, lease, failover, load, probe, fill

  /// What one request of it does.
  var work: Work {
    switch self {
    case .put, .mix, .watch, .failover, .load, .probe, .fill: .put
    case .get: .get
    case .sget: .staleGet
    case .lock: .lock
    case .lockc: .contendedLock
    case .lease: .renewLease
    }
  }

  /// Whether it reads keys that have to be there.
  var needsKeys: Bool { [.put, .get, .sget, .mix].contains(self) }
}

/// The words behind `kvbench VERB`.
struct LoadOptions: Sendable {
  let verb: Verb
  var system = System.roost
  /// Where clients go; none: a cluster of our own is started.
  var endpoints: [SocketAddress] = []
  /// The servers' processes, whose processor time and memory are read.
  var processes: [Int32] = []
  /// How many requests are under way at most.
  var clients = 1
  var connections = 1
  var keyBytes = 16
  var valueBytes = 256
  /// How many keys there are.
  var keys: UInt64 = 100_000
  var seconds = 5.0
  var warmUp = 1.0
  /// Requests a second, whether or not earlier ones are answered; nil: as soon as they are.
  var rate: Double?
  var readPercent = 90
  var watchers = 1000
  var leases = 10_000
  var kills = 10
  /// Copies beside the first that have to confirm a write, where the client has to ask for it.
  var replicas = 0
  /// Connections to all nodes instead of the leader.
  var spreads = false
  /// Write every key once before.
  var fills = true
  var isQuiet = false
  var tag = ""
  var dataDirectory: String?
  var nodes = 3
  var serverOptions: [String] = []

  init(_ verb: Verb) {
    self.verb = verb
    switch verb {
    case .lockc: clients = 50
    case .lease: (clients, connections) = (64, 64)
    case .load: (clients, keys) = (1000, 1_000_000)
    case .fill: clients = 500
    default: break
    }
  }

  static let usage = """
    usage: kvbench VERB [OPTIONS]       a load on a cluster; one JSON line on standard output

    verbs:  put                 writes of random keys
            get, sget, mix      linearizable reads; reads of what one node has; 90 % get and 10 % put
            lock, lockc         take and give back a lock of one's own; one lock wanted by all
            watch               one writer and many watchers of its key: events a second
            lease               leases granted, then renewed
            failover            the leader is killed; until the first write that was begun afterwards succeeds
            load                a million keys: speed, memory, restart
            fill, probe         every key once; until a write succeeds

      --clients N          requests under way, each waiting for its answer (1)
      --connections N      connections that carry them (as many, at most 100)
      --outstanding N      requests under way on each connection; instead of --clients
      --rate N             N requests a second, whether or not earlier ones are answered
      --seconds S          how long it is measured (5)
      --warmup S           how long before that (1)
      --keys N             key space (100000)
      --key-bytes N, --value-bytes N       sizes (16, 256)
      --reads N            percent of reads in a mix (90)
      --watchers N, --leases N, --kills N  (1000, 10000, 10)
      --no-fill            keys are there already
      --spread             connections to all nodes instead of the leader

      --endpoints LIST     a cluster that runs: ADDRESS,ADDRESS,...; without it one is started
      --pids LIST          the servers' processes, to read their processor time and memory
      --system NAME        what it is: \(System.allCases.map(\.rawValue).joined(separator: ", ")) (roost)
      --replicas N         copies that redis has to confirm (0)
      --data DIRECTORY     where a cluster of our own keeps its data (the temporary directory)
      --nodes N            how many nodes it has (3)
      --server WORDS       more options for each kvd
      --tag TEXT           stands in the JSON line
      --quiet              no progress line
    """
}
