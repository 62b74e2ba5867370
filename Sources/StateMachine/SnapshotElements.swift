internal import RoostWire

/// What a snapshot carries out of a ``SlotTable``.
protocol SnapshotElement: SlotElement, WireCodable {}

extension Record {
  /// Appends the record with all its numbers, as snapshots carry it.
  func encodeWhole(into output: inout [UInt8]) {
    let numbers = numbers
    for number in [
      numbers.modified, numbers.created, numbers.version, numbers.lease, numbers.position,
    ] {
      output.append(littleEndian: number)
    }
    output.append(littleEndian: UInt16(keyByteCount))
    withKey { output.append(contentsOf: $0) }
    output.append(littleEndian: UInt32(valueByteCount))
    withValue { output.append(contentsOf: $0) }
  }

  init(decodingWhole input: inout Span<UInt8>) throws(WireError) {
    let numbers = Numbers(
      modified: try input.read(),
      created: try input.read(),
      version: try input.read(),
      lease: try input.read(),
      position: try input.read()
    )
    let keyCount = Int(try input.read(UInt16.self))
    guard input.count >= keyCount + 4 else {
      throw .truncated(needed: keyCount + 4, available: input.count)
    }
    var rest = input.extracting(droppingFirst: keyCount)
    let valueCount = Int(try rest.read(UInt32.self))
    guard rest.count >= valueCount else {
      throw .truncated(needed: valueCount, available: rest.count)
    }
    self.init(
      key: input.extracting(first: keyCount),
      value: rest.extracting(first: valueCount),
      numbers
    )
    input = rest.extracting(droppingFirst: valueCount)
  }
}

extension Timer: WireCodable {
  init(decoding input: inout Span<UInt8>) throws(WireError) {
    time = try input.read()
    guard let kind = Kind(rawValue: try input.read()) else { throw .invalid("timer") }
    self.kind = kind
    id = try input.read()
  }

  func encode(into output: inout [UInt8]) {
    output.append(littleEndian: time)
    output.append(kind.rawValue)
    output.append(littleEndian: id)
  }
}

extension Session: SnapshotElement {
  init(decoding input: inout Span<UInt8>) throws(WireError) {
    id = try input.read()
    ttl = try input.read()
    label = try input.readShortBytes("label", limit: CommandLimits.labelByteCount)
    deadline = try input.read()
    firstIncomplete = try input.read()
    highest = try input.read()
    isEnding = try input.readFlag("ending")
    endsUncleanly = try input.readFlag("unclean end")
    firstClaim = try input.read()
    replies = try StoredReplies(decoding: &input, limit: 16 << 20)
  }

  func encode(into output: inout [UInt8]) {
    output.append(littleEndian: id)
    output.append(littleEndian: ttl)
    output.append(short: label)
    output.append(littleEndian: deadline)
    output.append(littleEndian: firstIncomplete)
    output.append(littleEndian: highest)
    output.append(isEnding ? 1 : 0)
    output.append(endsUncleanly ? 1 : 0)
    output.append(littleEndian: firstClaim)
    replies.encode(into: &output)
  }
}

extension Lease: SnapshotElement {
  init(decoding input: inout Span<UInt8>) throws(WireError) {
    id = try input.read()
    ttl = try input.read()
    owner = try input.read()
    isOfOneKey = try input.readFlag("lease of one key")
    deadline = try input.read()
    isEnding = try input.readFlag("ending")
  }

  func encode(into output: inout [UInt8]) {
    output.append(littleEndian: id)
    output.append(littleEndian: ttl)
    output.append(littleEndian: owner)
    output.append(isOfOneKey ? 1 : 0)
    output.append(littleEndian: deadline)
    output.append(isEnding ? 1 : 0)
  }
}

extension ClaimList: WireCodable {
  init(decoding input: inout Span<UInt8>) throws(WireError) {
    first = try input.read()
    last = try input.read()
    count = Int(try input.read(UInt32.self))
  }

  func encode(into output: inout [UInt8]) {
    output.append(littleEndian: first)
    output.append(littleEndian: last)
    output.append(littleEndian: UInt32(count))
  }
}

extension Lock: SnapshotElement {
  init(decoding input: inout Span<UInt8>) throws(WireError) {
    name = try input.readLockName()
    total = try input.read()
    taken = try input.read()
    isExclusive = try input.readFlag("exclusive")
    holders = try ClaimList(decoding: &input)
    waiters = try ClaimList(decoding: &input)
    joinedWaiters = Int(try input.read(UInt32.self))
    restsUntil = try input.read()
    voidThrough = try input.read()
  }

  func encode(into output: inout [UInt8]) {
    output.append(short: name)
    output.append(littleEndian: total)
    output.append(littleEndian: taken)
    output.append(isExclusive ? 1 : 0)
    holders.encode(into: &output)
    waiters.encode(into: &output)
    output.append(littleEndian: UInt32(joinedWaiters))
    output.append(littleEndian: restsUntil)
    output.append(littleEndian: voidThrough)
  }
}

extension Claim: SnapshotElement {
  init(decoding input: inout Span<UInt8>) throws(WireError) {
    session = try input.read()
    sessionSlot = try input.read()
    sequence = try input.read()
    owner = try input.read()
    delay = try input.read()
    token = try input.read()
    since = try input.read()
    deadline = try input.read()
    firstPart = try input.read()
    partCount = Int(try input.read(UInt32.self))
    nextOfSession = try input.read()
    previousOfSession = try input.read()
  }

  func encode(into output: inout [UInt8]) {
    output.append(littleEndian: session)
    output.append(littleEndian: sessionSlot)
    for number in [sequence, owner, delay, token, since, deadline] {
      output.append(littleEndian: number)
    }
    for number in [firstPart, UInt32(partCount), nextOfSession, previousOfSession] {
      output.append(littleEndian: number)
    }
  }
}

extension Part: SnapshotElement {
  init(decoding input: inout Span<UInt8>) throws(WireError) {
    claim = try input.read()
    lock = try input.read()
    let (kind, taken, total) = (
      try input.read(UInt8.self), try input.read(UInt32.self), try input.read(UInt32.self)
    )
    guard let mode = Acquire.Mode(kind: kind, taken: taken, total: total) else {
      throw .invalid("lock mode")
    }
    self.mode = mode
    depth = try input.read()
    next = try input.read()
    previous = try input.read()
    nextOfClaim = try input.read()
  }

  func encode(into output: inout [UInt8]) {
    output.append(littleEndian: claim)
    output.append(littleEndian: lock)
    let (kind, taken, total) = mode.fields
    output.append(kind)
    for number in [taken, total, depth, next, previous, nextOfClaim] {
      output.append(littleEndian: number)
    }
  }
}
