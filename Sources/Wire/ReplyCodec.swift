extension Reply: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    try self.init(decoding: &input, depth: CommandLimits.nestingDepth + 1)
  }

  init(decoding input: inout Span<UInt8>, depth: Int) throws(WireError) {
    guard depth >= 0 else { throw .invalid("nesting depth") }
    var code = input.extracting(...)
    guard try code.read(UInt16.self) == 0 else {
      self = .failure(try Failure(decoding: &input))
      return
    }
    input = code
    let kind = try input.read(UInt8.self)
    switch kind {
    case 0: self = .done
    case 1: self = .written(try Written(decoding: &input))
    case 2: self = .deleted(try Deleted(decoding: &input))
    case 3:
      let revision = try Revision(decoding: &input)
      let isPresent = try input.readFlag("presence")
      self = .value(revision: revision, isPresent ? try KeyValue(decoding: &input) : nil)
    case 4: self = .page(try Page(decoding: &input))
    case 5: self = .transaction(try TransactionReply(decoding: &input, depth: depth - 1))
    case 6...13: try self.init(otherKind: kind, decoding: &input, depth: depth)
    case 32...: self = .inspection(try Inspection(kind: kind, decoding: &input))
    default: throw .invalid("reply kind")
    }
  }

  private init(
    otherKind kind: UInt8,
    decoding input: inout Span<UInt8>,
    depth: Int
  ) throws(WireError) {
    switch kind {
    case 6: self = .sessionOpened(try SessionOpened(decoding: &input))
    case 7: self = .leaseGranted(id: try input.read(), ttl: try input.read())
    case 8:
      var lives: [Bool] = []
      for _ in 0..<(try input.read(UInt32.self)) { lives.append(try input.readFlag("renewal")) }
      self = .renewed(lives)
    case 9: self = .lock(try LockState(decoding: &input))
    case 10: self = .released(depth: try input.read())
    case 11: self = .outcome(try OutcomeReply(decoding: &input, depth: depth - 1))
    case 12: self = .watching(from: try Revision(decoding: &input))
    default:
      self = .observed(age: try input.read(), try Reply(decoding: &input, depth: depth - 1))
    }
  }

  package func encode(into output: inout [UInt8]) {
    if case .failure(let failure) = self { return failure.encode(into: &output) }
    output.append(littleEndian: UInt16(0))
    output.append(kind)
    switch self {
    case .failure, .done: break
    case .written(let written): written.encode(into: &output)
    case .deleted(let deleted): deleted.encode(into: &output)
    case .value(let revision, let value):
      revision.encode(into: &output)
      output.append(value == nil ? 0 : 1)
      value?.encode(into: &output)
    case .page(let page): page.encode(into: &output)
    case .transaction(let transaction): transaction.encode(into: &output)
    case .sessionOpened(let opened): opened.encode(into: &output)
    case .leaseGranted(let id, let ttl):
      output.append(littleEndian: id)
      output.append(littleEndian: ttl)
    case .renewed(let lives):
      output.append(littleEndian: UInt32(lives.count))
      for lives in lives { output.append(lives ? 1 : 0) }
    case .lock(let state): state.encode(into: &output)
    case .released(let depth): output.append(littleEndian: depth)
    case .outcome(let outcome): outcome.encode(into: &output)
    case .watching(let start): start.encode(into: &output)
    case .observed(let age, let reply):
      output.append(littleEndian: age)
      reply.encode(into: &output)
    case .inspection(let inspection): inspection.encodeBody(into: &output)
    }
  }

  private var kind: UInt8 {
    switch self {
    case .failure, .done: 0
    case .written: 1
    case .deleted: 2
    case .value: 3
    case .page: 4
    case .transaction: 5
    case .sessionOpened: 6
    case .leaseGranted: 7
    case .renewed: 8
    case .lock: 9
    case .released: 10
    case .outcome: 11
    case .watching: 12
    case .observed: Self.observedKind
    case .inspection(let inspection): inspection.kind
    }
  }
}

extension Reply {
  private static let observedKind: UInt8 = 13
  private static let observedByteCount = 11

  /// Begins an observation; the reply to the query follows.
  package static func beginObservation(age: UInt64, in output: inout [UInt8]) {
    output.append(littleEndian: UInt16(0))
    output.append(observedKind)
    output.append(littleEndian: age)
  }

  /// Leaves of an observation that began at `start` the failure alone, if the query failed.
  package static func endObservation(at start: Int, in output: inout [UInt8]) {
    let inner = start + observedByteCount
    guard output.count >= inner + 2, output[inner] != 0 || output[inner + 1] != 0 else { return }
    output.removeSubrange(start..<inner)
  }

  /// The store's revision that a reply shows its reader, found without decoding the rest.
  package static func revision(in bytes: [UInt8]) -> Revision? {
    var input = bytes.span
    return try? revision(in: &input)
  }

  private static func revision(in input: inout Span<UInt8>) throws(WireError) -> Revision? {
    guard try input.read(UInt16.self) == 0 else { return nil }
    switch try input.read(UInt8.self) {
    case 1:
      _ = try input.read(UInt8.self)
      return try Revision(decoding: &input)
    case 2...5: return try Revision(decoding: &input)
    case observedKind:
      _ = try input.read(UInt64.self)
      return try revision(in: &input)
    default: return nil
    }
  }
}

extension KeyValue: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    key = try input.readKey()
    value = try input.readValue()
    created = try Revision(decoding: &input)
    modified = try Revision(decoding: &input)
    version = try input.read()
    lease = try input.read()
  }

  package func encode(into output: inout [UInt8]) {
    output.append(short: key)
    output.append(prefixed: value)
    created.encode(into: &output)
    modified.encode(into: &output)
    output.append(littleEndian: version)
    output.append(littleEndian: lease)
  }
}

extension Written: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let flags = try input.read(UInt8.self)
    guard flags < 4 else { throw .invalid("written flags") }
    revision = try Revision(decoding: &input)
    version = try input.read()
    number = flags & 2 == 0 ? nil : try input.read()
    previous = flags & 1 == 0 ? nil : try KeyValue(decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    output.append((previous == nil ? 0 : 1) | (number == nil ? 0 : 2))
    revision.encode(into: &output)
    output.append(littleEndian: version)
    if let number { output.append(littleEndian: number) }
    previous?.encode(into: &output)
  }
}

extension Span<UInt8> {
  /// Takes keys and values behind their number from the front.
  mutating func readKeyValues() throws(WireError) -> [KeyValue] {
    var entries: [KeyValue] = []
    for _ in 0..<(try read(UInt32.self)) { entries.append(try KeyValue(decoding: &self)) }
    return entries
  }
}

extension Deleted: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    revision = try Revision(decoding: &input)
    count = try input.read()
    more = try input.readFlag("more")
    previous = try input.readKeyValues()
  }

  package func encode(into output: inout [UInt8]) {
    revision.encode(into: &output)
    output.append(littleEndian: count)
    output.append(more ? 1 : 0)
    output.append(littleEndian: UInt32(previous.count))
    for entry in previous { entry.encode(into: &output) }
  }
}

extension Page: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    revision = try Revision(decoding: &input)
    count = try input.read()
    let more = try input.readFlag("more")
    // A key of the longest length has a successor that is one byte longer.
    let next = try input.readShortBytes("key", limit: CommandLimits.keyByteCount + 1)
    guard more || next.isEmpty else { throw .invalid("next key") }
    self.next = more ? next : nil
    entries = try input.readKeyValues()
  }

  package func encode(into output: inout [UInt8]) {
    revision.encode(into: &output)
    output.append(littleEndian: count)
    output.append(next == nil ? 0 : 1)
    output.append(short: next ?? [])
    output.append(littleEndian: UInt32(entries.count))
    for entry in entries { entry.encode(into: &output) }
  }
}

extension TransactionReply: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    try self.init(decoding: &input, depth: CommandLimits.nestingDepth)
  }

  init(decoding input: inout Span<UInt8>, depth: Int) throws(WireError) {
    revision = try Revision(decoding: &input)
    succeeded = try input.readFlag("success")
    var results: [Reply] = []
    for _ in 0..<(try input.read(UInt16.self)) {
      let byteCount = Int(try input.read(UInt32.self))
      guard byteCount <= input.count else {
        throw .truncated(needed: byteCount, available: input.count)
      }
      var result = input.extracting(first: byteCount)
      results.append(try Reply(decoding: &result, depth: depth))
      try result.expectEnd()
      input = input.extracting(droppingFirst: byteCount)
    }
    self.results = results
  }

  package func encode(into output: inout [UInt8]) {
    revision.encode(into: &output)
    output.append(succeeded ? 1 : 0)
    output.append(littleEndian: UInt16(results.count))
    for result in results { result.encodePrefixed(into: &output) }
  }
}

extension Reply {
  /// Appends the reply behind its length.
  func encodePrefixed(into output: inout [UInt8]) {
    let start = output.count
    output.append(littleEndian: UInt32(0))
    encode(into: &output)
    output.overwrite(at: start, littleEndian: UInt32(output.count - start - 4))
  }
}

extension SessionOpened: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    session = try SessionID(decoding: &input)
    ttl = try input.read()
    time = try ClusterTime(decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    session.encode(into: &output)
    output.append(littleEndian: ttl)
    time.encode(into: &output)
  }
}

extension LockState: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let isGranted = try input.readFlag("lock state")
    let number = try input.read(UInt64.self)
    self = isGranted ? .granted(token: number) : .waiting(ahead: number)
  }

  package func encode(into output: inout [UInt8]) {
    switch self {
    case .waiting(let ahead):
      output.append(0)
      output.append(littleEndian: ahead)
    case .granted(let token):
      output.append(1)
      output.append(littleEndian: token)
    }
  }
}

extension OutcomeReply: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    try self.init(decoding: &input, depth: CommandLimits.nestingDepth)
  }

  init(decoding input: inout Span<UInt8>, depth: Int) throws(WireError) {
    switch try input.read(UInt8.self) {
    case 0:
      let byteCount = Int(try input.read(UInt32.self))
      guard byteCount <= input.count else {
        throw .truncated(needed: byteCount, available: input.count)
      }
      var reply = input.extracting(first: byteCount)
      self = .executed(try Reply(decoding: &reply, depth: depth))
      try reply.expectEnd()
      input = input.extracting(droppingFirst: byteCount)
    case 1: self = .barred
    case 2: self = .forgotten
    case 3: self = .waiting
    default: throw .invalid("outcome")
    }
  }

  package func encode(into output: inout [UInt8]) {
    switch self {
    case .executed(let reply):
      output.append(0)
      reply.encodePrefixed(into: &output)
    case .barred: output.append(1)
    case .forgotten: output.append(2)
    case .waiting: output.append(3)
    }
  }
}
