/// How things stand, for people and tools.
package enum Inspection: Hashable, Sendable {
  /// Kind 32.
  case status(StateStatus)
  /// Kind 33: how many, 4 bytes, and as many sessions.
  case sessions([SessionInfo])
  /// Kind 34: how many, 4 bytes, and as many leases.
  case leases([LeaseInfo])
  /// Kind 35: a lease, how many of its keys follow, 4 bytes, and the keys, each 2+n bytes.
  case lease(LeaseInfo, keys: [[UInt8]])
  /// Kind 36: how many, 4 bytes, and as many names, 2+n bytes each, with holders and waiters, 8 each.
  case locks([LockSummary])
  /// Kind 37.
  case lock(LockInfo)
}

/// Kind 32: sizes and borders; every field 8 bytes, in this order.
package struct StateStatus: Hashable, Sendable {
  package var revision: UInt64 = 0
  package var oldestRevision: UInt64 = 0
  package var time: UInt64 = 0
  package var keys: UInt64 = 0
  package var keyBytes: UInt64 = 0
  package var changes: UInt64 = 0
  package var historyBytes: UInt64 = 0
  package var sessions: UInt64 = 0
  package var storedReplyBytes: UInt64 = 0
  package var leases: UInt64 = 0
  package var locks: UInt64 = 0
  package var claims: UInt64 = 0
  package var oneShots: UInt64 = 0
  package var stateHash: UInt64 = 0

  package init() {}
}

/// A session, seen from outside.
///
///     size  field
///     8     id
///     8     time to live        milliseconds
///     8     remaining           milliseconds of cluster time
///     8     stored reply bytes
///     2+n   label
package struct SessionInfo: Hashable, Sendable {
  package let id: SessionID
  package let ttl: UInt64
  package let remaining: UInt64
  package let storedBytes: UInt64
  /// Keys that live as long as it does.
  package let keyCount: UInt64
  /// Acquires that hold locks or wait for them.
  package let claimCount: UInt64
  package let label: [UInt8]

  package init(
    id: SessionID,
    ttl: UInt64,
    remaining: UInt64,
    storedBytes: UInt64,
    attached: (keys: UInt64, claims: UInt64),
    label: [UInt8]
  ) {
    self.id = id
    self.ttl = ttl
    self.remaining = remaining
    self.storedBytes = storedBytes
    keyCount = attached.keys
    claimCount = attached.claims
    self.label = label
  }
}

/// A lease, seen from outside; every field 8 bytes, in this order.
package struct LeaseInfo: Hashable, Sendable {
  package let id: UInt64
  package let ttl: UInt64
  package let remaining: UInt64
  package let owner: SessionID
  package let keyCount: UInt64

  package init(id: UInt64, ttl: UInt64, remaining: UInt64, owner: SessionID, keyCount: UInt64) {
    self.id = id
    self.ttl = ttl
    self.remaining = remaining
    self.owner = owner
    self.keyCount = keyCount
  }
}

/// A lock in a list.
package struct LockSummary: Hashable, Sendable {
  package let name: [UInt8]
  package let holders: UInt64
  package let waiters: UInt64

  package init(name: [UInt8], holders: UInt64, waiters: UInt64) {
    self.name = name
    self.holders = holders
    self.waiters = waiters
  }
}

/// Kind 37: a lock, seen from outside.
///
///     size  field
///     8     all holders
///     8     all waiters
///     8     milliseconds for which it rests after a holder's end; else 0
///     4     holders that follow, first come first
///     4     waiters that follow, in their order
///     ...   claims
package struct LockInfo: Hashable, Sendable {
  package let holderCount: UInt64
  package let waiterCount: UInt64
  package let rests: UInt64
  package let holders: [ClaimInfo]
  package let waiters: [ClaimInfo]

  package init(
    counts: (holders: UInt64, waiters: UInt64),
    rests: UInt64,
    holders: [ClaimInfo],
    waiters: [ClaimInfo]
  ) {
    holderCount = counts.holders
    waiterCount = counts.waiters
    self.rests = rests
    self.holders = holders
    self.waiters = waiters
  }
}

/// A holder or a waiter of a lock.
///
///     size  field
///     8     session
///     8     sequence   of the request that asked
///     8     owner
///     8     token      0: it waits
///     8     age        milliseconds since it holds, or waits
///     4     depth      how often the owner took it; for permits, how many it took
///     1     mode       0 exclusive, 1 shared, 2 permits
///     2+n   label      of the session
package struct ClaimInfo: Hashable, Sendable {
  package var session = SessionID.zero
  package var sequence = SequenceNumber.zero
  package var owner: UInt64 = 0
  package var token: UInt64 = 0
  package var age: UInt64 = 0
  package var depth: UInt32 = 0
  package var mode: UInt8 = 0
  package var label: [UInt8] = []

  package init() {}
}

extension Inspection {
  var kind: UInt8 {
    switch self {
    case .status: 32
    case .sessions: 33
    case .leases: 34
    case .lease: 35
    case .locks: 36
    case .lock: 37
    }
  }

  init(kind: UInt8, decoding input: inout Span<UInt8>) throws(WireError) {
    switch kind {
    case 32: self = .status(try StateStatus(decoding: &input))
    case 33: self = .sessions(try input.readList())
    case 34: self = .leases(try input.readList())
    case 35:
      let lease = try LeaseInfo(decoding: &input)
      var keys: [[UInt8]] = []
      for _ in 0..<(try input.read(UInt32.self)) { keys.append(try input.readKey()) }
      self = .lease(lease, keys: keys)
    case 36: self = .locks(try input.readList())
    case 37: self = .lock(try LockInfo(decoding: &input))
    default: throw .invalid("reply kind")
    }
  }

  func encodeBody(into output: inout [UInt8]) {
    switch self {
    case .status(let status): status.encode(into: &output)
    case .sessions(let sessions): output.append(list: sessions)
    case .leases(let leases): output.append(list: leases)
    case .lease(let lease, let keys):
      lease.encode(into: &output)
      output.append(littleEndian: UInt32(keys.count))
      for key in keys { output.append(short: key) }
    case .locks(let locks): output.append(list: locks)
    case .lock(let lock): lock.encode(into: &output)
    }
  }
}

extension Span<UInt8> {
  mutating func readList<Item: WireCodable>() throws(WireError) -> [Item] {
    try readList(count: read())
  }

  mutating func readList<Item: WireCodable>(
    count: UInt32
  ) throws(WireError) -> [Item] {
    var elements: [Item] = []
    for _ in 0..<count { elements.append(try Item(decoding: &self)) }
    return elements
  }
}

extension [UInt8] {
  mutating func append(list elements: [some WireCodable]) {
    append(littleEndian: UInt32(elements.count))
    for element in elements { element.encode(into: &self) }
  }
}

extension StateStatus: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    for field in Self.fields { self[keyPath: field] = try input.read() }
  }

  package func encode(into output: inout [UInt8]) {
    for field in Self.fields { output.append(littleEndian: self[keyPath: field]) }
  }

  private static var fields: [WritableKeyPath<StateStatus, UInt64>] {
    [
      \.revision, \.oldestRevision, \.time, \.keys, \.keyBytes, \.changes, \.historyBytes,
      \.sessions, \.storedReplyBytes, \.leases, \.locks, \.claims, \.oneShots, \.stateHash,
    ]
  }
}

extension SessionInfo: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    id = try SessionID(decoding: &input)
    ttl = try input.read()
    remaining = try input.read()
    storedBytes = try input.read()
    keyCount = try input.read()
    claimCount = try input.read()
    label = try input.readShortBytes("label", limit: CommandLimits.labelByteCount)
  }

  package func encode(into output: inout [UInt8]) {
    id.encode(into: &output)
    output.append(littleEndian: ttl)
    output.append(littleEndian: remaining)
    output.append(littleEndian: storedBytes)
    output.append(littleEndian: keyCount)
    output.append(littleEndian: claimCount)
    output.append(short: label)
  }
}

extension LeaseInfo: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    id = try input.read()
    ttl = try input.read()
    remaining = try input.read()
    owner = try SessionID(decoding: &input)
    keyCount = try input.read()
  }

  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: id)
    output.append(littleEndian: ttl)
    output.append(littleEndian: remaining)
    owner.encode(into: &output)
    output.append(littleEndian: keyCount)
  }
}

extension LockSummary: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    name = try input.readLockName()
    holders = try input.read()
    waiters = try input.read()
  }

  package func encode(into output: inout [UInt8]) {
    output.append(short: name)
    output.append(littleEndian: holders)
    output.append(littleEndian: waiters)
  }
}

extension LockInfo: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    holderCount = try input.read()
    waiterCount = try input.read()
    rests = try input.read()
    let (holders, waiters) = (try input.read(UInt32.self), try input.read(UInt32.self))
    self.holders = try input.readList(count: holders)
    self.waiters = try input.readList(count: waiters)
  }

  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: holderCount)
    output.append(littleEndian: waiterCount)
    output.append(littleEndian: rests)
    output.append(littleEndian: UInt32(holders.count))
    output.append(littleEndian: UInt32(waiters.count))
    for claim in holders { claim.encode(into: &output) }
    for claim in waiters { claim.encode(into: &output) }
  }
}

extension ClaimInfo: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    session = try SessionID(decoding: &input)
    sequence = try SequenceNumber(decoding: &input)
    owner = try input.read()
    token = try input.read()
    age = try input.read()
    depth = try input.read()
    mode = try input.read()
    label = try input.readShortBytes("label", limit: CommandLimits.labelByteCount)
  }

  package func encode(into output: inout [UInt8]) {
    session.encode(into: &output)
    sequence.encode(into: &output)
    output.append(littleEndian: owner)
    output.append(littleEndian: token)
    output.append(littleEndian: age)
    output.append(littleEndian: depth)
    output.append(mode)
    output.append(short: label)
  }
}
