import RoostRaft
import RoostWire

/// The log as it grows while its records are read again.
struct LogReplay {
  /// The place before the first of ``entries``; its term is 0 where a truncation went below it.
  private(set) var base: LogPosition
  private(set) var entries: [Entry] = []
  private(set) var standing: Standing

  init(after standing: Standing) {
    base = standing.last
    self.standing = standing
  }

  /// Takes in a whole group.
  ///
  /// - Throws: If it contradicts what came before; then nothing can be read any more.
  mutating func apply(_ records: [Record], of header: GroupHeader) throws(WireError) {
    for record in records { try apply(record) }
    if standing.last.term == .zero, standing.last.index == header.standing.last.index {
      // A truncation below the base: only the header knows which term is there.
      base = header.standing.last
      standing.last = base
    }
    guard standing.last == header.standing.last else { throw .invalid("end of the group") }
    standing = header.standing
  }

  private mutating func apply(_ record: Record) throws(WireError) {
    switch record {
    case .entry(let entry):
      guard entry.index.rawValue == standing.last.index.rawValue + 1,
        entry.term >= standing.last.term
      else { throw .invalid("order of entries") }
      entries.append(entry)
      standing.last = entry.position
    case .truncate(let index): truncate(from: index)
    case .reset(let place): reset(after: place)
    }
  }

  private mutating func truncate(from index: LogIndex) {
    guard index > .zero, index <= standing.last.index else { return }
    let keep = index.rawValue - 1
    if keep >= base.index.rawValue {
      entries.removeLast(entries.count - Int(keep - base.index.rawValue))
      standing.last = entries.last?.position ?? base
    } else {
      entries = []
      base = LogPosition(term: .zero, index: LogIndex(keep))
      standing.last = base
    }
  }

  /// Goes on after another place, without the entries before it.
  mutating func reset(after place: LogPosition) {
    entries = []
    base = place
    standing.last = place
    standing.settle()
  }

  /// Goes on where a new segment says that the log was cut.
  mutating func resume(from standing: Standing) {
    if standing.last.index < self.standing.last.index {
      truncate(from: LogIndex(standing.last.index.rawValue + 1))
    }
    if standing.last != self.standing.last { reset(after: standing.last) }
    self.standing = standing
  }

  /// Takes over everything that was ever claimed, although the log ends before it.
  mutating func promise(_ claimed: Standing) {
    standing.hardState = claimed.hardState
    standing.promised = claimed.promised
    standing.settle()
  }

  /// Leaves out what a snapshot holds; a log that does not continue it is left out whole.
  ///
  /// - Returns: Whether the log continues the snapshot.
  mutating func drop(through snapshot: LogPosition) -> Bool {
    guard snapshot.index >= base.index else { return false }
    let count = snapshot.index.rawValue - base.index.rawValue
    guard count <= UInt64(entries.count) else { return false }
    let term = count == 0 ? base.term : entries[Int(count) - 1].term
    guard term == snapshot.term else { return false }
    entries.removeFirst(Int(count))
    base = snapshot
    return true
  }
}
