/// NATS with JetStream's key-value buckets: text, with an inbox that answers come to.
final class NATSLink: Link {
  private static let bucket = "bench"
  private lazy var inbox = "_INBOX.\(load.lockName.split(separator: "/").joined()).\(number)"
  private var isGreeted = false
  private lazy var subject = Array("$KV.\(Self.bucket).".utf8)

  override func reset() { isGreeted = false }

  /// Waits for what the server says of itself.
  override func didOpen() {}

  // MARK: Asking

  private func place(of slot: Int) -> Int { slot / load.workLinkCount }

  override func send(_ slot: Int) throws(LoadError) {
    switch load.slots[slot].work {
    case .put: sendPut(slot)
    case .get, .staleGet:
      let key = String(decoding: keyBytes(load.slots[slot].key), as: UTF8.self)
      publish(
        "$JS.API.DIRECT.GET.KV_\(Self.bucket).$KV.\(Self.bucket).\(key)",
        slot,
        headers: nil,
        ""
      )
    case .lock:
      load.slots[slot].step = 1
      let head = "Nats-Expected-Last-Subject-Sequence: \(load.slots[slot].number)\r\n"
      publish(lockSubject(slot), slot, headers: head, "owner")
    case .contendedLock, .grantLease, .renewLease:
      throw LoadError("nats has no locks to wait for and no leases")
    }
  }

  private func lockSubject(_ slot: Int) -> String {
    "$KV.\(Self.bucket).\(load.lockName.split(separator: "/").joined(separator: "-"))-\(slot)"
  }

  private func keyBytes(_ key: UInt64) -> [UInt8] {
    let digits = String(key)
    let zeros = max(0, load.options.keyBytes - 1 - digits.utf8.count)
    return Array(("k" + String(repeating: "0", count: zeros) + digits).utf8)
  }

  private func sendPut(_ slot: Int) {
    let (keyBytes, valueBytes) = (load.options.keyBytes, load.options.valueBytes)
    let tail = Array(" \(inbox).\(place(of: slot)) \(valueBytes)\r\n".utf8)
    var cursor = out.grow(by: 4 + subject.count + keyBytes + tail.count + valueBytes + 2)
    cursor.write("PUB ")
    cursor.write(subject)
    cursor.writeKey(load.slots[slot].key, byteCount: keyBytes)
    cursor.write(tail)
    // SAFETY: the value lives until it is copied.
    unsafe load.values.withNext { unsafe cursor.write($0) }
    cursor.write("\r\n")
    out.commit(cursor)
  }

  private func publish(_ subject: String, _ slot: Int, headers: String?, _ body: String) {
    let answer = "\(inbox).\(place(of: slot))"
    if let headers {
      let head = "NATS/1.0\r\n\(headers)\r\n"
      let (own, all) = (head.utf8.count, head.utf8.count + body.utf8.count)
      write("HPUB \(subject) \(answer) \(own) \(all)\r\n\(head)\(body)\r\n")
    } else {
      write("PUB \(subject) \(answer) \(body.utf8.count)\r\n\(body)\r\n")
    }
  }

  private func write(_ text: String) {
    out.append(Array(text.utf8))
    load.touch(self)
  }

  override func subscribe(_ count: Int) throws(LoadError) {
    let key = String(decoding: keyBytes(0), as: UTF8.self)
    for watch in 0..<count {
      let deliver = "watch.\(inbox).\(watch)"
      let configuration =
        "{\"deliver_subject\":\"\(deliver)\",\"deliver_policy\":\"new\",\"ack_policy\":\"none\","
        + "\"replay_policy\":\"instant\",\"max_deliver\":1,\"num_replicas\":1,\"mem_storage\":true,"
        + "\"filter_subject\":\"$KV.\(Self.bucket).\(key)\"}"
      let body = "{\"stream_name\":\"KV_\(Self.bucket)\",\"config\":\(configuration)}"
      write("SUB \(deliver) \(100 + watch)\r\n")
      write(
        "PUB $JS.API.CONSUMER.CREATE.KV_\(Self.bucket) \(inbox).watch \(body.utf8.count)\r\n\(body)\r\n"
      )
    }
  }

  /// Asks for the bucket: three copies in files, the newest value of each key.
  private func askForBucket() {
    let body =
      "{\"name\":\"KV_\(Self.bucket)\",\"subjects\":[\"$KV.\(Self.bucket).>\"],\"retention\":\"limits\","
      + "\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,\"max_age\":0,\"max_msgs_per_subject\":1,"
      + "\"max_msg_size\":-1,\"storage\":\"file\",\"discard\":\"new\",\"num_replicas\":3,"
      + "\"duplicate_window\":120000000000,\"allow_rollup_hdrs\":true,\"deny_delete\":true,"
      + "\"allow_direct\":true}"
    write(
      "PUB $JS.API.STREAM.CREATE.KV_\(Self.bucket) \(inbox).bucket \(body.utf8.count)\r\n\(body)\r\n"
    )
  }

  // MARK: Answers

  override func receive(_ bytes: Span<UInt8>) throws(LoadError) -> Int {
    var offset = 0
    while let line = bytes.firstIndex(of: UInt8(ascii: "\n"), from: offset) {
      let text = bytes.extracting(offset..<line)
      var end = line + 1
      if text.hasBytes("MSG ", at: 0) || text.hasBytes("HMSG ", at: 0) {
        let words = Self.words(text)
        let byteCount = words.last.map { text.decimal(from: $0.lowerBound) } ?? 0
        guard bytes.count - end >= byteCount + 2 else { break }
        let body = bytes.extracting(end..<(end + byteCount))
        end += byteCount + 2
        try takeMessage(text, words, body)
      } else {
        try takeLine(text)
      }
      offset = end
    }
    return offset
  }

  private static func words(_ line: Span<UInt8>) -> [Range<Int>] {
    var (words, start): ([Range<Int>], Int) = ([], 0)
    for index in 0...line.count {
      let isEnd = index == line.count || line[index] == 32 || line[index] == 13
      guard isEnd else { continue }
      if index > start { words.append(start..<index) }
      start = index + 1
    }
    return words
  }

  private func takeLine(_ line: Span<UInt8>) throws(LoadError) {
    if line.hasBytes("INFO", at: 0) {
      write(
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,"
          + "\"lang\":\"swift\",\"version\":\"1\",\"protocol\":1}\r\nSUB \(inbox).* 1\r\nPING\r\n"
      )
    } else if line.hasBytes("PING", at: 0) {
      write("PONG\r\n")
    } else if line.hasBytes("PONG", at: 0), !isGreeted {
      isGreeted = true
      if load.isFilling, number == 0 { askForBucket() } else { isReady = true }
    } else if line.hasBytes("-ERR", at: 0) {
      throw LoadError("\(address): \(line.text())")
    }
  }

  private func takeMessage(
    _ line: Span<UInt8>,
    _ words: [Range<Int>],
    _ body: Span<UInt8>
  ) throws(LoadError) {
    let hasHeaders = line[0] == UInt8(ascii: "H")
    guard words.count >= (hasHeaders ? 5 : 4) else {
      throw LoadError("\(address): \(line.text())")
    }
    let headBytes = hasHeaders ? line.decimal(from: words[words.count - 2].lowerBound) : 0
    let content = body.extracting(droppingFirst: min(headBytes, body.count))
    if isWatcher, line.decimal(from: words[2].lowerBound) >= 100 { return load.didSee(content) }
    let subject = words[1]
    guard let dot = subject.last(where: { line[$0] == UInt8(ascii: ".") }) else { return }
    let isFailure = content.firstIndex(of: "\"error\"") != nil
    switch line[dot + 1] {
    case UInt8(ascii: "w"):
      if isFailure { throw LoadError("no watch: \(content.text(limit: 300))") }
      confirmedWatches += 1
    case UInt8(ascii: "b"):
      let isThere = content.firstIndex(of: "already in use") != nil
      // The members of a young cluster may not have found each other: ask again.
      if isFailure, !isThere { askForBucket() } else { isReady = true }
    default:
      let slot = line.decimal(from: dot + 1) * load.workLinkCount + number
      guard slot < load.slotCount else { return }
      // A status of 400 or more stands in the head's first line.
      let isRefused = hasHeaders && body.count > 9 && body[8] == 32 && body[9] >= 52
      try takeAnswer(slot, body, content, isGood: !isRefused && !hasFailed(slot, content))
    }
  }

  private func hasFailed(_ slot: Int, _ content: Span<UInt8>) -> Bool {
    let work = load.slots[slot].work
    guard work != .get, work != .staleGet else { return false }
    return content.firstIndex(of: "\"error\"") != nil
  }

  private func takeAnswer(
    _ slot: Int,
    _ body: Span<UInt8>,
    _ content: Span<UInt8>,
    isGood: Bool
  ) throws(LoadError) {
    if !isGood { load.tally.lastError = body.text() }
    guard load.slots[slot].work == .lock, isGood else {
      return try load.finish(slot, isGood, on: self)
    }
    if let place = content.firstIndex(of: "\"seq\":") {
      load.slots[slot].number = UInt64(max(0, content.decimal(from: place + 6)))
    }
    guard load.slots[slot].step == 1 else { return try load.finish(slot, true, on: self) }
    load.slots[slot].step = 2
    load.didAcquire(slot)
    let expected = "Nats-Expected-Last-Subject-Sequence: \(load.slots[slot].number)\r\n"
    publish(lockSubject(slot), slot, headers: "KV-Operation: DEL\r\n\(expected)", "")
  }
}
