/// ZooKeeper in its own protocol, jute; answers come in the order of the questions.
///
/// A linearizable read is a `sync` and then a read, as its manual has it. Locks follow its recipe: a sequential ephemeral node,
/// and a watch on the one before.
final class ZooKeeperLink: Link {
  private enum Expectation {
    case nothing
    case end
    case made
    case children
    case absence
    case watch
    case fetched
  }

  private enum Kind: Int32 {
    case create = 1
    case delete = 2
    case exists = 3
    case getData = 4
    case setData = 5
    case getChildren = 8
    case sync = 9
    case addWatch = 106
  }

  private var expectations: [(what: Expectation, slot: Int)] = []
  private var firstExpectation = 0
  private var nextNumber: UInt32 = 1
  private var isGreeted = false
  /// The path of the node that each slot has made, and who waits for which to go.
  private var nodes: [Int: [UInt8]] = [:]
  private var awaited: [[UInt8]: Int] = [:]

  override func reset() {
    expectations = []
    firstExpectation = 0
    isGreeted = false
    nodes = [:]
    awaited = [:]
  }

  override func didOpen() {
    var cursor = out.grow(by: 64)
    cursor.write(big: UInt32(45))
    cursor.write(big: UInt32(0))
    cursor.write(big: UInt64(0))
    cursor.write(big: UInt32(40_000))
    cursor.write(big: UInt64(0))
    cursor.write(big: UInt32(16))
    cursor.write([UInt8](repeating: 0, count: 17))
    out.commit(cursor)
  }

  // MARK: Asking

  private func ask(_ kind: Kind, _ what: Expectation, _ slot: Int = 0, body: [UInt8]) {
    var cursor = out.grow(by: 12 + body.count)
    cursor.write(big: UInt32(8 + body.count))
    cursor.write(big: nextNumber)
    cursor.write(big: UInt32(bitPattern: kind.rawValue))
    cursor.write(body)
    out.commit(cursor)
    nextNumber &+= 1
    expectations.append((what, slot))
    load.touch(self)
  }

  private static func buffer(_ bytes: [UInt8]) -> [UInt8] { big(UInt32(bytes.count)) + bytes }

  private static func big(_ number: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: number >> UInt32(24 - 8 * $0)) }
  }

  private static func path(_ text: String) -> [UInt8] { buffer(Array(text.utf8)) }

  private func keyPath(_ key: UInt64) -> [UInt8] {
    let digits = String(key)
    let zeros = max(0, load.options.keyBytes - 1 - digits.utf8.count)
    return Array(("/b/k" + String(repeating: "0", count: zeros) + digits).utf8)
  }

  /// The lock's directory, its own for each slot or one for all.
  ///
  /// Names hold no further slash.
  private func lockDirectory(_ slot: Int) -> [UInt8] {
    let name = load.lockName.split(separator: "/").joined(separator: "-")
    let isOwn = load.slots[slot].work == .lock
    return Array(("/" + name + (isOwn ? "-\(slot)" : "")).utf8)
  }

  /// Creates a node that everybody may use; flags: 1 ephemeral, 2 sequential.
  private func create(
    _ path: [UInt8],
    _ data: [UInt8],
    flags: UInt32,
    _ what: Expectation,
    _ slot: Int
  ) {
    let access =
      Self.big(1) + Self.big(31) + Self.path("world") + Self.path("anyone")
    let body = Self.buffer(path) + Self.buffer(data) + access + Self.big(flags)
    ask(.create, what, slot, body: body)
  }

  private func nextValue() -> [UInt8] {
    // SAFETY: the value is copied while it lives.
    unsafe load.values.withNext { unsafe [UInt8]($0) }
  }

  override func send(_ slot: Int) throws(LoadError) {
    let path = keyPath(load.slots[slot].key)
    switch load.slots[slot].work {
    case .put where load.isFilling: create(path, nextValue(), flags: 0, .end, slot)
    case .put:
      let body = Self.buffer(path) + Self.buffer(nextValue()) + Self.big(.max)
      ask(.setData, .end, slot, body: body)
    case .get:
      ask(.sync, .nothing, body: Self.buffer(path))
      ask(.getData, .end, slot, body: Self.buffer(path) + [0])
    case .staleGet: ask(.getData, .end, slot, body: Self.buffer(path) + [0])
    case .lock, .contendedLock:
      let directory = lockDirectory(slot)
      if nodes[slot] == nil {
        // The first time the directory may be missing; if another made it, that is as good.
        nodes[slot] = []
        create(directory, [], flags: 0, .nothing, slot)
      }
      create(directory + Array("/n-".utf8), [], flags: 3, .made, slot)
    case .grantLease, .renewLease: throw LoadError("zookeeper has no leases")
    }
  }

  override func subscribe(_ count: Int) throws(LoadError) {
    guard count == 1 else { throw LoadError("zookeeper tells a session once: one watcher on each") }
    // A persistent watch says that the key changed; its value has to be fetched.
    ask(.addWatch, .watch, body: Self.buffer(keyPath(0)) + Self.big(0))
  }

  // MARK: Answers

  override func receive(_ bytes: Span<UInt8>) throws(LoadError) -> Int {
    var offset = 0
    while bytes.count - offset >= 4 {
      let length = Int(bytes.big32(at: offset))
      guard bytes.count - offset >= 4 + length else { break }
      let message = bytes.extracting((offset + 4)..<(offset + 4 + length))
      offset += 4 + length
      if isGreeted {
        guard message.count >= 16 else { throw LoadError("\(address) sent a short answer") }
        try take(message)
      } else {
        isGreeted = true
        if load.isFilling { create(Array("/b".utf8), [], flags: 0, .nothing, 0) }
        isReady = true
      }
    }
    return offset
  }

  private func take(_ message: Span<UInt8>) throws(LoadError) {
    let number = Int32(bitPattern: message.big32(at: 0))
    let failure = Int32(bitPattern: message.big32(at: 12))
    if number == -2 { return }
    if number == -1 { return try takeEvent(message) }
    guard firstExpectation < expectations.count else {
      throw LoadError("\(address) answered what was not asked")
    }
    let (what, slot) = expectations[firstExpectation]
    firstExpectation += 1
    if firstExpectation > 4096 {
      expectations.removeFirst(firstExpectation)
      firstExpectation = 0
    }
    // When the same keys are written for the first time again, they are there.
    if failure == -110, load.isFilling, what == .end {
      return try load.finish(slot, true, on: self)
    }
    if failure != 0, what != .nothing, what != .absence {
      load.tally.lastError = "zookeeper's error \(failure)"
      if what == .watch || what == .fetched { throw LoadError(load.tally.lastError) }
      return try load.finish(slot, false, on: self)
    }
    switch what {
    case .nothing: break
    case .end: try load.finish(slot, true, on: self)
    case .made:
      nodes[slot] = Self.string(in: message, at: 16)
      askForChildren(slot)
    case .children: try takeChildren(message, slot)
    case .absence where failure == -101:
      awaited = awaited.filter { $0.value != slot }
      askForChildren(slot)
    case .absence: break
    case .watch: confirmedWatches += 1
    case .fetched:
      let value = Self.string(in: message, at: 16)
      load.didSee(value.span)
    }
  }

  private static func string(in message: Span<UInt8>, at offset: Int) -> [UInt8] {
    guard message.count >= offset + 4 else { return [] }
    let length = Int(message.big32(at: offset))
    guard message.count >= offset + 4 + length else { return [] }
    return message.extracting((offset + 4)..<(offset + 4 + length)).copiedBytes()
  }

  private func askForChildren(_ slot: Int) {
    ask(.getChildren, .children, slot, body: Self.buffer(lockDirectory(slot)) + [0])
  }

  private func takeEvent(_ message: Span<UInt8>) throws(LoadError) {
    let path = Self.string(in: message, at: 24)
    if isWatcher {
      // Kind 3: the data changed.
      if message.count >= 20, message.big32(at: 16) == 3 {
        ask(.getData, .fetched, body: Self.buffer(path) + [0])
      }
    } else if let slot = awaited.removeValue(forKey: path) {
      askForChildren(slot)
    }
  }

  private func takeChildren(_ message: Span<UInt8>, _ slot: Int) throws(LoadError) {
    let directory = lockDirectory(slot) + [UInt8(ascii: "/")]
    let own = Array((nodes[slot] ?? []).dropFirst(directory.count))
    var before: [UInt8]?
    var offset = 20
    for _ in 0..<message.big32(at: 16) {
      let name = Self.string(in: message, at: offset)
      offset += 4 + name.count
      let isBefore = name.lexicographicallyPrecedes(own)
      if isBefore, before.map({ $0.lexicographicallyPrecedes(name) }) ?? true { before = name }
    }
    if let before {
      awaited[directory + before] = slot
      return ask(.exists, .absence, slot, body: Self.buffer(directory + before) + [1])
    }
    load.didAcquire(slot)
    ask(.delete, .end, slot, body: Self.buffer(directory + own) + Self.big(.max))
    load.didRelease(slot)
  }
}
