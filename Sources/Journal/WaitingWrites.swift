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

  /// What one group takes: a range of ``items``, which stays there until ``remove(_:)``.
  struct Batch {
    var range: Range<Int>
    var recordCount = 0
    var byteCount = 0
    var ticket: UInt64?
  }

  private(set) var items: [Item] = []
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

  /// Chooses items from the front: at least one, and records up to `byteLimit` bytes.
  ///
  /// `standing` and `terms` follow what was chosen.
  func choose(
    byteLimit: Int,
    standing: inout Standing,
    terms: inout LogTerms
  ) -> Batch {
    var batch = Batch(range: head..<head)
    var end = head
    loop: while end < items.count {
      switch items[end] {
      case .hardState(let hardState): standing.hardState = hardState
      case .ticket(let ticket): batch.ticket = ticket
      case .record(let record):
        let byteCount = batch.byteCount + record.byteCount
        guard byteCount <= byteLimit else { break loop }
        batch.byteCount = byteCount
        batch.recordCount += 1
        terms.follow(record)
      }
      end += 1
    }
    standing.last = terms.last
    standing.settle()
    batch.range = head..<end
    return batch
  }

  /// Forgets a batch that was written.
  mutating func remove(_ batch: Batch) {
    head = batch.range.upperBound
    guard head == items.count else { return }
    items.removeAll(keepingCapacity: true)
    head = 0
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
