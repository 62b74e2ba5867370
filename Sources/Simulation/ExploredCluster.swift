/// One state of the search: the cluster, by the numbers of its nodes and messages.
struct ExploredCluster {
  /// The number that the state got when it was first seen.
  var state: UInt32 = 0
  var history: UInt32 = 0
  var nodes: [UInt32] = []
  /// The messages under way, none twice.
  var packets: [UInt32] = []

  func write(to record: inout [UInt32]) {
    record.removeAll(keepingCapacity: true)
    record.append(state)
    record.append(history)
    record.append(contentsOf: nodes)
    record.append(contentsOf: packets)
  }

  mutating func read(_ record: [UInt32], nodeCount: Int) {
    state = record[0]
    history = record[1]
    nodes.removeAll(keepingCapacity: true)
    nodes.append(contentsOf: record[2..<(2 + nodeCount)])
    packets.removeAll(keepingCapacity: true)
    packets.append(contentsOf: record[(2 + nodeCount)...])
  }

  mutating func copy(_ other: ExploredCluster) {
    state = other.state
    history = other.history
    nodes.removeAll(keepingCapacity: true)
    nodes.append(contentsOf: other.nodes)
    packets.removeAll(keepingCapacity: true)
    packets.append(contentsOf: other.packets)
  }
}

/// One thing that can happen in a state.
struct ExploredEvent {
  let slot: Int
  let transition: UInt32
  /// The place of the delivered message among those under way, if it is one that arrives.
  var delivered: Int?
  /// The message may arrive again.
  var isKept = false
  var price = ExploredHistory.Price.nothing
  let action: ExploredAction
}

/// Names an event within one search, in 32 bits.
struct ExploredAction {
  let rawValue: UInt32

  private static let kindShift: UInt32 = 30

  enum Kind {
    case move(Int)
    case delivery(UInt32)
    case duplicate(UInt32)
  }

  init(rawValue: UInt32) { self.rawValue = rawValue }

  init(_ kind: Kind) {
    rawValue =
      switch kind {
      case .move(let place): UInt32(place)
      case .delivery(let packet): packet | 1 << Self.kindShift
      case .duplicate(let packet): packet | 2 << Self.kindShift
      }
  }

  var kind: Kind {
    let detail = rawValue & (1 << Self.kindShift - 1)
    switch rawValue >> Self.kindShift {
    case 0: return .move(Int(detail))
    case 1: return .delivery(detail)
    default: return .duplicate(detail)
    }
  }
}
