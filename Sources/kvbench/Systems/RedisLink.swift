/// Redis in its own protocol, RESP; answers come in the order of the questions.
///
/// Where copies have to confirm a write, `WAIT` follows each one, and the write counts when enough have. A connection
/// waits while its `WAIT` does, so such loads want one connection a client.
final class RedisLink: Link {
  private var queue = SlotQueue()
  /// How many replies of the first slot in the queue have come.
  private var part = 0
  private var isFirstGood = true

  private lazy var wait: [UInt8] =
    load.options.replicas == 0
    ? [] : Self.command(["WAIT", "\(load.options.replicas)", "5000"])
  private static let unlock =
    "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end"

  override func reset() {
    queue.removeAll()
    part = 0
    isFirstGood = true
  }

  // MARK: Asking

  override func send(_ slot: Int) throws(LoadError) {
    let key = load.slots[slot].key
    switch load.slots[slot].work {
    case .put: sendPut(key)
    case .get, .staleGet: sendGet(key)
    case .lock:
      load.slots[slot].step = 1
      let name = "\(load.lockName)/\(slot)"
      out.append(Self.command(["SET", name, name, "NX", "PX", "30000"]) + wait)
    case .grantLease:
      out.append(Self.command(["SET", leaseName(slot), "lease", "PX", "600000"]) + wait)
    case .renewLease:
      out.append(Self.command(["PEXPIRE", leaseName(slot), "600000"]) + wait)
    case .contendedLock: throw LoadError("redis has no lock to wait for")
    }
    queue.append(slot)
  }

  private func leaseName(_ slot: Int) -> String { "\(load.lockName)/\(slot)" }

  private func sendPut(_ key: UInt64) {
    let (keyBytes, valueBytes) = (load.options.keyBytes, load.options.valueBytes)
    var cursor = out.grow(by: 2 * (keyBytes + valueBytes) + 96 + wait.count)
    cursor.write("*3\r\n$3\r\nSET\r\n")
    cursor.writeBulk(keyBytes) { $0.writeKey(key, byteCount: keyBytes) }
    cursor.writeBulk(valueBytes) { cursor in
      // SAFETY: the value lives until it is copied.
      unsafe load.values.withNext { unsafe cursor.write($0) }
    }
    if load.options.verb == .watch {
      // Watchers are told by a channel: Redis has no other news that carries the value.
      cursor.write("*3\r\n$7\r\nPUBLISH\r\n$1\r\nw\r\n")
      cursor.writeBulk(valueBytes) { cursor in
        // SAFETY: the value lives until it is copied.
        unsafe load.values.withNext { unsafe cursor.write($0) }
      }
    }
    cursor.write(wait)
    out.commit(cursor)
  }

  private func sendGet(_ key: UInt64) {
    let keyBytes = load.options.keyBytes
    var cursor = out.grow(by: keyBytes + 48)
    cursor.write("*2\r\n$3\r\nGET\r\n")
    cursor.writeBulk(keyBytes) { $0.writeKey(key, byteCount: keyBytes) }
    out.commit(cursor)
  }

  static func command(_ words: [String]) -> [UInt8] {
    let parts = words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }
    return Array(("*\(words.count)\r\n" + parts.joined()).utf8)
  }

  override func subscribe(_ count: Int) throws(LoadError) {
    guard count == 1 else {
      throw LoadError("redis tells each connection once: one watcher on each")
    }
    out.append(Self.command(["SUBSCRIBE", "w"]))
  }

  // MARK: Answers

  /// One reply: its kind, its number or length, where its bytes are and where it ends.
  private struct Answer {
    var kind: UInt8
    var number: Int
    var bytes: Range<Int>
    var end: Int
    /// Of an array: where its third element's bytes are.
    var third: Range<Int>?
  }

  override func receive(_ bytes: Span<UInt8>) throws(LoadError) -> Int {
    var offset = 0
    while offset < bytes.count, let answer = Self.answer(in: bytes, at: offset) {
      offset = answer.end
      if isWatcher {
        if let value = answer.third, !value.isEmpty {
          load.didSee(bytes.extracting(value))
        } else {
          confirmedWatches += 1
        }
      } else {
        try take(answer, in: bytes)
      }
    }
    return offset
  }

  private static func answer(in bytes: Span<UInt8>, at start: Int) -> Answer? {
    guard let line = bytes.firstIndex(of: UInt8(ascii: "\n"), from: start) else { return nil }
    let number = bytes.decimal(from: start + 1)
    let text = (start + 1)..<max(start + 1, line - 1)
    var answer = Answer(kind: bytes[start], number: number, bytes: text, end: line + 1, third: nil)
    switch answer.kind {
    case UInt8(ascii: "$") where number >= 0:
      guard bytes.count - answer.end >= number + 2 else { return nil }
      answer.bytes = answer.end..<(answer.end + number)
      answer.end += number + 2
    case UInt8(ascii: "*") where number > 0:
      for element in 0..<number {
        guard answer.end < bytes.count, let part = Self.answer(in: bytes, at: answer.end) else {
          return nil
        }
        if element == 2, part.kind == UInt8(ascii: "$") { answer.third = part.bytes }
        answer.end = part.end
      }
    default: break
    }
    return answer
  }

  private func take(_ answer: Answer, in bytes: Span<UInt8>) throws(LoadError) {
    guard let slot = queue.peek else { throw LoadError("\(address) answered what was not asked") }
    let work = load.slots[slot].work
    let isWrite = work != .get && work != .staleGet
    let published = load.options.verb == .watch ? 1 : 0
    let last = isWrite ? published + (load.options.replicas > 0 ? 1 : 0) : 0
    if answer.kind == UInt8(ascii: "-") {
      isFirstGood = false
      load.tally.lastError = bytes.extracting(answer.bytes).text()
    }
    let isNothing = answer.kind == UInt8(ascii: "$") && answer.number < 0
    if part == 0, isNothing, !isWrite || work == .lock {
      isFirstGood = false
      load.tally.lastError = isWrite ? "the lock is held" : "the key is not there"
    }
    if part == last, isWrite, load.options.replicas > 0, answer.number < load.options.replicas {
      isFirstGood = false
      load.tally.lastError = "too few replicas have confirmed it"
    }
    guard part == last else {
      part += 1
      return
    }
    let isGood = isFirstGood
    part = 0
    isFirstGood = true
    _ = queue.popFirst()
    if work == .lock, isGood, load.slots[slot].step == 1 {
      load.slots[slot].step = 2
      load.didAcquire(slot)
      let name = "\(load.lockName)/\(slot)"
      out.append(Self.command(["EVAL", Self.unlock, "1", name, name]) + wait)
      return queue.append(slot)
    }
    try load.finish(slot, isGood, on: self)
  }
}

extension Cursor {
  /// Writes the length and the bytes of a string as RESP has it.
  @inline(__always)
  fileprivate mutating func writeBulk(_ byteCount: Int, _ body: (inout Cursor) -> Void) {
    write(UInt8(ascii: "$"))
    var width = 1
    var rest = byteCount
    while rest > 9 {
      rest /= 10
      width += 1
    }
    write(decimal: UInt64(byteCount), width: width)
    write("\r\n")
    body(&self)
    write("\r\n")
  }
}
