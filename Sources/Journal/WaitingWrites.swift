import RoostRaft
import RoostWire

/// What was appended and is not handed to the disk yet, in order.
struct WaitingWrites {
  enum Item {
    case hardState(HardState)
    case record(Record)
    /// Everything before it belongs to this ticket, or to an earlier one.
    case ticket(UInt64)
  }

  /// What one group takes.
  struct Batch {
    var records: [Record] = []
    var byteCount = 0
    var ticket: UInt64?

    /// Adds a record, if it fits.
    mutating func add(_ record: Record, upTo limit: Int) -> Bool {
      let sum = byteCount + record.byteCount
      guard sum <= limit else { return false }
      byteCount = sum
      records.append(record)
      return true
    }
  }

  private var items: [Item] = []
  private var head = 0

  var isEmpty: Bool { head == items.count }

  /// The bytes that the next group needs at least.
  var firstByteCount: Int {
    for item in items[head...] {
      switch item {
      case .record(let record): return record.byteCount
      case .hardState, .ticket: continue
      }
    }
    return 0
  }

  mutating func add(_ item: Item) { items.append(item) }

  /// Takes items from the front: at least one, and records up to `byteLimit` bytes.
  ///
  /// `standing` and `terms` follow what was taken.
  mutating func take(
    byteLimit: Int,
    standing: inout Standing,
    terms: inout LogTerms
  ) -> Batch {
    var batch = Batch()
    loop: while head < items.count {
      switch items[head] {
      case .hardState(let hardState): standing.hardState = hardState
      case .ticket(let ticket): batch.ticket = ticket
      case .record(let record):
        guard batch.add(record, upTo: byteLimit) else { break loop }
        terms.follow(record)
      }
      head += 1
    }
    if head == items.count {
      items.removeAll(keepingCapacity: true)
      head = 0
    }
    standing.last = terms.last
    standing.settle()
    return batch
  }
}

extension LogTerms {
  mutating func follow(_ record: Record) {
    switch record {
    case .entry(let entry): append(entry.position)
    case .truncate(let index): truncate(from: index)
    case .reset(let place): reset(after: place)
    }
  }
}
