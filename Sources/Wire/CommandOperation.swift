/// The sizes that every key, value and request keeps.
package enum CommandLimits {
  package static let keyByteCount = 8192
  package static let valueByteCount = 1 << 20
  package static let lockNameByteCount = 1024
  package static let labelByteCount = 256
  package static let nestingDepth = 8
  /// Compares and operations of a transaction, in all its branches.
  package static let stepsATransaction = 4096
  package static let leasesARenewal = 4096
  package static let locksAtOnce = 64
}

/// What is done to keys or asked of them; alone, or as a step of a transaction.
///
/// The number of each kind is its first byte on the wire.
package enum Operation: Hashable, Sendable {
  case put(Put)
  case delete(Delete)
  case deleteRange(DeleteRange)
  case update(Update)
  case get(Get)
  case range(RangeQuery)
  indirect case transaction(Transaction)
}

/// Where reads and deletions of many keys begin and end, bytewise: `start` is in, `end` is out.
///
///     size  field
///     2+n   start
///     2+n   end    empty: there is no end
package struct KeyRange: Hashable, Sendable {
  package let start: [UInt8]
  /// Nothing stands for the end of all keys.
  package let end: [UInt8]?

  package init(from start: [UInt8], to end: [UInt8]?) {
    self.start = start
    self.end = end
  }

  /// All keys that begin with `prefix`.
  package init(prefix: [UInt8]) {
    start = prefix
    var end = prefix
    while end.last == .max { end.removeLast() }
    if let last = end.popLast() {
      end.append(last + 1)
      self.end = end
    } else {
      self.end = nil
    }
  }

  /// Every key there is.
  package static var everything: KeyRange { KeyRange(from: [], to: nil) }
}

/// The grant that a write claims to be made under.
///
///     size  field
///     2+n   lock's name
///     8     fencing token
package struct LockGuard: Hashable, Sendable {
  package let lock: [UInt8]
  package let token: UInt64

  package init(lock: [UInt8], token: UInt64) {
    self.lock = lock
    self.token = token
  }
}

/// The state that a key must be in for a write to happen.
///
///     size  field
///     1     kind     1 absent, 2 present, 3 version, 4 modification revision, 5 value
///     8     number   for 3 and 4
///     4+n   value    for 5
package enum Condition: Hashable, Sendable {
  case absent
  case present
  case version(UInt64)
  case modified(Revision)
  case value([UInt8])
}

/// How long a written key lives.
package enum KeyLifetime: Hashable, Sendable {
  /// Until it is deleted.
  case unbounded
  /// As the key it replaces.
  case kept
  /// Until the lease or the session of that number ends.
  case lease(UInt64)
  /// So many milliseconds of cluster time.
  case milliseconds(UInt64)
}

/// What goes with a write, in flags and the fields that they announce.
///
///     bit  field that follows, in this order
///     0    (none)    the key as it was is wanted in the reply
///     1    8         lease or session id
///     2    8         time to live, milliseconds
///     3    (none)    keep the lifetime of the key that is replaced
///     4    ...       guard
///     5    ...       condition
package struct WriteOptions: Hashable, Sendable {
  package var wantsPrevious: Bool
  package var lifetime: KeyLifetime
  package var lockGuard: LockGuard?
  package var condition: Condition?

  package init(
    wantsPrevious: Bool = false,
    lifetime: KeyLifetime = .unbounded,
    lockGuard: LockGuard? = nil,
    condition: Condition? = nil
  ) {
    self.wantsPrevious = wantsPrevious
    self.lifetime = lifetime
    self.lockGuard = lockGuard
    self.condition = condition
  }

  /// The first byte of the encoding, which stands before the key.
  package var flags: UInt8 {
    var flags: UInt8 = wantsPrevious ? 1 : 0
    switch lifetime {
    case .unbounded: break
    case .lease: flags |= 2
    case .milliseconds: flags |= 4
    case .kept: flags |= 8
    }
    if lockGuard != nil { flags |= 16 }
    if condition != nil { flags |= 32 }
    return flags
  }
}

/// Kind 1: gives a key a value.
///
///     size  field
///     1     flags    as in `WriteOptions`
///     2+n   key
///     4+n   value
///     ...   fields that the flags announce
package struct Put: Hashable, Sendable {
  package let key: [UInt8]
  package let value: [UInt8]
  package let options: WriteOptions

  package init(key: [UInt8], value: [UInt8], options: WriteOptions = WriteOptions()) {
    self.key = key
    self.value = value
    self.options = options
  }
}

/// Kind 2: removes a key; bits 1 to 3 of the flags are 0.
///
///     size  field
///     1     flags    as in `WriteOptions`
///     2+n   key
///     ...   fields that the flags announce
package struct Delete: Hashable, Sendable {
  package let key: [UInt8]
  package let options: WriteOptions

  package init(key: [UInt8], options: WriteOptions = WriteOptions()) {
    precondition(options.lifetime == .unbounded, "a deleted key has no lifetime")
    self.key = key
    self.options = options
  }
}

/// Kind 3: removes the keys of a range, or refuses if they are too many at once.
///
///     size  field
///     1     flags    bits 0 and 4 as in `WriteOptions`; bit 6: remove no more than the limit
///     ...   range
///     4     limit    0 without bit 6
///     ...   guard, if announced
package struct DeleteRange: Hashable, Sendable {
  package let range: KeyRange
  package let wantsPrevious: Bool
  package let lockGuard: LockGuard?
  /// With a limit the first keys go and the reply says whether more are left.
  package let limit: UInt32?

  package init(
    _ range: KeyRange,
    wantsPrevious: Bool = false,
    lockGuard: LockGuard? = nil,
    limit: UInt32? = nil
  ) {
    self.range = range
    self.wantsPrevious = wantsPrevious
    self.lockGuard = lockGuard
    self.limit = limit
  }
}

/// Kind 4: changes a value where it is.
///
///     size  field
///     1     flags    as in `WriteOptions`
///     2+n   key
///     1     change   0 add, 1 min, 2 max, 3 append
///     8     number   for add, min and max: signed
///     4+n   bytes    for append
///     ...   fields that the flags announce
package struct Update: Hashable, Sendable {
  /// What happens to the value.
  ///
  /// Numbers are decimal text; an absent key counts as 0 for add, as no number for min and max.
  package enum Change: Hashable, Sendable {
    case add(Int64)
    case min(Int64)
    case max(Int64)
    case append([UInt8])
  }

  package let key: [UInt8]
  package let change: Change
  package let options: WriteOptions

  package init(key: [UInt8], _ change: Change, options: WriteOptions = WriteOptions()) {
    self.key = key
    self.change = change
    self.options = options
  }
}

/// Kind 5: asks for one key.
///
///     size  field
///     2+n   key
///     8     revision   0: the newest
package struct Get: Hashable, Sendable {
  package let key: [UInt8]
  package let revision: Revision

  package init(key: [UInt8], revision: Revision = .zero) {
    self.key = key
    self.revision = revision
  }
}

/// Kind 6: asks for the keys of a range, a page at a time.
///
///     size  field
///     1     flags     bit 0 from the end, 1 without values, 2 only their number, 3 filter follows
///     ...   range
///     8     revision  0: the newest
///     4     limit     of keys; 0: as many as a page holds
///     4     bytes     of keys and values; 0: as many as a page holds
///     32    filter    lowest and highest modification revision, then the same of creation
package struct RangeQuery: Hashable, Sendable {
  /// Revisions that a key must lie within to be in the answer, ends included.
  package struct Filter: Hashable, Sendable {
    package let modified: ClosedRange<Revision>
    package let created: ClosedRange<Revision>

    package init(modified: ClosedRange<Revision>, created: ClosedRange<Revision>) {
      self.modified = modified
      self.created = created
    }
  }

  package let range: KeyRange
  package var revision: Revision = .zero
  package var limit: UInt32 = 0
  package var byteLimit: UInt32 = 0
  package var isReverse = false
  package var keysOnly = false
  package var countOnly = false
  package var filter: Filter?

  package init(_ range: KeyRange) { self.range = range }
}

/// Kind 7: operations that happen together, in one revision, or not at all.
///
/// If all compares hold, `then` runs, else `otherwise`. Operations run in order, and later ones see
/// what earlier ones did. One that fails takes everything back.
///
///     size  field
///     2     compares, and as many compares
///     2     operations of then, and as many operations
///     2     operations of otherwise, and as many operations
package struct Transaction: Hashable, Sendable {
  package let compares: [Compare]
  package let then: [Operation]
  package let otherwise: [Operation]

  package init(compares: [Compare] = [], then: [Operation], otherwise: [Operation] = []) {
    precondition(
      compares.count < 1 << 16 && then.count < 1 << 16 && otherwise.count < 1 << 16,
      "lists of a transaction are counted in 16 bits"
    )
    self.compares = compares
    self.then = then
    self.otherwise = otherwise
  }
}

/// A question that decides which way a transaction goes.
///
///     size  field
///     1     subject    1 creation revision, 2 modification revision, 3 version, 4 lease, 5 value,
///                      6 existence, 7 number of keys, 8 lock
///     1     relation   0 =, 1 !=, 2 <, 3 <=, 4 >, 5 >=
///     ...   key (1 to 6), range (7) or guard (8)
///     8     number     for 1 to 4 and 7; for 6: 1 there, 0 not there
///     4+n   value      for 5
package struct Compare: Hashable, Sendable {
  /// How what is there must stand to what is named.
  package enum Relation: UInt8, Hashable, Sendable {
    case equal = 0
    case notEqual = 1
    case less = 2
    case lessOrEqual = 3
    case greater = 4
    case greaterOrEqual = 5
  }

  /// What is compared.
  ///
  /// An absent key has revisions, version and lease 0 and an empty value.
  package enum Subject: Hashable, Sendable {
    case created(key: [UInt8], UInt64)
    case modified(key: [UInt8], UInt64)
    case version(key: [UInt8], UInt64)
    case lease(key: [UInt8], UInt64)
    case value(key: [UInt8], [UInt8])
    case exists(key: [UInt8], Bool)
    case count(KeyRange, UInt64)
    case lockHeld(LockGuard)
  }

  package let subject: Subject
  package let relation: Relation

  package init(_ subject: Subject, _ relation: Relation = .equal) {
    self.subject = subject
    self.relation = relation
  }
}
