internal import RoostWire

/// Which keys are meant.
public enum Keys: Sendable, Hashable {
  /// One key.
  case key([UInt8])
  /// All keys that begin so.
  case prefix([UInt8])
  /// From a key, which is in, to another, which is out; nil: to the end.
  case range(from: [UInt8], to: [UInt8]?)
  /// Every key.
  case all

  var range: KeyRange {
    switch self {
    case .key(let key): KeyRange(from: key, to: key + [0])
    case .prefix(let prefix): KeyRange(prefix: prefix)
    case .range(let start, let end): KeyRange(from: start, to: end)
    case .all: .everything
    }
  }
}

/// The state that a key must be in for a write to happen.
public enum WriteCondition: Sendable, Hashable {
  /// The key has no value.
  case absent
  /// The key has a value.
  case present
  /// It has been written so often since its creation.
  case version(UInt64)
  /// That revision of the store was the last to change it.
  case modified(UInt64)
  /// It has exactly that value.
  case value([UInt8])

  var condition: Condition {
    switch self {
    case .absent: .absent
    case .present: .present
    case .version(let version): .version(version)
    case .modified(let revision): .modified(Revision(revision))
    case .value(let value): .value(value)
    }
  }
}

/// How long a written key lives.
public enum KeyLife: Sendable, Hashable {
  /// Until it is removed.
  case unbounded
  /// As long as what it replaces.
  case kept
  /// Until the lease of that number ends.
  case lease(UInt64)
  /// So long, whatever happens to this client.
  case time(Duration)

  var lifetime: KeyLifetime {
    switch self {
    case .unbounded: .unbounded
    case .kept: .kept
    case .lease(let id): .lease(id)
    case .time(let time): .milliseconds(time.wholeMilliseconds)
    }
  }
}

/// What goes with a write.
public struct PutOptions: Sendable, Hashable {
  /// Refused unless the key is so.
  public var condition: WriteCondition?
  /// How long the key lives.
  public var life = KeyLife.unbounded
  /// Refused unless this grant still holds when the write is executed.
  public var guardedBy: LockGrant?
  /// Whether the value that is replaced is wanted.
  public var wantsPrevious = false

  /// A plain write.
  public init() {}

  /// A write with some of these.
  public init(
    if condition: WriteCondition? = nil,
    life: KeyLife = .unbounded,
    guardedBy grant: LockGrant? = nil,
    wantsPrevious: Bool = false
  ) {
    self.condition = condition
    self.life = life
    guardedBy = grant
    self.wantsPrevious = wantsPrevious
  }

  var options: WriteOptions {
    WriteOptions(
      wantsPrevious: wantsPrevious,
      lifetime: life.lifetime,
      lockGuard: guardedBy?.lockGuard,
      condition: condition?.condition
    )
  }
}

/// What a write did.
public struct WriteResult: Sendable, Equatable {
  /// The store's revision that it made.
  public let revision: UInt64
  /// How often the key has been written since its creation.
  public let version: UInt64
  /// The new number of an add, min or max; the new length of an append.
  public let number: Int64?
  /// What was there before, if it was wanted and there.
  public let previous: StoredValue?

  init(_ written: Written) {
    revision = written.revision.rawValue
    version = written.version
    number = written.number
    previous = written.previous.map { StoredValue($0) }
  }
}

/// What a removal did.
public struct RemovalResult: Sendable, Equatable {
  /// The store's revision afterwards.
  public let revision: UInt64
  /// How many keys went.
  public let count: Int
  /// Whether the limit was reached and keys are left.
  public let hasMore: Bool
  /// What was there before, if it was wanted.
  public let previous: [StoredValue]

  init(_ deleted: Deleted) {
    revision = deleted.revision.rawValue
    count = Int(clamping: deleted.count)
    hasMore = deleted.more
    previous = deleted.previous.map { StoredValue($0) }
  }
}

/// Some keys of a range, in order.
public struct KeyPage: Sendable, Equatable {
  /// The store's revision that was read.
  public let revision: UInt64
  /// The keys with their values.
  public let values: [StoredValue]
  /// How many keys the page has, or the range if only that was asked for.
  public let count: Int
  /// Where to go on, at the same revision: from this key, or in reverse up to it; nil at the end.
  public let next: [UInt8]?

  init(_ page: Page) {
    revision = page.revision.rawValue
    values = page.entries.map { StoredValue($0) }
    count = Int(clamping: page.count)
    next = page.next
  }
}

extension StoredValue {
  init(_ entry: KeyValue) {
    self.init(
      key: entry.key,
      value: entry.value,
      created: entry.created.rawValue,
      modified: entry.modified.rawValue,
      version: entry.version,
      lease: entry.lease == 0 ? nil : entry.lease
    )
  }
}

extension Duration {
  /// Rounded up, since a time to live must not be shorter than it was wanted.
  var wholeMilliseconds: UInt64 { (wholeNanoseconds &+ 999_999) / 1_000_000 }
}
