extension Command: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let kind = try input.read(UInt8.self)
    switch kind {
    case 1...7:
      var room = TransactionRoom()
      self = .operation(try Operation(kind: kind, decoding: &input, within: &room))
    case 16...19: self = try Self.sessionCommand(kind, decoding: &input)
    case 32...34: self = try Self.leaseCommand(kind, decoding: &input)
    case 48...53: self = try Self.lockCommand(kind, decoding: &input)
    case 64: self = .compact(try Revision(decoding: &input))
    default: throw .invalid("command kind")
    }
  }

  private static func sessionCommand(
    _ kind: UInt8,
    decoding input: inout Span<UInt8>
  ) throws(WireError) -> Command {
    switch kind {
    case 16: return .openSession(try OpenSession(decoding: &input))
    case 17: return .keepAlive
    case 18: return .closeSession
    default: return .outcome(try Outcome(decoding: &input))
    }
  }

  private static func leaseCommand(
    _ kind: UInt8,
    decoding input: inout Span<UInt8>
  ) throws(WireError) -> Command {
    switch kind {
    case 32: return .grantLease(ttl: try input.read())
    case 33:
      let count = try input.read(UInt32.self)
      guard count <= CommandLimits.leasesARenewal else {
        throw .tooLarge(
          what: "renewal",
          byteCount: UInt64(count),
          limit: CommandLimits.leasesARenewal
        )
      }
      var ids: [UInt64] = []
      for _ in 0..<count { ids.append(try input.read()) }
      return .renewLeases(ids)
    default: return .revokeLease(try input.read())
    }
  }

  private static func lockCommand(
    _ kind: UInt8,
    decoding input: inout Span<UInt8>
  ) throws(WireError) -> Command {
    switch kind {
    case 48: return .acquire(try Acquire(decoding: &input))
    case 49: return .release(try Release(decoding: &input))
    case 50: return .cancelAcquire(try SequenceNumber(decoding: &input))
    case 51: return .forceRelease(try input.readLockName())
    case 52: return .bindPrefix(try BindPrefix(decoding: &input))
    default: return .unbindPrefix(try input.readKey())
    }
  }

  package func encode(into output: inout [UInt8]) {
    if case .operation(let operation) = self { return operation.encode(into: &output) }
    output.append(kind)
    switch self {
    case .operation, .keepAlive, .closeSession: break
    case .openSession(let open): open.encode(into: &output)
    case .outcome(let outcome): outcome.encode(into: &output)
    case .grantLease(let number), .revokeLease(let number): output.append(littleEndian: number)
    case .renewLeases(let ids):
      output.append(littleEndian: UInt32(ids.count))
      for id in ids { output.append(littleEndian: id) }
    case .acquire(let acquire): acquire.encode(into: &output)
    case .release(let release): release.encode(into: &output)
    case .cancelAcquire(let sequence): sequence.encode(into: &output)
    case .forceRelease(let bytes), .unbindPrefix(let bytes): output.append(short: bytes)
    case .bindPrefix(let bind): bind.encode(into: &output)
    case .compact(let revision): revision.encode(into: &output)
    }
  }

  private var kind: UInt8 {
    switch self {
    case .operation: 0
    case .openSession: 16
    case .keepAlive: 17
    case .closeSession: 18
    case .outcome: 19
    case .grantLease: 32
    case .renewLeases: 33
    case .revokeLease: 34
    case .acquire: 48
    case .release: 49
    case .cancelAcquire: 50
    case .forceRelease: 51
    case .bindPrefix: 52
    case .unbindPrefix: 53
    case .compact: 64
    }
  }
}

extension OpenSession: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    ttl = try input.read()
    label = try input.readShortBytes("label", limit: CommandLimits.labelByteCount)
  }

  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: ttl)
    output.append(short: label)
  }
}

extension Outcome: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    session = try SessionID(decoding: &input)
    sequence = try SequenceNumber(decoding: &input)
    guard sequence > .zero else { throw .invalid("sequence") }
  }

  package func encode(into output: inout [UInt8]) {
    session.encode(into: &output)
    sequence.encode(into: &output)
  }
}

extension Acquire: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    isReentrant = try input.readFlag("acquire flags")
    owner = try input.read()
    wait = try input.read()
    delay = try input.read()
    let count = try input.read(UInt16.self)
    guard count >= 1, count <= CommandLimits.locksAtOnce, count == 1 || !isReentrant else {
      throw .invalid("number of locks")
    }
    var wants: [Want] = []
    for _ in 0..<count { wants.append(try Want(decoding: &input)) }
    self.wants = wants
  }

  package func encode(into output: inout [UInt8]) {
    output.append(isReentrant ? 1 : 0)
    output.append(littleEndian: owner)
    output.append(littleEndian: wait)
    output.append(littleEndian: delay)
    output.append(littleEndian: UInt16(wants.count))
    for want in wants { want.encode(into: &output) }
  }
}

extension Acquire.Want: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let kind = try input.read(UInt8.self)
    let taken = try input.read(UInt32.self)
    let total = try input.read(UInt32.self)
    guard let mode = Acquire.Mode(kind: kind, taken: taken, total: total) else {
      throw .invalid("lock mode")
    }
    self.mode = mode
    name = try input.readLockName()
  }

  package func encode(into output: inout [UInt8]) {
    let (kind, taken, total) = mode.fields
    output.append(kind)
    output.append(littleEndian: taken)
    output.append(littleEndian: total)
    output.append(short: name)
  }
}

extension Acquire.Mode {
  /// The mode of these three fields, or nil if none is written so.
  package init?(kind: UInt8, taken: UInt32, total: UInt32) {
    switch (kind, taken, total) {
    case (0, 0, 0): self = .exclusive
    case (1, 0, 0): self = .shared
    case (2, 1..., taken...): self = .permits(taken, of: total)
    default: return nil
    }
  }

  /// The three fields that say the mode.
  package var fields: (kind: UInt8, taken: UInt32, total: UInt32) {
    switch self {
    case .exclusive: (0, 0, 0)
    case .shared: (1, 0, 0)
    case .permits(let taken, let total): (2, taken, total)
    }
  }
}

extension Release: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    token = try input.read()
    name = try input.readShortBytes("lock name", limit: CommandLimits.lockNameByteCount)
  }

  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: token)
    output.append(short: name)
  }
}

extension BindPrefix: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    prefix = try input.readKey()
    lock = try input.readLockName()
  }

  package func encode(into output: inout [UInt8]) {
    output.append(short: prefix)
    output.append(short: lock)
  }
}
