internal import RoostWire

/// Versions that history has forgotten, kept for a moment so that each write releases one and takes over its memory.
///
/// Forgetting comes in bursts at the end of an entry. Released there, their memory goes back to the allocator's lists
/// one by one, each time with looks at neighbours that nobody has touched for long; released just before
/// a version of the same size is made, it is handed on as it is. Neither replies nor hashes nor snapshots know of it.
struct SpareRecords: Sendable {
  private static let limit = 256
  /// Longer ones are not kept: a few of them are a lot of memory.
  private static let byteLimit = 2048

  private var records: [Record] = []

  /// Keeps a version that nothing else holds, or lets it go.
  mutating func keep(_ record: consuming Record, byteCount: Int) {
    guard records.count < Self.limit, byteCount <= Self.byteLimit else { return }
    records.append(record)
  }

  /// Lets one version go.
  mutating func release() { _ = records.popLast() }

  /// Brings near the memory of those that go next.
  func prefetch(_ count: Int) {
    let first = max(records.count - count, 0)
    // SAFETY: the places from `first` on are there.
    unsafe records.withUnsafeBufferPointer { records in
      for place in first..<records.count { unsafe records[place].prefetch(384) }
    }
  }
}
