internal import RoostWire

/// The keys, with as much of their past as is kept.
///
/// One tree holds the newest version of every key, and tombstones of keys that were removed within the
/// retained past. ``ChangeLog`` holds what was before. Every mutating command, however many operations it
/// has, makes one revision between ``begin(at:)`` and ``commit()``, or none after ``rollBack()``.
struct Keyspace: Sendable {
  private(set) var map = OrderedMap()
  private(set) var changes = ChangeLog()
  /// The newest revision; each that changed something raised it by one.
  private(set) var revision: UInt64 = 0
  /// The lowest revision that can still be read.
  private(set) var oldest: UInt64 = 0
  /// The sum of the live records' hashes, in no order.
  private(set) var hash: UInt64 = 0
  /// Keys and values that are live, in bytes.
  private(set) var liveBytes: UInt64 = 0
  /// What a change costs besides the key and value that it keeps, about.
  static let changeByteCount: UInt64 = 128
  /// What history costs: so much a change, and the keys and values that it alone holds.
  private(set) var historyBytes: UInt64 = 0
  /// Keys by the lease or session that they live as long as: the owner's id, most significant byte
  /// first, and the key.
  private(set) var attachments = OrderedMap()

  /// Bytes of all versions that were ever made, to compare two moments of one entry.
  private(set) var madeBytes: UInt64 = 0

  private var transactionStart: UInt64 = 0
  private var time: UInt64 = 0
  /// Forgotten versions whose memory the next writes take over.
  private(set) var spares = SpareRecords()

  init() {}

  /// Starts the changes of one command.
  mutating func begin(at time: UInt64) {
    self.time = time
    transactionStart = changes.next
  }

  /// Whether the command has changed anything so far.
  var hasChanges: Bool { changes.next != transactionStart }

  /// The revision that the running command makes if it changes anything.
  var pendingRevision: UInt64 { revision + 1 }

  /// Makes the command's changes the newest revision.
  mutating func commit() {
    if hasChanges { revision += 1 }
    transactionStart = changes.next
  }

  /// Takes back every change of the command; `isWhole` is false in tests of the tests alone.
  mutating func rollBack(isWhole: Bool = true) {
    while hasChanges {
      let change = changes.removeLast()
      account(for: change.record, after: change.previous, isAdded: false)
      if let previous = change.previous {
        change.record.withKey { key in map.update(key) { _ in previous } }
      } else {
        change.record.withKey { key in _ = map.remove(key) }
      }
      if isWhole { reattach(from: change.record, to: change.previous) }
    }
  }

  /// The positions of the changes that the running command has made so far.
  var transactionChanges: Range<UInt64> { transactionStart..<changes.next }

  /// The newest version of a key, or nil if it is not there.
  func find(_ key: borrowing Span<UInt8>) -> Record? {
    guard let record = map.find(key), !record.isTombstone else { return nil }
    return record
  }

  /// What a write made of a key.
  struct Written {
    let modified: UInt64
    let version: UInt64
    /// What the key lived as long as before; 0: none.
    let previousLease: UInt64
  }

  /// Gives a key a value; answers what was made.
  @discardableResult
  mutating func put(
    _ key: borrowing Span<UInt8>,
    _ value: borrowing Span<UInt8>,
    lease: UInt64
  ) -> Written {
    spares.release()
    return replace(key, value, lease: lease) ?? putAnew(key, value, lease: lease)
  }

  /// Puts another version in the place of one that an earlier command made, or answers nil.
  ///
  /// This is the way of most writes: one path down, and no reference is counted but the new version's.
  private mutating func replace(
    _ key: borrowing Span<UInt8>,
    _ value: borrowing Span<UInt8>,
    lease: UInt64
  ) -> Written? {
    let (revision, next) = (pendingRevision, changes.next)
    var made: Record?
    let replaced = map.exchangeLive(key) { old in
      guard old.modified != revision else { return nil }
      let record = Record(
        key: key,
        value: value,
        Record.Numbers(
          modified: revision,
          created: old.created,
          version: old.version + 1,
          lease: lease,
          position: next
        )
      )
      made = record
      return record
    }
    guard let old = replaced, let record = made else { return nil }
    let written = Written(
      modified: revision,
      version: record.version,
      previousLease: old.lease
    )
    madeBytes &+= UInt64(record.byteCount)
    account(for: record, after: old, isAdded: true)
    if written.previousLease != lease { reattach(from: old, to: record) }
    changes.append(Change(time: time, record: record, previous: old))
    return written
  }

  /// Gives a value to a key that is not there, or that the running command has written before.
  private mutating func putAnew(
    _ key: borrowing Span<UInt8>,
    _ value: borrowing Span<UInt8>,
    lease: UInt64
  ) -> Written {
    let revision = pendingRevision
    let next = changes.next
    var result: Record?
    var found: Record?
    map.update(key) { old in
      found = copy old
      let live = old?.isTombstone == false ? copy old : nil
      let isMerged = old?.modified == revision
      // A second write of one command to a key is not a version of its own.
      let version = live.map { isMerged ? $0.version : $0.version + 1 } ?? 1
      let record = Record(
        key: key,
        value: value,
        Record.Numbers(
          modified: revision,
          created: live?.created ?? revision,
          version: version,
          lease: lease,
          position: isMerged ? (old?.position ?? next) : next
        )
      )
      result = record
      return record
    }
    guard let result else { preconditionFailure("an update shows the record once") }
    madeBytes &+= UInt64(result.byteCount)
    let previousLease = found?.lease ?? 0
    didReplace(found, by: result)
    return Written(modified: revision, version: result.version, previousLease: previousLease)
  }

  /// Removes a key that is there; answers the version that it had.
  @discardableResult
  mutating func remove(_ key: borrowing Span<UInt8>) -> Record? {
    let revision = pendingRevision
    let next = changes.next
    var result: (old: Record, tombstone: Record)?
    map.update(key) { old in
      guard let old = copy old, !old.isTombstone else { return nil }
      let position = old.modified == revision ? old.position : next
      let tombstone = Record(tombstoneFor: old, revision: revision, position: position)
      result = (old, tombstone)
      return tombstone
    }
    guard let result else { return nil }
    didReplace(result.old, by: result.tombstone)
    return result.old
  }

  /// Notes a change in history, or mends the one that the running command made before.
  private mutating func didReplace(_ old: Record?, by new: Record) {
    if let old, new.position < changes.next {
      account(for: old, after: changes[old.position].previous, isAdded: false)
      changes.replaceRecord(at: new.position, with: new)
      account(for: new, after: changes[new.position].previous, isAdded: true)
    } else {
      changes.append(Change(time: time, record: new, previous: old))
      account(for: new, after: old, isAdded: true)
    }
    reattach(from: old, to: new)
  }

  /// Adds what the change from `previous` to `record` does to the sums, or takes it back.
  private mutating func account(for record: Record, after previous: Record?, isAdded: Bool) {
    var hash: UInt64 = 0
    var live: UInt64 = 0
    var history = Self.changeByteCount
    if !record.isTombstone {
      hash &+= record.hash
      live &+= UInt64(record.byteCount)
    }
    if let previous, !previous.isTombstone {
      hash &-= previous.hash
      live &-= UInt64(previous.byteCount)
      history &+= UInt64(previous.byteCount)
    }
    self.hash = isAdded ? self.hash &+ hash : self.hash &- hash
    liveBytes = isAdded ? liveBytes &+ live : liveBytes &- live
    historyBytes = isAdded ? historyBytes &+ history : historyBytes &- history
  }

  /// Notes that a key lives as long as another owner now, or as none.
  private mutating func reattach(from old: Record?, to new: Record?) {
    let (before, after) = (old?.lease ?? 0, new?.lease ?? 0)
    guard before != after else { return }
    if before != 0, let old {
      let key = Self.attachmentKey(before, old.key)
      attachments.remove(key.span)
    }
    if after != 0, let new {
      let key = Self.attachmentKey(after, new.key)
      let nothing: [UInt8] = []
      let record = Record(
        key: key.span,
        value: nothing.span,
        Record.Numbers(modified: 0, created: 0, version: 1, lease: 0, position: 0)
      )
      attachments.update(key.span) { _ in record }
    }
  }

  /// The key under which ``attachments`` holds a key of an owner.
  static func attachmentKey(_ owner: UInt64, _ key: [UInt8] = []) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 + key.count)
    bytes.append(littleEndian: owner.byteSwapped)
    bytes.append(contentsOf: key)
    return bytes
  }

  /// Declares everything before `revision` unreadable.
  mutating func compact(to revision: UInt64) { oldest = max(oldest, revision) }

  /// The version of a key that `newest` was at `revision`, or nil if it was not there; and how many versions were
  /// looked at.
  func version(of newest: Record, at revision: UInt64) -> (record: Record?, looks: Int) {
    let (record, looks) = changes.version(of: newest, at: revision)
    return (record?.isTombstone == true ? nil : record, looks)
  }

  /// Forgets the oldest change, and what it alone kept; answers the bytes of that.
  mutating func forgetOldestChange() -> Int {
    var change = changes.removeFirst()
    oldest = max(oldest, change.revision)
    historyBytes &-= Self.changeByteCount
    let byteCount = change.previousByteCount
    if change.replacesVersion { historyBytes &-= UInt64(byteCount) }
    if let previous = change.previous.take() { spares.keep(previous, byteCount: byteCount) }
    guard let tombstone = change.tombstone else { return byteCount }
    tombstone.withKey { key in
      guard let newest = map.find(key), newest.isSameVersion(as: tombstone) else { return }
      map.remove(key)
    }
    return byteCount
  }
}

extension Keyspace {
  /// A keyspace to be filled from a snapshot.
  init(revision: UInt64, oldest: UInt64, firstChange: UInt64) {
    self.init()
    self.revision = revision
    self.oldest = oldest
    changes = ChangeLog(startingAt: firstChange)
    transactionStart = firstChange
  }

  /// Adds a key's newest version.
  mutating func restore(record: Record) {
    record.withKey { key in map.update(key) { _ in record } }
    if !record.isTombstone {
      hash &+= record.hash
      liveBytes &+= UInt64(record.byteCount)
    }
    reattach(from: nil, to: record)
  }

  /// Adds the next change, as a snapshot carries it.
  mutating func restoreChange(decoding input: inout Span<UInt8>) throws(WireError) {
    let time = try input.read(UInt64.self)
    let flags = try input.read(UInt8.self)
    guard flags < 8, flags & 6 != 4 else { throw .invalid("change flags") }
    var record: Record
    if flags & 1 == 0 {
      record = try Record(decodingWhole: &input)
    } else {
      let key = try input.readShortBytes("key", limit: Int(UInt16.max))
      guard let newest = map.find(key.span) else { throw .invalid("changed key") }
      record = newest
    }
    guard record.position == changes.next, record.modified <= revision else {
      throw .invalid("change position")
    }
    var previous: Record?
    if flags & 4 != 0 {
      let older = try Record(decodingWhole: &input)
      guard older.position < changes.first else { throw .invalid("change position") }
      previous = older
    } else if flags & 2 != 0 {
      let position = try input.read(UInt64.self)
      guard position >= changes.first, position < changes.next else {
        throw .invalid("change position")
      }
      let older = changes[position].record
      guard record.withKey({ older.compare(to: $0) }) == 0 else {
        throw .invalid("changed key")
      }
      previous = older
    }
    historyBytes &+= Self.changeByteCount
    if let previous, !previous.isTombstone { historyBytes &+= UInt64(previous.byteCount) }
    changes.append(Change(time: time, record: record, previous: previous))
    transactionStart = changes.next
  }
}
