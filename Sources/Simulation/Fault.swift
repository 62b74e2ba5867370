import RoostWire

/// One thing that goes wrong, at one moment of the storm.
package struct Fault: Equatable, Sendable {
  /// When, in nanoseconds of the world's time.
  package let time: UInt64
  package let action: FaultAction

  package init(time: UInt64, action: FaultAction) {
    self.time = time
    self.action = action
  }
}

/// What goes wrong.
///
/// Nodes are counted from 0; durations are nanoseconds.
package enum FaultAction: Equatable, Sendable {
  /// The machine loses power, and what was not synced with it, in any choice.
  case powerLoss(node: Int, down: UInt64)
  /// The process ends; what it handed to the system still reaches the disk.
  case kill(node: Int, down: UInt64)
  /// Power is lost in the middle of a turn, so many steps of its effects from now.
  case powerLossInTurn(node: Int, steps: Int, down: UInt64)
  /// The process stops and goes on as if nothing had been.
  case pause(node: Int, length: UInt64)
  /// Some nodes are parted from the others, and from the clients of the other side.
  case partition(side: [Int], length: UInt64)
  /// Whoever leads is parted from the others, alone with these nodes and with half of the clients.
  case leaderCut(with: [Int], length: UInt64)
  /// Whoever leads stops and goes on as if nothing had been.
  case leaderPause(length: UInt64)
  /// Nothing gets from one node to another; the way back is open.
  case oneWay(from: Int, to: Int, length: UInt64)
  /// Two nodes do not hear each other, and everybody else does.
  case partial(node: Int, other: Int, length: UInt64)
  /// Nothing reaches or leaves a node, and all is well again, over and over.
  case flapping(node: Int, times: Int, period: UInt64)
  /// The network loses, delays and repeats more than it usually does.
  case foulWeather(Weather, length: UInt64)
  /// Every connection of a node breaks.
  case resetConnections(node: Int)
  /// A node's clock goes forward.
  case clockJump(node: Int, by: UInt64)
  /// A node's clock runs at another rate from now on, in millionths.
  case clockDrift(node: Int, drift: Int64)
  /// Writes and syncs take so many times as long.
  case slowDisk(node: Int, factor: UInt64, length: UInt64)
  /// The next write of the log fails.
  case writeFailure(node: Int)
  /// Something beside the log fails on the disk, so many operations from now.
  case operationFailure(node: Int, after: Int)
  /// The disk has room for so many bytes more, and then for none.
  case fullDisk(node: Int, room: Int, length: UInt64)
  /// The next sync of a new snapshot says that it is done and does nothing.
  case lyingSync(node: Int)
  /// Power is lost, and what the disk holds is damaged when it comes back; the number says where and how.
  case bitRot(node: Int, draw: UInt64, down: UInt64)
  /// The disk is lost with all that is on it; an empty one takes its place.
  case diskLoss(node: Int, down: UInt64)
  /// Power is lost, and again in the middle of the next start, so many operations of the disk into it.
  case powerLossAtStart(node: Int, operations: Int, down: UInt64)
  /// What gets from one node to another takes so much longer.
  case slowLink(from: Int, to: Int, delay: UInt64, length: UInt64)
  /// Bytes that are no message reach one node from another.
  case garbage(from: Int, to: Int, draw: UInt64)
  /// Whoever leads is asked to let another lead.
  case handOver
  /// The cluster is to have these voters and these learners, and nobody else.
  case members(voters: [Int], learners: [Int])
  /// A client's process ends and another takes its place.
  case clientDeath(client: Int)
}

extension FaultAction {
  /// The name under which faults of a kind are counted.
  package var kind: String {
    switch self {
    case .powerLoss: "power loss"
    case .kill: "kill"
    case .powerLossInTurn: "power loss in a turn"
    case .pause: "pause"
    case .partition: "partition"
    case .leaderCut: "leader cut off"
    case .leaderPause: "leader paused"
    case .oneWay: "one-way partition"
    case .partial: "partial partition"
    case .flapping: "flapping"
    case .foulWeather: "foul weather"
    case .resetConnections: "connection reset"
    case .clockJump: "clock jump"
    case .clockDrift: "clock drift"
    case .slowDisk: "slow disk"
    case .writeFailure: "write failure"
    case .operationFailure: "disk operation failure"
    case .fullDisk: "full disk"
    case .lyingSync: "lying sync"
    case .bitRot: "bit rot"
    case .diskLoss: "disk loss"
    case .powerLossAtStart: "power loss at a start"
    case .slowLink: "slow link"
    case .garbage: "garbage"
    case .handOver: "hand-over"
    case .members: "membership change"
    case .clientDeath: "client death"
    }
  }
}

extension FaultAction: CustomStringConvertible {
  package var description: String {
    switch self {
    case .powerLoss(let node, let down): "node \(node + 1) loses power for \(milliseconds(down))"
    case .kill(let node, let down): "node \(node + 1) is killed for \(milliseconds(down))"
    case .powerLossInTurn(let node, let steps, let down):
      "node \(node + 1) will lose power \(steps) steps from now, for \(milliseconds(down))"
    case .pause(let node, let length): "node \(node + 1) stops for \(milliseconds(length))"
    case .partition(let side, let length):
      "nodes \(side.map { $0 + 1 }) are parted from the others for \(milliseconds(length))"
    case .oneWay(let from, let to, let length):
      "nothing gets from node \(from + 1) to node \(to + 1) for \(milliseconds(length))"
    case .partial(let node, let other, let length):
      "nodes \(node + 1) and \(other + 1) do not hear each other for \(milliseconds(length))"
    case .flapping(let node, let times, let period):
      "node \(node + 1) is cut off \(times) times for \(milliseconds(period))"
    case .foulWeather(let weather, let length):
      "the network is foul for \(milliseconds(length)): \(weather)"
    case .resetConnections(let node): "all connections of node \(node + 1) break"
    case .clockJump(let node, let by): "the clock of node \(node + 1) jumps \(milliseconds(by))"
    case .clockDrift(let node, let drift): "the clock of node \(node + 1) drifts by \(drift) ppm"
    case .slowDisk(let node, let factor, let length):
      "the disk of node \(node + 1) is \(factor) times as slow for \(milliseconds(length))"
    case .writeFailure(let node): "the next write of node \(node + 1) fails"
    case .clientDeath(let client): "client \(client + 1) dies and another takes its place"
    default: restOfDescription
    }
  }
}

extension FaultAction {
  fileprivate var restOfDescription: String {
    switch self {
    case .operationFailure(let node, let after):
      "on the disk of node \(node + 1) an operation fails, \(after) from now"
    case .fullDisk(let node, let room, let length):
      "the disk of node \(node + 1) has \(room) bytes left for \(milliseconds(length))"
    case .lyingSync(let node): "the next sync of a snapshot on node \(node + 1) does nothing"
    case .bitRot(let node, _, let down):
      "node \(node + 1) loses power for \(milliseconds(down)), and its disk rots"
    case .diskLoss(let node, let down):
      "node \(node + 1) loses its disk, and has an empty one after \(milliseconds(down))"
    case .powerLossAtStart(let node, let operations, let down):
      "node \(node + 1) loses power for \(milliseconds(down)), and again \(operations) operations into its start"
    case .slowLink(let from, let to, let delay, let length):
      "from node \(from + 1) to node \(to + 1) everything takes \(milliseconds(delay)) longer"
        + " for \(milliseconds(length))"
    case .garbage(let from, let to, _):
      "garbage reaches node \(to + 1) from node \(from + 1)"
    case .leaderCut(let companions, let length):
      "whoever leads is parted from all but \(companions.map { $0 + 1 }) for \(milliseconds(length))"
    case .leaderPause(let length): "whoever leads stops for \(milliseconds(length))"
    case .handOver: "the leader is asked to hand over"
    case .members(let voters, let learners):
      "nodes \(voters.map { $0 + 1 }) are to vote, \(learners.map { $0 + 1 }) to learn"
    default: kind
    }
  }
}

/// A length of time for people.
func milliseconds(_ nanoseconds: UInt64) -> String { "\(nanoseconds / 1_000_000) ms" }

/// How the network treats what is sent.
package struct Weather: Equatable, Sendable, CustomStringConvertible {
  /// How long a packet takes, in nanoseconds.
  package var delay: ClosedRange<UInt64> = 100_000...1_000_000
  /// How many of a thousand packets are lost.
  package var lossPermille: UInt64 = 0
  package var duplicationPermille: UInt64 = 0
  /// How many of a thousand packets take up to ``slowDelay``, and are overtaken by others.
  package var slowPermille: UInt64 = 0
  package var slowDelay: UInt64 = 1_000_000_000
  /// How many of a thousand chunks arrive with a bit turned over.
  package var corruptionPermille: UInt64 = 0
  /// Whether packets overtake each other by the difference of their delays alone.
  package var reorders = false

  package init() {}

  package var description: String {
    """
    delay \(delay.lowerBound / 1000)-\(delay.upperBound / 1000) us, \
    of 1000 \(lossPermille) lost, \(duplicationPermille) repeated, \(slowPermille) late, \
    \(corruptionPermille) spoilt
    """
  }
}
