internal import RoostWire

/// Which writes are under way, and what is on the disk for sure.
///
/// Two ledgers are equal that differ only by how many writes came before: tickets are names.
struct Ledger: Sendable {
  /// The entries up to here are on the disk, and are the ones in memory.
  private(set) var durableIndex: LogIndex
  private var newest: UInt64 = 0
  /// In the order of their tickets; few.
  private var underWay: [UnderWay] = []

  private struct UnderWay: Hashable, Sendable {
    let ticket: UInt64
    /// Once it is on the disk, so is the log up to here.
    var lastIndex: LogIndex
    var storesHardState = false
  }

  init(durableIndex: LogIndex) { self.durableIndex = durableIndex }

  /// The term and vote in memory are on the disk.
  var isHardStateDurable: Bool { !underWay.contains { $0.storesHardState } }

  var newestTicket: WriteTicket { WriteTicket(newest) }

  mutating func open() -> WriteTicket {
    newest += 1
    underWay.append(UnderWay(ticket: newest, lastIndex: underWay.last?.lastIndex ?? durableIndex))
    return newestTicket
  }

  mutating func didStage(through index: LogIndex) {
    underWay[underWay.count - 1].lastIndex = index
  }

  mutating func didStageHardState() {
    underWay[underWay.count - 1].storesHardState = true
  }

  /// What was cut off is not on the disk, whichever earlier write completes: the same index may be
  /// filled again, even by an equal entry.
  mutating func didTruncate(from index: LogIndex) {
    durableIndex = min(durableIndex, index.previous)
    for position in underWay.indices {
      underWay[position].lastIndex = min(underWay[position].lastIndex, index.previous)
    }
  }

  /// The log begins anew behind `index`, once the newest write is on the disk.
  mutating func didRestart(behind index: LogIndex) {
    didTruncate(from: LogIndex(1))
    didStage(through: index)
  }

  mutating func complete(through ticket: WriteTicket) {
    precondition(ticket.rawValue <= newest, "only what was asked for can be on the disk")
    while let first = underWay.first, first.ticket <= ticket.rawValue {
      durableIndex = first.lastIndex
      underWay.removeFirst()
    }
  }
}

extension Ledger: Hashable {
  static func == (left: Ledger, right: Ledger) -> Bool {
    guard left.durableIndex == right.durableIndex,
      left.underWay.count == right.underWay.count
    else { return false }
    return zip(left.underWay, right.underWay).allSatisfy { one, other in
      one.lastIndex == other.lastIndex && one.storesHardState == other.storesHardState
        && left.newest - one.ticket == right.newest - other.ticket
    }
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(durableIndex)
    for write in underWay {
      hasher.combine(newest - write.ticket)
      hasher.combine(write.lastIndex)
      hasher.combine(write.storesHardState)
    }
  }
}
