internal import RoostWire

/// One key's change, kept while reads of the past or watches may ask for it.
struct Change: Sendable {
  /// The cluster time at which it happened, nanoseconds.
  let time: UInt64
  /// ``record``, until the change is forgotten.
  private var held: Record?
  /// What the key was before, a tombstone also; nil if there was nothing.
  private(set) var previous: Record?
  /// The revision that made it: the record's, beside it so that nobody has to wait for the record.
  let revision: UInt64
  /// Key and value of ``previous``, in bytes: what is forgotten is not looked at for it.
  let previousByteCount: UInt32
  /// Whether ``previous`` is a version, not a tombstone.
  let replacesVersion: Bool
  /// Whether ``record`` is a tombstone.
  private(set) var isRemoval: Bool
  /// How many changes of the key lie before this one in the chain that began with the first of them.
  fileprivate(set) var depth: UInt32
  /// How many positions before this one lies a change of the key, far back in the chain; 0: none is known.
  fileprivate(set) var jump: UInt32

  @inline(__always)
  init(time: UInt64, record: consuming Record, previous: consuming Record?) {
    self.time = time
    revision = record.modified
    isRemoval = record.isTombstone
    previousByteCount = UInt32(previous?.byteCount ?? 0)
    replacesVersion = previous?.isTombstone == false
    (depth, jump) = (0, 0)
    held = consume record
    self.previous = consume previous
  }

  /// What the key became: a version or a tombstone.
  fileprivate(set) var record: Record {
    get {
      guard let held else { preconditionFailure("the change is kept") }
      return held
    }
    set {
      held = newValue
      isRemoval = newValue.isTombstone
    }
  }

  /// Where in a change the two references lie.
  private static let heldOffset = MemoryLayout<Change>.offset(of: \.held) ?? 0
  private static let previousOffset = MemoryLayout<Change>.offset(of: \.previous) ?? 0

  /// Brings near what is released when a change is forgotten; as a method of the change it would copy that first.
  fileprivate static func prefetchRecords(of change: UnsafePointer<Change>) {
    let start = unsafe UnsafeRawPointer(change)
    for offset in [heldOffset, previousOffset] {
      // SAFETY: a reference to a record, or none, is the address of its bytes, or 0. A hint; nothing is read there.
      let record = unsafe start.load(fromByteOffset: offset, as: UnsafeRawPointer?.self)
      unsafe Prefetch.bytes(at: record, count: 144)
    }
  }

  /// What is left to do about a change that was forgotten.
  struct Remains {
    let revision: UInt64
    let previousByteCount: Int
    let replacesVersion: Bool
    /// The version before, which nothing else holds.
    var previous: Record?
    /// What the key became, if that was a tombstone.
    var tombstone: Record?
  }

  /// Lets go of what the change holds.
  fileprivate mutating func forget() -> Remains {
    let record = held.take()
    return Remains(
      revision: revision,
      previousByteCount: Int(previousByteCount),
      replacesVersion: replacesVersion,
      previous: previous.take(),
      tombstone: isRemoval ? record : nil
    )
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

  init(startingAt position: UInt64 = 0) {
    origin = position
    first = position
    next = position
  }

  var count: Int { Int(next - first) }

  subscript(position: UInt64) -> Change {
    precondition(position >= first && position < next, "the change is kept")
    return groups[group(of: position)][chunk(of: position)][offset(of: position)]
  }

  /// Where a change lies: a look at it counts no references.
  @inline(__always)
  private func withPlace<Result>(
    of position: UInt64,
    _ body: (UnsafePointer<Change>) -> Result
  ) -> Result {
    precondition(position >= first && position < next, "the change is kept")
    let (group, chunk, place) = (
      group(of: position), chunk(of: position), offset(of: position)
    )
    // SAFETY: a kept position has a group, a piece in it and a place in that; nothing is changed meanwhile.
    return unsafe groups.withUnsafeBufferPointer { groups in
      unsafe groups[group].withUnsafeBufferPointer { chunks in
        unsafe chunks[chunk].withUnsafeBufferPointer { changes in
          guard let start = changes.baseAddress else {
            preconditionFailure("a piece has changes")
          }
          return unsafe body(start + place)
        }
      }
    }
  }

  /// When a change was made: in which revision, and at what cluster time.
  func moment(of position: UInt64) -> (revision: UInt64, time: UInt64) {
    // SAFETY: the change lies there as long as the body runs.
    unsafe withPlace(of: position) { unsafe ($0.pointee.revision, $0.pointee.time) }
  }

  /// What a key lived as long as before a change and after it; 0: none.
  func leases(around position: UInt64) -> (before: UInt64, after: UInt64) {
    // SAFETY: the change lies there as long as the body runs.
    unsafe withPlace(of: position) {
      unsafe ($0.pointee.previous?.lease ?? 0, $0.pointee.record.lease)
    }
  }

  /// For each kept change, in order, whether a later one of the same key is kept too.
  var isSuperseded: [Bool] {
    var marks = [Bool](repeating: false, count: count)
    for position in first..<next {
      // SAFETY: the changes lie there as long as the bodies run.
      if next - position > 8 {
        unsafe withPlace(of: position + 8) { unsafe Change.prefetchRecords(of: $0) }
      }
      let earlier = unsafe withPlace(of: position) { unsafe $0.pointee.previous?.position }
      if let earlier, earlier >= first { marks[Int(earlier - first)] = true }
    }
    return marks
  }

  mutating func append(_ new: consuming Change) {
    connect(&new)
    let group = group(of: next)
    if offset(of: next) == 0 {
      var chunk: [Change] = []
      chunk.reserveCapacity(1 << Int(Self.chunkBits))
      if group == groups.count { groups.append([]) }
      groups[group].append(chunk)
    }
    groups[group][chunk(of: next)].append(consume new)
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

  /// Brings near the change at a position, if it is kept: where a chain goes on.
  func prefetch(at position: UInt64) {
    guard position >= first, position < next else { return }
    // SAFETY: a hint; nothing is read.
    unsafe withPlace(of: position) {
      unsafe Prefetch.bytes(at: UnsafeRawPointer($0), count: MemoryLayout<Change>.size)
    }
  }

  /// Forgets the oldest change and what it holds; the memory of its place comes back with a whole piece.
  mutating func removeFirst() -> Change.Remains {
    precondition(next > first, "there is an oldest change")
    let (group, chunk) = (group(of: first), chunk(of: first))
    let remains = groups[group][chunk][offset(of: first)].forget()
    first += 1
    // The versions that go next were last used long ago: the waits for them run side by side.
    // SAFETY: the change lies there as long as the body runs.
    if next - first > 8 {
      unsafe withPlace(of: first + 8) { unsafe Change.prefetchRecords(of: $0) }
    }
    guard offset(of: first) == 0 else { return remains }
    groups[group][chunk] = []
    guard chunk == Self.groupMask else { return remains }
    groups[group] = []
    if group >= 8, group >= groups.count / 2 {
      groups.removeFirst(group + 1)
      goneGroups += group + 1
    }
    return remains
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
    let (depth, jump) = link(of: previous)
    change.depth = depth &+ 1
    guard !Self.jumpsToParent(change.depth) else {
      return change.jump = UInt32(exactly: next - previous) ?? 0
    }
    guard let middle = target(ofJump: jump, from: previous),
      let far = target(ofJump: link(of: middle).jump, from: middle)
    else { return }
    change.jump = UInt32(exactly: next - far) ?? 0
  }

  private func link(of position: UInt64) -> (depth: UInt32, jump: UInt32) {
    // SAFETY: the change lies there as long as the body runs.
    unsafe withPlace(of: position) { unsafe ($0.pointee.depth, $0.pointee.jump) }
  }

  /// Where the jump of a change leads, if that is still kept.
  private func target(ofJump jump: UInt32, from position: UInt64) -> UInt64? {
    guard jump > 0, position - first >= UInt64(jump) else { return nil }
    return position - UInt64(jump)
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
      if let far = target(ofJump: change.jump, from: record.position),
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
