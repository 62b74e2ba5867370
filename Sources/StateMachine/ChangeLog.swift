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
  /// How many changes of the key lie before this one in the chain that began with the first of them.
  fileprivate(set) var depth: UInt32 = 0
  /// How many positions before this one lies a change of the key, far back in the chain; 0: none is known.
  fileprivate(set) var jump: UInt32 = 0

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
/// from the front. A change also knows one that lies farther back, at distances that make any version of a key
/// found in steps that grow with the logarithm of their number. Kept in pieces, and those in groups, which
/// are shared with copies.
struct ChangeLog: Sendable {
  private static var chunkBits: UInt64 { 9 }
  private static var chunkMask: UInt64 { 511 }
  private static var groupBits: UInt64 { 15 }
  private static var groupMask: Int { 63 }

  /// Groups of 64 pieces of 512 changes.
  ///
  /// All are full but the last; those before the one that holds `first` are empty already.
  private var groups: [[[Change]]] = []
  /// The position at which the first of all groups began, and how many of them are gone.
  private let origin: UInt64
  private var goneGroups = 0
  /// The position of the first change that is kept.
  private(set) var first: UInt64
  /// The position of the change to come.
  private(set) var next: UInt64
  /// Stands where a change was that is forgotten.
  private let gone: Change

  init(startingAt position: UInt64 = 0) {
    origin = position
    first = position
    next = position
    let nothing: [UInt8] = []
    gone = Change(
      time: 0,
      record: Record(
        key: nothing.span,
        value: nothing.span,
        Record.Numbers(modified: 0, created: 0, version: 0, lease: 0, position: 0)
      ),
      previous: nil
    )
  }

  var count: Int { Int(next - first) }

  subscript(position: UInt64) -> Change {
    precondition(position >= first && position < next, "the change is kept")
    return groups[group(of: position)][chunk(of: position)][offset(of: position)]
  }

  mutating func append(_ new: Change) {
    var change = new
    connect(&change)
    let group = group(of: next)
    if offset(of: next) == 0 {
      var chunk: [Change] = []
      chunk.reserveCapacity(1 << Int(Self.chunkBits))
      if group == groups.count { groups.append([]) }
      groups[group].append(chunk)
    }
    groups[group][chunk(of: next)].append(change)
    next += 1
  }

  /// Gives the change at a position another result: a later operation of its transaction.
  mutating func replaceRecord(at position: UInt64, with record: Record) {
    precondition(position >= first && position < next, "the change is kept")
    groups[group(of: position)][chunk(of: position)][offset(of: position)].record = record
  }

  /// Takes back the newest change.
  mutating func removeLast() -> Change {
    precondition(next > first, "there is a newest change")
    next -= 1
    let group = group(of: next)
    let change = groups[group][chunk(of: next)].removeLast()
    if offset(of: next) == 0 {
      groups[group].removeLast()
      if groups[group].isEmpty { groups.removeLast() }
    }
    return change
  }

  /// Brings near the versions of a change, without a look at them.
  private func prefetch(at position: UInt64) {
    let place = offset(of: position)
    unsafe groups[group(of: position)][chunk(of: position)].withUnsafeBufferPointer { changes in
      // SAFETY: a position between the first and the next has a change in its piece.
      unsafe changes[place].record.prefetch()
      unsafe changes[place].previous?.prefetch()
    }
  }

  /// Forgets the oldest change and what it holds; the memory of its place comes back with a whole piece.
  mutating func removeFirst() -> Change {
    let change = self[first]
    let (group, chunk) = (group(of: first), chunk(of: first))
    groups[group][chunk][offset(of: first)] = gone
    first += 1
    // The versions that go next were last used long ago: the waits for them run side by side.
    if next - first > 8 { prefetch(at: first + 8) }
    guard offset(of: first) == 0 else { return change }
    groups[group][chunk] = []
    guard chunk == Self.groupMask else { return change }
    groups[group] = []
    if group >= 8, group >= groups.count / 2 {
      groups.removeFirst(group + 1)
      goneGroups += group + 1
    }
    return change
  }

  private func group(of position: UInt64) -> Int {
    Int((position - origin) >> Self.groupBits) - goneGroups
  }

  private func chunk(of position: UInt64) -> Int {
    Int((position - origin) >> Self.chunkBits) & Self.groupMask
  }

  private func offset(of position: UInt64) -> Int {
    Int((position - origin) & Self.chunkMask)
  }
}

/// Finding an old version of a key.
extension ChangeLog {
  /// Notes where in its key's chain a change stands that is about to be appended.
  ///
  /// Depths have jumps of lengths 1, 3, 7 and so on, as digits of the depth in the skew-binary system say: either
  /// to the change before, or as far as two jumps from there.
  private func connect(_ change: inout Change) {
    guard let previous = change.previous?.position, previous >= first else { return }
    let parent = self[previous]
    change.depth = parent.depth &+ 1
    guard !Self.jumpsToParent(change.depth) else {
      return change.jump = UInt32(exactly: next - previous) ?? 0
    }
    guard let middle = target(ofJumpFrom: previous, parent),
      let far = target(ofJumpFrom: middle, self[middle])
    else { return }
    change.jump = UInt32(exactly: next - far) ?? 0
  }

  /// Where the jump of a change leads, if that is still kept.
  private func target(ofJumpFrom position: UInt64, _ change: Change) -> UInt64? {
    guard change.jump > 0, position - first >= UInt64(change.jump) else { return nil }
    return position - UInt64(change.jump)
  }

  /// Whether the last digit of a depth, greedily taken apart into 1, 3, 7, 15 and so on, is a 1.
  private static func jumpsToParent(_ depth: UInt32) -> Bool {
    var rest = depth
    var digit = UInt32.max >> UInt32(depth.leadingZeroBitCount)
    while rest > 0 {
      while digit > rest { digit >>= 1 }
      rest -= digit
    }
    return digit == 1
  }

  /// The version, or tombstone, that a key had at `revision`, and how many were looked at on the way.
  func version(of newest: Record, at revision: UInt64) -> (record: Record?, looks: Int) {
    var record = newest
    var looks = 0
    while record.modified > revision {
      guard record.position >= first else { return (nil, looks) }
      looks += 1
      let change = self[record.position]
      if let far = target(ofJumpFrom: record.position, change),
        case let jumped = self[far].record, jumped.modified > revision
      {
        record = jumped
        continue
      }
      guard let previous = change.previous else { return (nil, looks) }
      record = previous
    }
    return (record, looks)
  }
}
