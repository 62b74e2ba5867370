internal import RoostWire

/// The entries that a node holds in memory, from the point of compaction on.
///
/// Appending, looking up, cutting the tail and dropping a prefix cost the same however long it is.
struct Log: Sendable {
  /// The place before the first entry that is held.
  private(set) var base: LogPosition
  private(set) var baseTime: ClusterTime
  /// Dropped entries are emptied at once and leave the array when they are half of it.
  private var slots: [Slot] = []
  private var droppedCount = 0

  /// An entry, and the bytes of all entries up to and with it since the log was made.
  private struct Slot: Hashable, Sendable {
    var entry: Entry?
    var end: UInt64
  }

  init(base: LogPosition, time: ClusterTime) {
    self.base = base
    baseTime = time
  }

  var firstIndex: LogIndex { base.index.next }
  var lastIndex: LogIndex { LogIndex(base.index.rawValue + UInt64(count)) }
  var count: Int { slots.count - droppedCount }
  var last: LogPosition { LogPosition(term: lastTerm, index: lastIndex) }
  var lastTerm: Term { slots.last?.entry?.term ?? base.term }
  var lastTime: ClusterTime { slots.last?.entry?.time ?? baseTime }

  /// The entry at the index, if it is held.
  func entry(at index: LogIndex) -> Entry? {
    guard index > base.index, index <= lastIndex else { return nil }
    return slots[slot(of: index)].entry
  }

  /// The term of the entry at the index, or at the base; nil below and beyond.
  func term(at index: LogIndex) -> Term? {
    index == base.index ? base.term : entry(at: index)?.term
  }

  func contains(_ position: LogPosition) -> Bool { term(at: position.index) == position.term }

  /// Entries from `first` on, as many as `byteLimit` allows but at least one, with their bytes.
  func entries(from first: LogIndex, byteLimit: Int) -> (entries: [Entry], byteCount: Int) {
    guard first >= firstIndex, first <= lastIndex else { return ([], 0) }
    let start = slot(of: first)
    let allowed = endOfBytes(before: start) + UInt64(max(byteLimit, 0))
    let limit = min(slots.count, start + Message.entryLimit)
    var end = start + 1
    while end < limit, slots[end].end <= allowed { end += 1 }
    let byteCount = Int(slots[end - 1].end - endOfBytes(before: start))
    return (slots[start..<end].compactMap(\.entry), byteCount)
  }

  /// The bytes of all entries behind the index.
  func byteCount(after index: LogIndex) -> Int {
    guard index < lastIndex, let last = slots.last else { return 0 }
    return Int(last.end - endOfBytes(before: slot(of: max(index, base.index).next)))
  }

  /// The bytes of all entries that are held.
  var heldByteCount: Int { byteCount(after: base.index) }

  /// The first place behind which at most `byteCount` bytes of entries follow.
  func index(before byteCount: Int) -> LogIndex {
    guard let last = slots.last, count > 0, heldByteCount > byteCount else { return base.index }
    // The sums grow along the log, so this is a search by halves.
    let start = last.end - UInt64(max(byteCount, 0))
    var low = droppedCount
    var high = slots.count - 1
    while low < high {
      let middle = low + (high - low) / 2
      if slots[middle].end < start { low = middle + 1 } else { high = middle }
    }
    return LogIndex(base.index.rawValue + UInt64(low - droppedCount) + 1)
  }

  mutating func append(_ entry: Entry) {
    precondition(entry.index == lastIndex.next, "the log has no gaps")
    precondition(entry.term >= lastTerm, "terms never fall along the log")
    let end = slots.last?.end ?? 0
    slots.append(Slot(entry: entry, end: end + UInt64(entry.byteCount)))
  }

  /// Cuts off the entry at the index and all behind it.
  mutating func truncate(from index: LogIndex) {
    precondition(index > base.index, "what was compacted cannot be cut off")
    guard index <= lastIndex else { return }
    slots.removeSubrange(slot(of: index)...)
  }

  /// Drops the entries up to and with the index.
  mutating func compact(through index: LogIndex) {
    guard let entry = entry(at: index) else { return }
    let end = slot(of: index) + 1
    for position in droppedCount..<end { slots[position].entry = nil }
    droppedCount = end
    base = LogPosition(term: entry.term, index: index)
    baseTime = entry.time
    if droppedCount * 2 > slots.count {
      slots.removeSubrange(0..<droppedCount)
      droppedCount = 0
    }
  }

  /// The last place at or before `index` whose term is not above `term`.
  ///
  /// Terms never fall along the log, so this is a search by halves.
  func lastPosition(upTo index: LogIndex, term: Term) -> LogPosition {
    var low = base.index.rawValue
    var high = max(min(index, lastIndex), base.index).rawValue
    while low < high {
      let middle = high - (high - low) / 2
      if let found = self.term(at: LogIndex(middle)), found <= term {
        low = middle
      } else {
        high = middle - 1
      }
    }
    let found = LogIndex(low)
    return LogPosition(term: self.term(at: found) ?? base.term, index: found)
  }

  private func slot(of index: LogIndex) -> Int {
    Int(index.rawValue - base.index.rawValue) - 1 + droppedCount
  }

  private func endOfBytes(before slot: Int) -> UInt64 {
    if slot > 0 { return slots[slot - 1].end }
    guard let first = slots.first, let entry = first.entry else { return 0 }
    return first.end - UInt64(entry.byteCount)
  }
}

extension Log: Hashable {
  /// Logs are equal that hold the same entries behind the same base, whatever they dropped.
  static func == (left: Log, right: Log) -> Bool {
    guard left.base == right.base, left.baseTime == right.baseTime, left.count == right.count else {
      return false
    }
    for (one, other) in zip(left.held, right.held) where one.entry != other.entry { return false }
    return true
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(base)
    hasher.combine(baseTime)
    for slot in held { hasher.combine(slot.entry) }
  }

  private var held: ArraySlice<Slot> { slots[droppedCount...] }
}
