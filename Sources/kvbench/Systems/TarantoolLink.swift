/// Tarantool in its own protocol, iproto with MessagePack: tuples of key and value in space 512.
final class TarantoolLink: Link {
  private static let space: UInt32 = 512
  private var isGreeted = false

  override func reset() { isGreeted = false }

  /// Waits for the greeting.
  override func didOpen() {}

  // MARK: Asking

  override func send(_ slot: Int) throws(LoadError) {
    let key = load.slots[slot].key
    switch load.slots[slot].work {
    case .put: sendPut(slot, key)
    case .get, .staleGet: sendGet(slot, key)
    case .lock:
      load.slots[slot].step = 1
      sendLock(slot, kind: 2)
    case .contendedLock, .grantLease, .renewLease:
      throw LoadError("tarantool knows no locks to wait for and no leases")
    }
  }

  /// The length, which comes first, and the header: kind (0) and number (1).
  private func writeHeader(_ kind: UInt8, _ slot: Int, body: Int, to cursor: inout Cursor) {
    cursor.write(UInt8(0xCE))
    cursor.write(big: UInt32(9 + body))
    cursor.write(UInt8(0x82))
    cursor.write(UInt8(0))
    cursor.write(kind)
    cursor.write(UInt8(1))
    cursor.write(UInt8(0xCE))
    cursor.write(big: UInt32(slot / load.workLinkCount))
  }

  private func writeSpace(to cursor: inout Cursor) {
    cursor.write(UInt8(0x10))
    cursor.write(UInt8(0xCE))
    cursor.write(big: Self.space)
  }

  /// Replaces (3) the tuple of a key.
  private func sendPut(_ slot: Int, _ key: UInt64) {
    let (keyBytes, valueBytes) = (load.options.keyBytes, load.options.valueBytes)
    let body =
      1 + 6 + 2 + Cursor.stringHead(keyBytes) + keyBytes + Cursor.stringHead(valueBytes)
      + valueBytes
    var cursor = out.grow(by: 14 + body)
    writeHeader(3, slot, body: body, to: &cursor)
    cursor.write(UInt8(0x82))
    writeSpace(to: &cursor)
    cursor.write(UInt8(0x21))
    cursor.write(UInt8(0x92))
    cursor.writeStringHead(keyBytes)
    cursor.writeKey(key, byteCount: keyBytes)
    cursor.writeStringHead(valueBytes)
    // SAFETY: the value lives until it is copied.
    unsafe load.values.withNext { unsafe cursor.write($0) }
    out.commit(cursor)
  }

  /// Selects (1) at most one tuple by its key.
  private func sendGet(_ slot: Int, _ key: UInt64) {
    let keyBytes = load.options.keyBytes
    let body = 1 + 6 + 8 + 2 + Cursor.stringHead(keyBytes) + keyBytes
    var cursor = out.grow(by: 14 + body)
    writeHeader(1, slot, body: body, to: &cursor)
    cursor.write(UInt8(0x86))
    writeSpace(to: &cursor)
    // Index 0, limit 1, offset 0, equal.
    cursor.write([0x11, 0, 0x12, 1, 0x13, 0, 0x14, 0, 0x20, 0x91])
    cursor.writeStringHead(keyBytes)
    cursor.writeKey(key, byteCount: keyBytes)
    out.commit(cursor)
  }

  /// Inserts (2) the lock's tuple, which fails if it is there, or deletes (5) it.
  private func sendLock(_ slot: Int, kind: UInt8) {
    let name = Array("\(load.lockName)/\(slot)".utf8)
    let owner = Array("owner".utf8)
    let isInsertion = kind == 2
    let key = 2 + Cursor.stringHead(name.count) + name.count
    let body = isInsertion ? 1 + 6 + key + 1 + owner.count : 1 + 6 + 2 + key
    var cursor = out.grow(by: 14 + body)
    writeHeader(kind, slot, body: body, to: &cursor)
    cursor.write(UInt8(isInsertion ? 0x82 : 0x83))
    writeSpace(to: &cursor)
    cursor.write(isInsertion ? [0x21, 0x92] : [0x11, 0, 0x20, 0x91])
    cursor.writeStringHead(name.count)
    cursor.write(name)
    if isInsertion {
      cursor.writeStringHead(owner.count)
      cursor.write(owner)
    }
    out.commit(cursor)
    load.touch(self)
  }

  // MARK: Answers

  override func receive(_ bytes: Span<UInt8>) throws(LoadError) -> Int {
    var offset = 0
    if !isGreeted {
      guard bytes.count >= 128 else { return 0 }
      offset = 128
      isGreeted = true
      isReady = true
    }
    while bytes.count - offset >= 5 {
      guard bytes[offset] == 0xCE else { throw LoadError("\(address) sent what is no answer") }
      let length = Int(bytes.big32(at: offset + 1))
      guard bytes.count - offset >= 5 + length else { break }
      let message = bytes.extracting((offset + 5)..<(offset + 5 + length))
      offset += 5 + length
      try take(message)
    }
    return offset
  }

  private func take(_ message: Span<UInt8>) throws(LoadError) {
    var (code, number): (UInt64, UInt64) = (0, 0)
    var offset = 1
    let fields = message.isEmpty ? 0 : Int(message[0] & 15)
    for _ in 0..<fields {
      guard offset + 1 < message.count else { break }
      let field = message[offset]
      offset += 1
      let value = Self.number(in: message, at: &offset)
      if field == 0 { code = value }
      if field == 1 { number = value }
    }
    let slot = Int(number) * load.workLinkCount + self.number
    guard slot < load.slotCount else { throw LoadError("\(address) answered what was not asked") }
    if code != 0 { load.tally.lastError = "tarantool's error \(code & 0x7FFF): \(message.text())" }
    let work = load.slots[slot].work
    if work == .lock, code == 0, load.slots[slot].step == 1 {
      load.slots[slot].step = 2
      load.didAcquire(slot)
      return sendLock(slot, kind: 5)
    }
    // A body of {0x30: [tuple]}; an empty list of tuples is one byte less than any other.
    let isEmpty = message.count - offset >= 3 && Self.isEmptyList(message, at: offset + 2)
    if work == .get || work == .staleGet, isEmpty { load.tally.lastError = "the key is not there" }
    let isFound = work == .put || work == .lock || !isEmpty
    try load.finish(slot, code == 0 && isFound, on: self)
  }

  private static func isEmptyList(_ message: Span<UInt8>, at offset: Int) -> Bool {
    switch message[offset] {
    case 0x90: true
    case 0xDD where message.count >= offset + 5: message.big32(at: offset + 1) == 0
    default: false
    }
  }

  private static func number(in message: Span<UInt8>, at offset: inout Int) -> UInt64 {
    let head = message[offset]
    offset += 1
    let width = [0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8][Int(head)] ?? 0
    guard width > 0 else { return UInt64(head) }
    guard message.count - offset >= width else { return 0 }
    var value: UInt64 = 0
    for index in 0..<width { value = value << 8 | UInt64(message[offset + index]) }
    offset += width
    return value
  }
}

extension Cursor {
  /// How many bytes stand before a string of that size in MessagePack.
  static func stringHead(_ byteCount: Int) -> Int {
    byteCount < 32 ? 1 : byteCount < 256 ? 2 : byteCount < 65_536 ? 3 : 5
  }

  fileprivate mutating func writeStringHead(_ byteCount: Int) {
    switch Self.stringHead(byteCount) {
    case 1: write(UInt8(0xA0 | byteCount))
    case 2:
      write(UInt8(0xD9))
      write(UInt8(byteCount))
    case 3:
      write(UInt8(0xDA))
      write(big: UInt16(byteCount))
    default:
      write(UInt8(0xDB))
      write(big: UInt32(byteCount))
    }
  }
}
