internal import RoostRaft
internal import RoostWire

/// Every log that was seen, each with a number; log 0 is empty.
///
/// A log is another one and an entry behind it, so that two logs with the same number are the same from
/// the first entry on, whatever has been compacted away.
struct ExploredLogs {
  typealias Number = UInt32

  private struct Row: Hashable {
    let before: Number
    let entry: Entry
  }

  private var rows: [Row?] = [nil]
  private var lengths: [UInt64] = [0]
  private var terms: [UInt64] = [0]
  private var numbers: [Row: Number] = [:]

  func length(of log: Number) -> UInt64 { lengths[Int(log)] }
  /// The term of the last entry.
  func lastTerm(of log: Number) -> UInt64 { terms[Int(log)] }
  func lastEntry(of log: Number) -> Entry? { rows[Int(log)]?.entry }

  mutating func appending(_ entry: Entry, to log: Number) -> Number {
    let row = Row(before: log, entry: entry)
    if let known = numbers[row] { return known }
    let number = Number(rows.count)
    rows.append(row)
    lengths.append(lengths[Int(log)] + 1)
    terms.append(entry.term.rawValue)
    numbers[row] = number
    return number
  }

  /// The first `length` entries of a log, or all of a shorter one.
  func prefix(of log: Number, length: UInt64) -> Number {
    var log = log
    while lengths[Int(log)] > length, let row = rows[Int(log)] { log = row.before }
    return log
  }

  /// Whether one log continues the other.
  func agree(_ one: Number, _ other: Number) -> Bool {
    let length = min(lengths[Int(one)], lengths[Int(other)])
    return prefix(of: one, length: length) == prefix(of: other, length: length)
  }

  /// Log matching: from the last place where both have an entry of the same term they are the same.
  func match(_ one: Number, _ other: Number) -> Bool {
    let length = min(lengths[Int(one)], lengths[Int(other)])
    var one = prefix(of: one, length: length)
    var other = prefix(of: other, length: length)
    while one != other {
      if terms[Int(one)] == terms[Int(other)] { return false }
      guard let first = rows[Int(one)], let second = rows[Int(other)] else { return true }
      one = first.before
      other = second.before
    }
    return true
  }

  /// Raft §5.4.1: whether a candidate with `one` could get the vote of a node with `other`.
  func isAtLeastAsNew(_ one: Number, as other: Number) -> Bool {
    let (term, otherTerm) = (lastTerm(of: one), lastTerm(of: other))
    return term != otherTerm ? term > otherTerm : length(of: one) >= length(of: other)
  }

  mutating func memory(of node: ExploredNode) -> Number {
    let core = node.core
    var log = core.firstIndex > LogIndex(1) ? Number(core.snapshot?.checksum ?? 0) : 0
    var index = core.firstIndex
    while let entry = core.entry(at: index) {
      log = appending(entry, to: log)
      index = LogIndex(index.rawValue + 1)
    }
    return log
  }

  mutating func disk(of node: ExploredNode) -> Number {
    var log = Number(node.disk.snapshot?.checksum ?? 0)
    for entry in node.disk.entries { log = appending(entry, to: log) }
    return log
  }
}
