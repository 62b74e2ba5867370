internal import RoostRaft
internal import RoostWire

/// What nobody inside the cluster knows: what was promised to the world so far, and how much has befallen
/// the cluster of what may.
struct ExploredHistory: Hashable {
  /// The longest log that any node took to be committed.
  var committed: ExploredLogs.Number = 0
  /// The term in which each entry of it was committed.
  var commitTerms: [UInt8] = []
  /// One bit a term that had a leader.
  var reigns: UInt64 = 0
  /// What was committed when each read was asked; nil once it was answered.
  var readFloors: [UInt8?] = []

  var crashes: UInt8 = 0
  var duplicates: UInt8 = 0
  var stepDowns: UInt8 = 0
  var changes: UInt8 = 0
  var transfers: UInt8 = 0
  var snapshots: UInt8 = 0
  var amnesias: UInt8 = 0
  var damages: UInt8 = 0

  /// What an event takes from what may happen.
  enum Price: Hashable {
    case nothing, crash, duplicate, stepDown, change, transfer, snapshot, amnesia, damage
    case read(Int)
  }

  /// Counts the event; false if it may not happen any more.
  mutating func pay(_ price: Price, in model: ExplorationModel) -> Bool {
    switch price {
    case .nothing: return true
    case .crash: return Self.count(&crashes, upTo: model.crashLimit)
    case .duplicate: return Self.count(&duplicates, upTo: model.duplicateLimit)
    case .stepDown: return Self.count(&stepDowns, upTo: model.stepDownLimit)
    case .change: return Self.count(&changes, upTo: model.changeLimit)
    case .transfer: return Self.count(&transfers, upTo: model.transferLimit)
    case .snapshot: return Self.count(&snapshots, upTo: model.snapshotLimit)
    case .amnesia: return Self.count(&amnesias, upTo: model.amnesiaLimit)
    case .damage: return Self.count(&damages, upTo: model.damageLimit)
    case .read(let number):
      guard readFloors.count + 1 == number else { return false }
      readFloors.append(UInt8(commitTerms.count))
      return true
    }
  }

  private static func count(_ counter: inout UInt8, upTo limit: Int) -> Bool {
    // What has no limit is not counted, so that states that differ by the count alone are one.
    guard limit < .max else { return true }
    guard Int(counter) < limit else { return false }
    counter += 1
    return true
  }
}

extension ExploredMove {
  var price: ExploredHistory.Price {
    switch self {
    case .crash: .crash
    case .stepDown: .stepDown
    case .change: .change
    case .transfer: .transfer
    case .snapshot: .snapshot
    case .loseJournal: .amnesia
    case .damage: .damage
    case .read(let id): .read(Int(id.rawValue))
    case .sync, .timeout, .heartbeat, .propose, .askAgain, .snapshotChecked: .nothing
    }
  }
}
