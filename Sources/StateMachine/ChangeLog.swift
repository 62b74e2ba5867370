/// One key's change, kept while reads of the past or watches may ask for it.
struct Change: Sendable {
  /// The cluster time at which it happened, nanoseconds.
  let time: UInt64
  /// What the key became: a version or a tombstone.
  var record: Record
  /// What it was before, a tombstone also; nil if there was nothing.
  let previous: Record?
  /// The revision that made it: the record's, beside it so that nobody has to wait for the record.
  let revision: UInt64

  init(time: UInt64, record: Record, previous: Record?) {
    self.time = time
    self.record = record
    self.previous = previous
    revision = record.modified
  }
}

/// The changes of the retained past, in order, each under a position that is never used again.
///
/// The history of a key is a chain through it: a version names the position of its change, which holds
/// the version before. So an overwritten value is kept by one reference, and forgetting is taking changes
/// from the front. Kept in pieces of which the older are shared with copies.
struct ChangeLog: Sendable {
  private static var chunkBits: UInt64 { 9 }
  private static var chunkMask: UInt64 { 511 }

  /// All are full but the last; those before the one that holds `first` are empty already.
  private var chunks: [[Change]] = []
  /// The position at which the first of all chunks began, and how many of them are gone.
  private let origin: UInt64
  private var goneChunks = 0
  /// The position of the first change that is kept.
  private(set) var first: UInt64
  /// The position of the change to come.
  private(set) var next: UInt64

  init(startingAt position: UInt64 = 0) {
    origin = position
    first = position
    next = position
  }

  var count: Int { Int(next - first) }

  subscript(position: UInt64) -> Change {
    precondition(position >= first && position < next, "the change is kept")
    return chunks[chunk(of: position)][offset(of: position)]
  }

  mutating func append(_ change: Change) {
    if offset(of: next) == 0 {
      var chunk: [Change] = []
      chunk.reserveCapacity(1 << Int(Self.chunkBits))
      chunks.append(chunk)
    }
    chunks[chunks.count - 1].append(change)
    next += 1
  }

  /// Gives the change at a position another result: a later operation of its transaction.
  mutating func replaceRecord(at position: UInt64, with record: Record) {
    precondition(position >= first && position < next, "the change is kept")
    chunks[chunk(of: position)][offset(of: position)].record = record
  }

  /// Takes back the newest change.
  mutating func removeLast() -> Change {
    precondition(next > first, "there is a newest change")
    next -= 1
    let change = chunks[chunks.count - 1].removeLast()
    if offset(of: next) == 0 { chunks.removeLast() }
    return change
  }

  /// Forgets the oldest change; memory comes back a piece at a time.
  mutating func removeFirst() -> Change {
    let change = self[first]
    first += 1
    guard offset(of: first) == 0 else { return change }
    let chunk = chunk(of: first)
    // The versions that go with it were last used long ago: the waits for them run side by side.
    for change in chunks[chunk - 1] {
      change.record.prefetch()
      change.previous?.prefetch()
    }
    chunks[chunk - 1] = []
    if chunk > 64, chunk > chunks.count / 2 {
      chunks.removeFirst(chunk)
      goneChunks += chunk
    }
    return change
  }

  private func chunk(of position: UInt64) -> Int {
    Int((position - origin) >> Self.chunkBits) - goneChunks
  }

  private func offset(of position: UInt64) -> Int {
    Int((position - origin) & Self.chunkMask)
  }
}
