import RoostJournal
import RoostRaft
import RoostReplica
import RoostStateMachine
import RoostWire

/// A machine with its disk and clock, whether a node runs on it or not.
final class SimulatedNode {
  let number: Int
  let disk: SimulatedDisk
  var clock: VirtualClock
  var random: SplitMix64
  /// What the node had when it went down.
  var lastIndexAtEnd = LogIndex.zero
  var wasLeaderIn = Term.zero
  var life: NodeLife?
  var lifeCount: UInt64 = 0
  /// The machine stands still until then.
  var pausedUntil: UInt64 = 0
  /// After so many more steps of a turn the power goes.
  var fuse: (steps: Int, down: UInt64)?
  /// How long the power will be gone.
  var downUntil: UInt64 = 0
  var usualLatency: SimulatedDisk.Latency

  init(number: Int, disk: SimulatedDisk, clock: VirtualClock, random: SplitMix64) {
    self.number = number
    self.disk = disk
    self.clock = clock
    self.random = random
    usualLatency = disk.latency
  }

  var id: NodeID { NodeID(UInt64(number + 1)) }

  func isRunning(_ life: UInt64) -> Bool { self.life?.number == life }
}

/// A node from one start to its end: what a crash takes away.
final class NodeLife {
  /// Something that waits for the node's next turn.
  enum Arrival {
    /// One frame of the protocol between members.
    case packet(from: NodeID, bytes: [UInt8])
    /// A piece of what a member hands on.
    case stream(PeerLink, [UInt8])
    case bytes(ClientConnection, [UInt8])
    case closed(ClientConnection)
    case lostLink(NodeID)
  }

  let number: UInt64
  var replica: Replica
  let journal: Journal
  var effects = ReplicaEffects()
  var links: [PeerLink] = []
  var connections: [UInt64: ClientConnection] = [:]
  var nextToken: UInt64 = 16
  var inbox: [Arrival] = []
  /// Connections with replies that wait for the end of the turn.
  var dirty: [ClientConnection] = []
  var lastNow: Instant
  var nextTurn: UInt64 = .max
  /// When a full disk is asked again.
  var nextRetry: UInt64 = 0
  /// How far the judge has seen it apply.
  var judged: LogIndex
  var role = RoostRaft.Role.follower
  var term = Term.zero
  /// The newest entry that was handed to the disk, and the newest of those that this node proposed.
  var lastStaged = LogIndex.zero
  var lastOwn = LogIndex.zero
  /// Tickets of writes that are not durable, oldest first.
  var underWay: [UInt64] = []

  init(number: UInt64, replica: Replica, journal: Journal, now: Instant) {
    self.number = number
    self.replica = replica
    self.journal = journal
    lastNow = now
    judged = replica.applied
  }
}
