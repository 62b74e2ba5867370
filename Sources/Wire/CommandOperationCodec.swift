extension Operation: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    var room = TransactionRoom()
    try self.init(decoding: &input, within: &room)
  }

  /// Decodes an operation that belongs to a transaction, perhaps.
  init(
    decoding input: inout Span<UInt8>,
    within room: inout TransactionRoom
  ) throws(WireError) {
    let kind = try input.read(UInt8.self)
    try self.init(kind: kind, decoding: &input, within: &room)
  }

  /// Decodes an operation whose kind was taken already.
  init(
    kind: UInt8,
    decoding input: inout Span<UInt8>,
    within room: inout TransactionRoom
  ) throws(WireError) {
    switch kind {
    case 1: self = .put(try Put(decoding: &input))
    case 2: self = .delete(try Delete(decoding: &input))
    case 3: self = .deleteRange(try DeleteRange(decoding: &input))
    case 4: self = .update(try Update(decoding: &input))
    case 5: self = .get(try Get(decoding: &input))
    case 6: self = .range(try RangeQuery(decoding: &input))
    case 7: self = .transaction(try Transaction(decoding: &input, within: &room))
    default: throw .invalid("operation kind")
    }
  }

  package func encode(into output: inout [UInt8]) {
    switch self {
    case .put(let put):
      output.append(1)
      put.encode(into: &output)
    case .delete(let delete):
      output.append(2)
      delete.encode(into: &output)
    case .deleteRange(let delete):
      output.append(3)
      delete.encode(into: &output)
    case .update(let update):
      output.append(4)
      update.encode(into: &output)
    case .get(let get):
      output.append(5)
      get.encode(into: &output)
    case .range(let range):
      output.append(6)
      range.encode(into: &output)
    case .transaction(let transaction):
      output.append(7)
      transaction.encode(into: &output)
    }
  }
}

extension Put: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let flags = try input.read(UInt8.self)
    key = try input.readKey()
    value = try input.readValue()
    options = try WriteOptions(flags: flags, decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    output.append(options.flags)
    output.append(short: key)
    output.append(prefixed: value)
    options.encodeFields(into: &output)
  }
}

extension Delete: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let flags = try input.read(UInt8.self)
    guard flags & 14 == 0 else { throw .invalid("delete flags") }
    key = try input.readKey()
    options = try WriteOptions(flags: flags, decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    output.append(options.flags)
    output.append(short: key)
    options.encodeFields(into: &output)
  }
}

extension DeleteRange: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let flags = try input.read(UInt8.self)
    guard flags & ~0b101_0001 == 0 else { throw .invalid("delete flags") }
    range = try KeyRange(decoding: &input)
    let limit = try input.read(UInt32.self)
    guard flags & 64 != 0 || limit == 0 else { throw .invalid("delete limit") }
    self.limit = flags & 64 == 0 ? nil : limit
    wantsPrevious = flags & 1 != 0
    lockGuard = flags & 16 == 0 ? nil : try LockGuard(decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    let flags: UInt8 =
      (wantsPrevious ? 1 : 0) | (lockGuard == nil ? 0 : 16) | (limit == nil ? 0 : 64)
    output.append(flags)
    range.encode(into: &output)
    output.append(littleEndian: limit ?? 0)
    lockGuard?.encode(into: &output)
  }
}

extension Update: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let flags = try input.read(UInt8.self)
    key = try input.readKey()
    switch try input.read(UInt8.self) {
    case 0: change = .add(try input.read())
    case 1: change = .min(try input.read())
    case 2: change = .max(try input.read())
    case 3: change = .append(try input.readValue())
    default: throw .invalid("change")
    }
    options = try WriteOptions(flags: flags, decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    output.append(options.flags)
    output.append(short: key)
    switch change {
    case .add(let number):
      output.append(0)
      output.append(littleEndian: number)
    case .min(let number):
      output.append(1)
      output.append(littleEndian: number)
    case .max(let number):
      output.append(2)
      output.append(littleEndian: number)
    case .append(let bytes):
      output.append(3)
      output.append(prefixed: bytes)
    }
    options.encodeFields(into: &output)
  }
}

extension Get: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    key = try input.readKey()
    revision = try Revision(decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    output.append(short: key)
    revision.encode(into: &output)
  }
}

extension RangeQuery: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let flags = try input.read(UInt8.self)
    guard flags < 16 else { throw .invalid("range flags") }
    range = try KeyRange(decoding: &input)
    revision = try Revision(decoding: &input)
    limit = try input.read()
    byteLimit = try input.read()
    isReverse = flags & 1 != 0
    keysOnly = flags & 2 != 0
    countOnly = flags & 4 != 0
    filter = flags & 8 == 0 ? nil : try Filter(decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    let flags: UInt8 =
      (isReverse ? 1 : 0) | (keysOnly ? 2 : 0) | (countOnly ? 4 : 0) | (filter == nil ? 0 : 8)
    output.append(flags)
    range.encode(into: &output)
    revision.encode(into: &output)
    output.append(littleEndian: limit)
    output.append(littleEndian: byteLimit)
    filter?.encode(into: &output)
  }
}

extension RangeQuery.Filter: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let lowestModified = try Revision(decoding: &input)
    let highestModified = try Revision(decoding: &input)
    let lowestCreated = try Revision(decoding: &input)
    let highestCreated = try Revision(decoding: &input)
    guard lowestModified <= highestModified, lowestCreated <= highestCreated else {
      throw .invalid("filter")
    }
    modified = lowestModified...highestModified
    created = lowestCreated...highestCreated
  }

  package func encode(into output: inout [UInt8]) {
    modified.lowerBound.encode(into: &output)
    modified.upperBound.encode(into: &output)
    created.lowerBound.encode(into: &output)
    created.upperBound.encode(into: &output)
  }
}

/// What a transaction that is being decoded may still hold: without a bound on it, a small request could keep every
/// node busy with taking it apart.
struct TransactionRoom {
  /// How deep transactions may still lie within each other.
  var depth = CommandLimits.nestingDepth
  private var steps = CommandLimits.stepsATransaction

  /// Counts a compare or an operation, in whatever branch it stands.
  mutating func takeStep() throws(WireError) {
    guard steps > 0 else {
      throw .tooLarge(
        what: "transaction",
        byteCount: UInt64(CommandLimits.stepsATransaction) + 1,
        limit: CommandLimits.stepsATransaction
      )
    }
    steps -= 1
  }
}

extension Transaction: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    var room = TransactionRoom()
    try self.init(decoding: &input, within: &room)
  }

  init(
    decoding input: inout Span<UInt8>,
    within room: inout TransactionRoom
  ) throws(WireError) {
    guard room.depth > 0 else { throw .invalid("nesting depth") }
    room.depth -= 1
    // Lists grow as their elements are really there: a count alone allocates nothing.
    var compares: [Compare] = []
    for _ in 0..<(try input.read(UInt16.self)) {
      try room.takeStep()
      compares.append(try Compare(decoding: &input))
    }
    self.compares = compares
    then = try Self.operations(decoding: &input, within: &room)
    otherwise = try Self.operations(decoding: &input, within: &room)
    room.depth += 1
  }

  private static func operations(
    decoding input: inout Span<UInt8>,
    within room: inout TransactionRoom
  ) throws(WireError) -> [Operation] {
    var operations: [Operation] = []
    for _ in 0..<(try input.read(UInt16.self)) {
      try room.takeStep()
      operations.append(try Operation(decoding: &input, within: &room))
    }
    return operations
  }

  package func encode(into output: inout [UInt8]) {
    output.append(littleEndian: UInt16(compares.count))
    for compare in compares { compare.encode(into: &output) }
    output.append(littleEndian: UInt16(then.count))
    for operation in then { operation.encode(into: &output) }
    output.append(littleEndian: UInt16(otherwise.count))
    for operation in otherwise { operation.encode(into: &output) }
  }
}

extension Compare: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let subject = try input.read(UInt8.self)
    guard let relation = Relation(rawValue: try input.read()) else { throw .invalid("relation") }
    self.relation = relation
    switch subject {
    case 1: self.subject = .created(key: try input.readKey(), try input.read())
    case 2: self.subject = .modified(key: try input.readKey(), try input.read())
    case 3: self.subject = .version(key: try input.readKey(), try input.read())
    case 4: self.subject = .lease(key: try input.readKey(), try input.read())
    case 5: self.subject = .value(key: try input.readKey(), try input.readValue())
    case 6:
      let key = try input.readKey()
      switch try input.read(UInt64.self) {
      case 0: self.subject = .exists(key: key, false)
      case 1: self.subject = .exists(key: key, true)
      default: throw .invalid("existence")
      }
    case 7: self.subject = .count(try KeyRange(decoding: &input), try input.read())
    case 8: self.subject = .lockHeld(try LockGuard(decoding: &input))
    default: throw .invalid("compare subject")
    }
  }

  package func encode(into output: inout [UInt8]) {
    output.append(subject.kind)
    output.append(relation.rawValue)
    switch subject {
    case .created(let key, let number), .modified(let key, let number),
      .version(let key, let number), .lease(let key, let number):
      output.append(short: key)
      output.append(littleEndian: number)
    case .value(let key, let value):
      output.append(short: key)
      output.append(prefixed: value)
    case .exists(let key, let exists):
      output.append(short: key)
      output.append(littleEndian: UInt64(exists ? 1 : 0))
    case .count(let range, let number):
      range.encode(into: &output)
      output.append(littleEndian: number)
    case .lockHeld(let lockGuard): lockGuard.encode(into: &output)
    }
  }
}

extension Compare.Subject {
  var kind: UInt8 {
    switch self {
    case .created: 1
    case .modified: 2
    case .version: 3
    case .lease: 4
    case .value: 5
    case .exists: 6
    case .count: 7
    case .lockHeld: 8
    }
  }
}
