extension Span<UInt8> {
  /// Takes bytes behind a 16-bit length from the front; `what` names them in the error.
  package mutating func readShortBytes(_ what: String, limit: Int) throws(WireError) -> [UInt8] {
    let byteCount = Int(try read(UInt16.self))
    guard byteCount <= limit else {
      throw .tooLarge(what: what, byteCount: UInt64(byteCount), limit: limit)
    }
    return try readBytes(byteCount)
  }

  /// Takes a key from the front: 1 to ``CommandLimits/keyByteCount`` bytes.
  package mutating func readKey() throws(WireError) -> [UInt8] {
    let key = try readShortBytes("key", limit: CommandLimits.keyByteCount)
    guard !key.isEmpty else { throw .invalid("empty key") }
    return key
  }

  /// Takes a value from the front.
  package mutating func readValue() throws(WireError) -> [UInt8] {
    try readPrefixedBytes("value", limit: CommandLimits.valueByteCount)
  }

  /// Takes a lock's name from the front.
  package mutating func readLockName() throws(WireError) -> [UInt8] {
    let name = try readShortBytes("lock name", limit: CommandLimits.lockNameByteCount)
    guard !name.isEmpty else { throw .invalid("empty lock name") }
    return name
  }
}

extension [UInt8] {
  /// Appends bytes behind their length as a 16-bit number.
  package mutating func append(short bytes: [UInt8]) {
    append(littleEndian: UInt16(bytes.count))
    append(contentsOf: bytes)
  }
}

extension KeyRange: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    // The successor of a longest key is one byte longer.
    start = try input.readShortBytes("key", limit: CommandLimits.keyByteCount + 1)
    let end = try input.readShortBytes("key", limit: CommandLimits.keyByteCount + 1)
    self.end = end.isEmpty ? nil : end
  }

  package func encode(into output: inout [UInt8]) {
    output.append(short: start)
    output.append(short: end ?? [])
  }
}

extension LockGuard: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    lock = try input.readLockName()
    token = try input.read()
  }

  package func encode(into output: inout [UInt8]) {
    output.append(short: lock)
    output.append(littleEndian: token)
  }
}

extension Condition: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    switch try input.read(UInt8.self) {
    case 1: self = .absent
    case 2: self = .present
    case 3: self = .version(try input.read())
    case 4: self = .modified(try Revision(decoding: &input))
    case 5: self = .value(try input.readValue())
    default: throw .invalid("condition")
    }
  }

  package func encode(into output: inout [UInt8]) {
    switch self {
    case .absent: output.append(1)
    case .present: output.append(2)
    case .version(let version):
      output.append(3)
      output.append(littleEndian: version)
    case .modified(let revision):
      output.append(4)
      revision.encode(into: &output)
    case .value(let value):
      output.append(5)
      output.append(prefixed: value)
    }
  }
}

extension WriteOptions {
  /// Takes the fields that `flags` announces from the front of `input`.
  package init(flags: UInt8, decoding input: inout Span<UInt8>) throws(WireError) {
    guard flags & 0xC0 == 0 else { throw .invalid("write flags") }
    wantsPrevious = flags & 1 != 0
    switch flags & 14 {
    case 0: lifetime = .unbounded
    case 2: lifetime = .lease(try input.read())
    case 4: lifetime = .milliseconds(try input.read())
    case 8: lifetime = .kept
    default: throw .invalid("write flags")
    }
    lockGuard = flags & 16 == 0 ? nil : try LockGuard(decoding: &input)
    condition = flags & 32 == 0 ? nil : try Condition(decoding: &input)
  }

  /// Appends the fields that ``flags`` announces.
  package func encodeFields(into output: inout [UInt8]) {
    switch lifetime {
    case .unbounded, .kept: break
    case .lease(let id): output.append(littleEndian: id)
    case .milliseconds(let count): output.append(littleEndian: count)
    }
    lockGuard?.encode(into: &output)
    condition?.encode(into: &output)
  }
}
