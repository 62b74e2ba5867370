import RoostPlatform

/// A system that the load can speak to.
enum System: String, CaseIterable, Sendable, CustomStringConvertible {
  case roost, skeleton, redis, etcd, zookeeper, nats, tarantool

  var description: String { rawValue }

  func makeLink(_ load: Load, number: Int, address: SocketAddress) -> Link {
    switch self {
    case .roost: RoostLink(load: load, number: number, address: address)
    case .skeleton: SkeletonLink(load: load, number: number, address: address)
    case .redis: RedisLink(load: load, number: number, address: address)
    case .etcd: EtcdLink(load: load, number: number, address: address)
    case .zookeeper: ZooKeeperLink(load: load, number: number, address: address)
    case .nats: NATSLink(load: load, number: number, address: address)
    case .tarantool: TarantoolLink(load: load, number: number, address: address)
    }
  }

  /// What it can be asked to do.
  var verbs: Set<Verb> {
    let keys: Set<Verb> = [.put, .get, .sget, .mix, .fill, .probe, .load]
    return switch self {
    case .roost: Set(Verb.allCases)
    case .skeleton: keys
    case .redis: keys.union([.lock, .watch, .lease])
    case .etcd: keys.union([.lock, .lockc, .watch, .lease, .failover])
    case .zookeeper: keys.union([.lock, .lockc, .watch, .failover])
    case .nats: keys.union([.lock, .watch, .failover])
    case .tarantool: keys.union([.lock])
    }
  }

  /// How many watches a connection may have, where one that is told twice tells nothing more.
  var watchesAConnection: Int {
    switch self {
    case .redis, .zookeeper: 1
    default: 1000
    }
  }
}
