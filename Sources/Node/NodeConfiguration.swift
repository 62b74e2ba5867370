internal import RoostPlatform

/// What a node must be told to run.
public struct NodeConfiguration: Sendable {
  /// This member's number, from 1; no two members share one.
  public var id: UInt64
  /// The cluster's number, the same for all members and no other cluster; not 0.
  public var cluster: UInt64
  /// Every founding member with its address, this one included; the same for all of them.
  public var peers: [UInt64: String]
  /// Where to listen; nil: at the own address in ``peers``.
  public var listen: String?
  /// The folder that holds the node's log and votes: made if it is missing, never shared by two nodes.
  public var dataDirectory: String
  /// Whether an empty data directory is the first start of a new cluster.
  ///
  /// Without this it is refused: a member that lost its
  /// directory may have forgotten a vote, and must be replaced instead of starting over under its old number.
  public var mayFound = false
  /// Whether an empty data directory belongs to a new member of a running cluster.
  ///
  /// The node then listens and waits until the cluster's members are told of it. ``peers`` may be empty; ``listen`` is needed.
  public var mayJoin = false
  /// Permission to listen where other machines can reach it: the protocol is not encrypted and asks for no
  /// password, so that is for networks that are trusted alone.
  public var allowsRemote = false
  /// The rhythm of the cluster; the same for all members.
  public var timing = NodeTiming()
  /// How much a node takes on at once.
  public var limits = NodeLimits()
  /// Whether the log may be written through io_uring where the kernel and the file system permit it; else a thread
  /// writes and syncs.
  public var mayUseRing = true
  /// Where lines for the operator go; nil: nowhere.
  public var log: (@Sendable (LogLevel, String) -> Void)?
  /// Called when the disk has failed under the log.
  ///
  /// The node can't go on, since nobody knows what is stored; the process must end, and
  /// a restart reads what is really there. The default ends it with exit code 74.
  public var onFatalError: @Sendable (String) -> Never = NodeConfiguration.endProcess

  /// A configuration with defaults for everything that has one.
  public init(id: UInt64, cluster: UInt64, peers: [UInt64: String], dataDirectory: String) {
    self.id = id
    self.cluster = cluster
    self.peers = peers
    self.dataDirectory = dataDirectory
  }

  /// Reads the written form of ``peers``: `1=127.0.0.1:7401,2=127.0.0.1:7402`.
  public static func parsePeers(_ text: String) throws(NodeError) -> [UInt64: String] {
    var peers: [UInt64: String] = [:]
    for piece in text.split(separator: ",") {
      let halves = piece.split(separator: "=", maxSplits: 1)
      guard halves.count == 2, let id = UInt64(halves[0]), id > 0 else {
        throw .configuration("'\(piece)' is not a peer; write 1=127.0.0.1:7401,2=127.0.0.1:7402")
      }
      guard peers.updateValue(String(halves[1]), forKey: id) == nil else {
        throw .configuration("member \(id) is named twice")
      }
    }
    return peers
  }
}

/// The rhythm of a cluster.
public struct NodeTiming: Sendable, Equatable {
  /// How often a leader says that it is there.
  public var heartbeat: Duration = .milliseconds(50)
  /// How long a follower waits for a leader before it stands for election, at least; at most twice that.
  public var election: Duration = .milliseconds(300)

  /// The defaults, for a local network.
  public init() {}
}

/// How much a node takes on at once; what is above a limit is refused, never queued without bound.
public struct NodeLimits: Sendable, Equatable {
  /// Connections of clients and members together.
  public var connections = 20_000
  /// How long an accepted connection may take to say hello.
  public var helloDeadline: Duration = .seconds(5)
  /// How long a frame may take from its first byte to its last.
  public var frameDeadline: Duration = .seconds(30)
  /// Bytes that wait for one slow reader: above it the node stops reading from it, at four times that it hangs up.
  public var outboxBytes = 4 << 20

  /// How often a watch that wants notes gets one while nothing happens.
  public var progressInterval: Duration = .seconds(5)
  /// Watches of all clients of this node.
  public var watches = 100_000
  /// Watches on one connection.
  public var watchesOfConnection = 10_000

  /// Length of the log's files, in whole megabytes from 16 to 4096; those that are there keep theirs.
  public var segmentBytes = 64 << 20
  /// Bytes of the log that are applied before the next snapshot is written, at least; a large state waits for more.
  public var snapshotBytes = 256 << 20

  /// How long a busy node looks again for work before it sleeps; zero: not at all.
  ///
  /// It spares the time that waking takes, some 20 microseconds for each step of a write, where work comes faster than that.
  public var spin: Duration = .microseconds(100)

  /// The defaults.
  public init() {}
}

/// How much an operator should care.
public enum LogLevel: String, Sendable {
  case info, warning, error
}

/// Why a node does not run.
@nonexhaustive
public enum NodeError: Error, Sendable, Equatable {
  /// The command line of a program that runs a node makes no sense.
  case usage(String)
  /// What it was told cannot be followed; the sentence says what and why.
  case configuration(String)
  /// The address could not be had.
  case listen(String)
  /// The data directory cannot be used, or the disk failed.
  case storage(String)
  /// The system refused something else.
  case system(String)
}

extension NodeError: CustomStringConvertible {
  /// The sentence for the operator.
  public var description: String {
    switch self {
    case .usage(let text), .configuration(let text), .listen(let text), .storage(let text),
      .system(let text):
      text
    }
  }
}

extension NodeConfiguration {
  /// The addresses by member, in the order of ids, once everything that was told makes sense together.
  func checked() throws(NodeError) -> CheckedConfiguration {
    guard id > 0 else { throw .configuration("a member's id is 1 or more") }
    guard cluster > 0 else { throw .configuration("the cluster's id is not 0") }
    guard !dataDirectory.isEmpty else { throw .configuration("a node needs a data directory") }
    guard !(mayFound && mayJoin) else {
      throw .configuration("a node founds a cluster or joins one, not both")
    }
    guard peers[id] != nil || mayJoin else {
      throw .configuration(
        "this node is \(id), which is not among the peers \(peers.keys.sorted())"
      )
    }
    guard timing.heartbeat > .zero, timing.heartbeat * 3 <= timing.election else {
      throw .configuration(
        "the election timeout (\(timing.election)) must be at least three heartbeats (\(timing.heartbeat))"
      )
    }
    guard limits.segmentBytes % (1 << 20) == 0, (16 << 20...4 << 30).contains(limits.segmentBytes)
    else {
      throw .configuration("a log file is 16 to 4096 whole megabytes long")
    }
    var addresses: [(id: UInt64, address: SocketAddress)] = []
    for (id, text) in peers.sorted(by: { $0.key < $1.key }) {
      guard let address = SocketAddress(text) else { throw .notAnAddress(text) }
      guard !addresses.contains(where: { $0.address == address }) else {
        throw .configuration("two members share the address \(text)")
      }
      addresses.append((id, address))
    }
    guard let own = listen ?? peers[id] else {
      throw .configuration("a node that joins must be told where to listen")
    }
    guard let address = SocketAddress(own) else { throw .notAnAddress(own) }
    guard address.isLoopback || allowsRemote else {
      throw .configuration(
        """
        \(own) can be reached from other machines, and the protocol is neither encrypted nor \
        guarded by a password; allow it explicitly if the network is trusted
        """
      )
    }
    return CheckedConfiguration(listen: address, members: addresses)
  }
}

/// What ``NodeConfiguration`` comes down to.
struct CheckedConfiguration {
  let listen: SocketAddress
  let members: [(id: UInt64, address: SocketAddress)]
}

extension NodeError {
  static func notAnAddress(_ text: String) -> NodeError {
    .configuration("'\(text)' is not an address; write 127.0.0.1:7401, [::1]:7401 or unix:/path")
  }
}
