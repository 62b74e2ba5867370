import RoostJournal
import RoostRaft
import RoostReplica
import RoostStateMachine
import RoostWire

/// A machine with its disk and clock, whether a node runs on it or not.
final class SimulatedNode {
  let number: Int
  private(set) var disk: SimulatedDisk
  /// Which of its disks it has.
  private(set) var incarnation = Incarnation.zero
  var clock: VirtualClock
  var random: SplitMix64
  /// What the node had when it went down.
  var lastIndexAtEnd = LogIndex.zero
  var wasLeaderIn = Term.zero
  /// What it said of its disk to others.
  var oath = DiskOath()
  var life: NodeLife?
  var lifeCount: UInt64 = 0
  /// The machine stands still until then.
  var pausedUntil: UInt64 = 0
  /// After so many more steps of a turn the power goes.
  var fuse: (steps: Int, down: UInt64)?
  /// How long the power will be gone.
  var downUntil: UInt64 = 0
  var usualLatency: SimulatedDisk.Latency
  /// After so many operations of the disk at the next start the power goes.
  var startFuse: (operations: Int, down: UInt64)?

  init(number: Int, disk: SimulatedDisk, clock: VirtualClock, random: SplitMix64) {
    self.number = number
    self.disk = disk
    self.clock = clock
    self.random = random
    usualLatency = disk.latency
  }

  /// An empty disk takes the place of the one that was; the node comes back as somebody new.
  func replaceDisk(keepsIdentity: Bool) {
    if !keepsIdentity {
      incarnation = Incarnation(incarnation.rawValue + 1)
      oath = DiskOath()
    }
    disk = SimulatedDisk(random: random.split(), latency: usualLatency)
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
  /// For each session the connection that its news go to.
  var sessionRoutes: [SessionID: UInt64] = [:]
  var inbox: [Arrival] = []
  /// Connections with replies that wait for the end of the turn.
  var dirty: [ClientConnection] = []
  var lastNow: Instant
  var nextTurn: UInt64 = .max
  /// When a full disk is asked again.
  var nextRetry: UInt64 = 0
  /// Where the log once ended, if damage has taken a part of it.
  let promised: LogPosition
  /// A snapshot of which a part had come before the start.
  var begunBefore: SnapshotDescriptor?
  /// What was last recorded of it.
  var recorded = ""
  /// How far the judge has seen it apply.
  var judged: LogIndex
  var role = RoostRaft.Role.follower
  var term = Term.zero
  /// The term of its newest leadership that was judged.
  var ledIn = Term.zero
  /// The newest entry that was handed to the disk, and the newest of those that this node proposed.
  var lastStaged = LogIndex.zero
  var lastOwn = LogIndex.zero
  /// Tickets of writes that are not durable, oldest first.
  var underWay: [UInt64] = []

  init(
    number: UInt64,
    replica: Replica,
    journal: Journal,
    promised: LogPosition,
    now: Instant
  ) {
    self.promised = promised
    self.number = number
    self.replica = replica
    self.journal = journal
    lastNow = now
    judged = replica.applied
  }

  /// Looks at the replica where it lies: a copy would count every reference in it.
  @inline(__always)
  func look<Answer>(_ body: (inout Replica) -> Answer) -> Answer { body(&replica) }
}
