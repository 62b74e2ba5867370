/// etcd: gRPC in HTTP/2, by hand.
///
/// Of the answers only frames are read, no headers: a call that fails ends with headers alone, and one that is done sends its
/// message before them.
final class EtcdLink: Link {
  private static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
  /// What the server may send before it has to hear that it was read.
  static let window = 1 << 28
  private static let put = "/etcdserverpb.KV/Put"
  private static let range = "/etcdserverpb.KV/Range"

  /// A call that has not ended.
  struct Call {
    /// The slot, or nil for a stream that stays.
    var slot: Int?
    /// What came of a message that is not whole.
    var message: [UInt8] = []
    var hasMessage = false
  }

  private(set) var headers = HeaderBlocks()
  private var calls: [UInt32: Call] = [:]
  private var nextStream: UInt32 = 1
  private var renewalStream: UInt32?
  private var renewals = SlotQueue()
  private var watchStream: UInt32?
  /// How many bytes of data the server still takes.
  private var sendWindow = 65_535
  private var waiting = SlotQueue()
  /// Bytes that were read since the server heard of it, in all and of the stream that stays.
  private var unreported = 0

  override func reset() {
    headers = HeaderBlocks()
    calls = [:]
    nextStream = 1
    renewalStream = nil
    renewals.removeAll()
    watchStream = nil
    sendWindow = 65_535
    waiting.removeAll()
    unreported = 0
  }

  override func didOpen() {
    var cursor = out.grow(by: 128)
    cursor.write(Self.preface)
    // Settings: nothing is pushed (2), and each stream may bring that much (4).
    cursor.writeFrame(.settings, 0, stream: 0, byteCount: 12)
    cursor.write(big: UInt16(2))
    cursor.write(big: UInt32(0))
    cursor.write(big: UInt16(4))
    cursor.write(big: UInt32(Self.window))
    cursor.writeFrame(.windowUpdate, 0, stream: 0, byteCount: 4)
    cursor.write(big: UInt32(Self.window - 65_535))
    out.commit(cursor)
    isReady = true
  }

  // MARK: Asking

  override func send(_ slot: Int) throws(LoadError) {
    // What has to wait for room must not be overtaken without end.
    guard waiting.isEmpty, hasRoom else { return waiting.append(slot) }
    sendNow(slot)
  }

  private var hasRoom: Bool {
    sendWindow >= load.options.keyBytes + load.options.valueBytes + 512
  }

  private func sendNow(_ slot: Int) {
    let key = load.slots[slot].key
    switch load.slots[slot].work {
    case .put: sendPut(slot, key)
    case .get, .staleGet:
      var message: [UInt8] = []
      message.append(field: 1, keyBytes(key))
      if load.slots[slot].work == .staleGet { message.append(field: 7, 1) }
      call(Self.range, message, slot: slot)
    case .lock, .contendedLock:
      // A lock lives as long as a lease; a slot keeps its own for the whole run.
      if load.slots[slot].number == 0 { sendGrant(slot, seconds: 60) } else { sendLock(slot) }
    case .grantLease: sendGrant(slot, seconds: 600)
    case .renewLease: sendRenewal(slot)
    }
  }

  private func keyBytes(_ key: UInt64) -> [UInt8] {
    let digits = String(key)
    let zeros = max(0, load.options.keyBytes - 1 - digits.utf8.count)
    return Array(("k" + String(repeating: "0", count: zeros) + digits).utf8)
  }

  /// The hot one, written straight into what goes out.
  private func sendPut(_ slot: Int, _ key: UInt64) {
    let (keyBytes, valueBytes) = (load.options.keyBytes, load.options.valueBytes)
    let keyPart = 1 + Cursor.varintByteCount(keyBytes) + keyBytes
    let message = keyPart + 1 + Cursor.varintByteCount(valueBytes) + valueBytes
    let block = headers.block(path: Self.put)
    let stream = openStream(Call(slot: slot))
    var cursor = out.grow(by: 9 + block.count + 9 + 5 + message)
    cursor.writeFrame(.headers, 4, stream: stream, byteCount: block.count)
    cursor.write(block)
    cursor.writeFrame(.data, 1, stream: stream, byteCount: 5 + message)
    cursor.write(UInt8(0))
    cursor.write(big: UInt32(message))
    cursor.write(UInt8(0x0A))
    cursor.write(varint: keyBytes)
    cursor.writeKey(key, byteCount: keyBytes)
    cursor.write(UInt8(0x12))
    cursor.write(varint: valueBytes)
    // SAFETY: the value lives until it is copied.
    unsafe load.values.withNext { unsafe cursor.write($0) }
    out.commit(cursor)
    sendWindow -= 5 + message
  }

  private func openStream(_ call: Call) -> UInt32 {
    let stream = nextStream
    nextStream += 2
    calls[stream] = call
    return stream
  }

  @discardableResult
  private func call(_ path: String, _ message: [UInt8], slot: Int?, stays: Bool = false) -> UInt32 {
    let stream = openStream(Call(slot: slot))
    let block = headers.block(path: path)
    var cursor = out.grow(by: 9 + block.count)
    cursor.writeFrame(.headers, 4, stream: stream, byteCount: block.count)
    cursor.write(block)
    out.commit(cursor)
    sendMessage(message, on: stream, ends: !stays)
    return stream
  }

  private func sendMessage(_ message: [UInt8], on stream: UInt32, ends: Bool) {
    var cursor = out.grow(by: 14 + message.count)
    cursor.writeFrame(.data, ends ? 1 : 0, stream: stream, byteCount: 5 + message.count)
    cursor.write(UInt8(0))
    cursor.write(big: UInt32(message.count))
    cursor.write(message)
    out.commit(cursor)
    sendWindow -= 5 + message.count
    load.touch(self)
  }

  private func sendGrant(_ slot: Int, seconds: UInt64) {
    load.slots[slot].step = 0
    var message: [UInt8] = []
    message.append(field: 1, seconds)
    call("/etcdserverpb.Lease/LeaseGrant", message, slot: slot)
  }

  private func sendLock(_ slot: Int) {
    load.slots[slot].step = 1
    let isOwn = load.slots[slot].work == .lock
    var message: [UInt8] = []
    message.append(field: 1, Array((load.lockName + (isOwn ? "/\(slot)" : "")).utf8))
    message.append(field: 2, load.slots[slot].number)
    call("/v3lockpb.Lock/Lock", message, slot: slot)
  }

  private func sendRenewal(_ slot: Int) {
    var message: [UInt8] = []
    message.append(field: 1, load.slots[slot].number)
    renewals.append(slot)
    if let renewalStream { return sendMessage(message, on: renewalStream, ends: false) }
    let path = "/etcdserverpb.Lease/LeaseKeepAlive"
    renewalStream = call(path, message, slot: nil, stays: true)
  }

  override func subscribe(_ count: Int) throws(LoadError) {
    for _ in 0..<count {
      var (creation, message): ([UInt8], [UInt8]) = ([], [])
      creation.append(field: 1, keyBytes(0))
      message.append(field: 1, creation)
      if let watchStream {
        sendMessage(message, on: watchStream, ends: false)
      } else {
        watchStream = call("/etcdserverpb.Watch/Watch", message, slot: nil, stays: true)
      }
    }
  }

  // MARK: Answers

  override func receive(_ bytes: Span<UInt8>) throws(LoadError) -> Int {
    var offset = 0
    while bytes.count - offset >= 9 {
      let length = Int(bytes.big32(at: offset) >> 8)
      guard bytes.count - offset >= 9 + length else { break }
      let (kind, flags) = (bytes[offset + 3], bytes[offset + 4])
      let stream = bytes.big32(at: offset + 5) & 0x7FFF_FFFF
      let payload = bytes.extracting((offset + 9)..<(offset + 9 + length))
      offset += 9 + length
      try take(kind, flags, stream, payload)
    }
    return offset
  }

  private func take(
    _ kind: UInt8,
    _ flags: UInt8,
    _ stream: UInt32,
    _ payload: Span<UInt8>
  ) throws(LoadError) {
    switch HTTP2Frame(rawValue: kind) {
    case .data:
      try takeData(stream, payload, isPadded: flags & 8 != 0)
      if flags & 1 != 0 { try end(stream, because: nil) }
    case .headers:
      if flags & 1 != 0 { try end(stream, because: nil) }
    case .reset: try end(stream, because: "the server reset the stream")
    case .settings where flags & 1 == 0: reply(.settings, flags: 1, [])
    case .ping where flags & 1 == 0: reply(.ping, flags: 1, payload.copiedBytes())
    case .goAway:
      throw LoadError("\(address) ends the connection: \(payload.text())")
    case .windowUpdate where stream == 0 && payload.count == 4:
      sendWindow += Int(payload.big32(at: 0) & 0x7FFF_FFFF)
      while hasRoom, let slot = waiting.popFirst() { sendNow(slot) }
    default: break
    }
  }

  private func reply(_ frame: HTTP2Frame, flags: UInt8, stream: UInt32 = 0, _ payload: [UInt8]) {
    var cursor = out.grow(by: 9 + payload.count)
    cursor.writeFrame(frame, flags, stream: stream, byteCount: payload.count)
    cursor.write(payload)
    out.commit(cursor)
  }

  private func takeData(
    _ stream: UInt32,
    _ payload: Span<UInt8>,
    isPadded: Bool
  ) throws(LoadError) {
    unreported += payload.count
    if unreported > Self.window / 4 {
      let increment = (0..<4).map { UInt8(truncatingIfNeeded: unreported >> (24 - 8 * $0)) }
      reply(.windowUpdate, flags: 0, increment)
      // A stream that stays has had most of it.
      for open in [renewalStream, watchStream].compactMap({ $0 }) {
        reply(.windowUpdate, flags: 0, stream: open, increment)
      }
      unreported = 0
    }
    var data = payload
    if isPadded, payload.count > 0 {
      data = payload.extracting(1..<max(1, payload.count - Int(payload[0])))
    }
    guard var call = calls[stream] else { return }
    call.hasMessage = true
    if call.slot != nil {
      // A put's answer says nothing that is needed.
      let needsMessage = call.slot.map { load.slots[$0].work != .put } ?? true
      if needsMessage { call.message += data.copiedBytes() }
      calls[stream] = call
      return
    }
    call.message += data.copiedBytes()
    let taken = try takeMessages(call.message.span, stream)
    call.message.removeFirst(taken)
    calls[stream] = call
  }

  /// Takes the whole messages of a stream that stays, and answers how many bytes they had.
  private func takeMessages(_ bytes: Span<UInt8>, _ stream: UInt32) throws(LoadError) -> Int {
    var offset = 0
    while bytes.count - offset >= 5 {
      let length = Int(bytes.big32(at: offset + 1))
      guard bytes.count - offset >= 5 + length else { break }
      let message = bytes.extracting((offset + 5)..<(offset + 5 + length))
      offset += 5 + length
      if stream == watchStream {
        takeWatch(message)
      } else if let slot = renewals.popFirst() {
        let isAlive = (ProtobufField.first(3, in: message)?.value ?? 0) > 0
        if !isAlive { load.tally.lastError = "the lease has ended" }
        try load.finish(slot, isAlive, on: self)
      }
    }
    return offset
  }

  private func takeWatch(_ message: Span<UInt8>) {
    var offset = 0
    while let field = ProtobufField.next(in: message, at: &offset) {
      if field.number == 3, field.value == 1 { confirmedWatches += 1 }
      guard field.number == 11 else { continue }
      let event = message.extracting(field.bytes)
      guard let pair = ProtobufField.first(2, in: event) else { continue }
      let entry = event.extracting(pair.bytes)
      if let value = ProtobufField.first(5, in: entry) {
        load.didSee(entry.extracting(value.bytes))
      }
    }
  }

  private func end(_ stream: UInt32, because reason: String?) throws(LoadError) {
    guard let call = calls.removeValue(forKey: stream) else { return }
    guard let slot = call.slot else {
      throw LoadError("\(address) ended a stream that was to stay")
    }
    guard call.hasMessage, reason == nil else {
      load.tally.lastError = reason ?? "the call failed"
      return try load.finish(slot, false, on: self)
    }
    let span = call.message.span
    let message = span.extracting(droppingFirst: min(5, span.count))
    switch load.slots[slot].work {
    case .put, .renewLease: try load.finish(slot, true, on: self)
    case .get, .staleGet:
      let isFound = ProtobufField.first(2, in: message) != nil
      if !isFound { load.tally.lastError = "the key is not there" }
      try load.finish(slot, isFound, on: self)
    case .grantLease:
      load.slots[slot].number = ProtobufField.first(2, in: message)?.value ?? 0
      try load.finish(slot, load.slots[slot].number != 0, on: self)
    case .lock, .contendedLock: try takeLock(slot, message)
    }
  }

  private func takeLock(_ slot: Int, _ message: Span<UInt8>) throws(LoadError) {
    switch load.slots[slot].step {
    case 0:
      load.slots[slot].number = ProtobufField.first(2, in: message)?.value ?? 0
      sendLock(slot)
    case 1:
      guard let key = ProtobufField.first(2, in: message) else {
        load.tally.lastError = "a lock without a key"
        return try load.finish(slot, false, on: self)
      }
      load.didAcquire(slot)
      load.slots[slot].step = 2
      var release: [UInt8] = []
      release.append(field: 1, message.extracting(key.bytes).copiedBytes())
      call("/v3lockpb.Lock/Unlock", release, slot: slot)
      load.didRelease(slot)
    default: try load.finish(slot, true, on: self)
    }
  }
}
