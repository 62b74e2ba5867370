internal import RoostWire

/// Records in the bytewise order of their keys.
struct OrderedMap: Sendable {
  private var records: [Record] = []
  /// How many records are there that are no tombstones.
  private(set) var liveCount = 0

  init() {}

  var count: Int { records.count }

  func find(_ key: borrowing Span<UInt8>) -> Record? {
    let (index, isFound) = place(of: key)
    return isFound ? records[index] : nil
  }

  /// Lets `body` see the record under `key` and put another in its place, or leave it with nil.
  mutating func update(
    _ key: borrowing Span<UInt8>,
    _ body: (borrowing Record?) -> Record?
  ) {
    let (index, isFound) = place(of: key)
    let old = isFound ? records[index] : nil
    guard let new = body(old) else { return }
    if let old {
      if !old.isTombstone { liveCount -= 1 }
      records[index] = new
    } else {
      records.insert(new, at: index)
    }
    if !new.isTombstone { liveCount += 1 }
  }

  @discardableResult
  mutating func remove(_ key: borrowing Span<UInt8>) -> Record? {
    let (index, isFound) = place(of: key)
    guard isFound else { return nil }
    let record = records.remove(at: index)
    if !record.isTombstone { liveCount -= 1 }
    return record
  }

  /// Shows the records of a range in order until `body` answers false.
  func visit(
    from start: borrowing Span<UInt8>,
    to end: [UInt8]?,
    isReverse: Bool = false,
    _ body: (Record) -> Bool
  ) {
    let first = place(of: start).index
    var last = records.count
    if let end { last = place(of: end.span).index }
    guard first < last else { return }
    if isReverse {
      for index in (first..<last).reversed() where !body(records[index]) { return }
    } else {
      for index in first..<last where !body(records[index]) { return }
    }
  }

  /// How many records of a range are no tombstones.
  func liveCount(from start: borrowing Span<UInt8>, to end: [UInt8]?) -> Int {
    var count = 0
    visit(from: start, to: end) { record in
      if !record.isTombstone { count += 1 }
      return true
    }
    return count
  }

  private func place(of key: borrowing Span<UInt8>) -> (index: Int, isFound: Bool) {
    var low = 0
    var high = records.count
    while low < high {
      let middle = (low + high) / 2
      switch records[middle].compare(to: key) {
      case ..<0: low = middle + 1
      case 0: return (middle, true)
      default: high = middle
      }
    }
    return (low, false)
  }
}

extension Record {
  /// Below 0 if this record's key comes before `other`, 0 if it is the same, above 0 if it comes after.
  @inline(__always)
  func compare(to other: borrowing Span<UInt8>) -> Int {
    withKey { key in Self.compare(key, other) }
  }

  static func compare(_ left: borrowing Span<UInt8>, _ right: borrowing Span<UInt8>) -> Int {
    let common = min(left.count, right.count)
    for index in 0..<common where left[index] != right[index] {
      return left[index] < right[index] ? -1 : 1
    }
    return left.count - right.count
  }
}
