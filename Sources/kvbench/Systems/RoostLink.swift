import RoostPlatform
import RoostWire

/// Roost's own protocol: a hello, a session, and requests that each have their number in it.
///
/// Every mutating request carries its at-most-once identity and the lowest number that is unanswered, as a client in real life does.
/// The correlation of a request is its slot's place on this connection.
final class RoostLink: Link {
  /// The most requests of a session that may be unanswered.
  static let window = 512
  private static let openCorrelation = UInt64.max
  private static let closeCorrelation = UInt64.max - 1
  static let watchCorrelation = UInt64(1) << 40

  /// What the node said of itself and its leader.
  private(set) var hello: HelloReply?
  /// Whether it wants to know who leads, and nothing else.
  var isScout = false

  var session = SessionID.zero
  private var nextSequence: UInt64 = 1
  private var firstIncomplete: UInt64 = 1
  /// For each number in the window whether its answer has come, at the number modulo the size.
  private var isAnswered = [Bool](repeating: false, count: 1024)

  override func didOpen() {
    out.append(Hello(role: .client, cluster: .zero).encoded())
  }

  override func reset() {
    hello = nil
    session = .zero
    nextSequence = 1
    firstIncomplete = 1
  }

  // MARK: Asking

  override func send(_ slot: Int) throws(LoadError) {
    switch load.slots[slot].work {
    case .put: sendPut(slot)
    case .get: sendGet(slot, level: .linearizable)
    case .staleGet: sendGet(slot, level: .serializable)
    case .lock, .contendedLock: sendAcquire(slot)
    case .grantLease: sendCommand(slot, .grantLease(ttl: 600_000))
    case .renewLease: sendCommand(slot, .renewLeases([load.slots[slot].number]))
    }
  }

  /// Which of this link's slots it is.
  private func place(of slot: Int) -> UInt64 { UInt64(slot / load.workLinkCount) }

  private func takeSequence(for slot: Int) -> UInt64 {
    let sequence = nextSequence
    nextSequence += 1
    isAnswered[Int(sequence & 1023)] = false
    load.slots[slot].sequence = sequence
    return sequence
  }

  private func didAnswer(_ sequence: UInt64) {
    isAnswered[Int(sequence & 1023)] = true
    while firstIncomplete < nextSequence, isAnswered[Int(firstIncomplete & 1023)] {
      firstIncomplete += 1
    }
  }

  /// The hot one, written straight into what goes out.
  private func sendPut(_ slot: Int) {
    let (keyBytes, valueBytes) = (load.options.keyBytes, load.options.valueBytes)
    let body = 24 + 1 + 1 + 2 + keyBytes + 4 + valueBytes
    var cursor = out.grow(by: FrameHeader.byteCount + body)
    let start = unsafe cursor.place
    writeHeader(.request, body: body, correlation: place(of: slot), to: &cursor)
    let sequence = takeSequence(for: slot)
    cursor.write(session.rawValue)
    cursor.write(sequence)
    cursor.write(firstIncomplete)
    cursor.write(UInt16(1))
    cursor.write(UInt16(keyBytes))
    cursor.writeKey(load.slots[slot].key, byteCount: keyBytes)
    cursor.write(UInt32(valueBytes))
    // SAFETY: the value lives until it is copied.
    unsafe load.values.withNext { unsafe cursor.write($0) }
    unsafe Self.seal(start, byteCount: FrameHeader.byteCount + body)
    out.commit(cursor)
  }

  private func sendGet(_ slot: Int, level: ReadLevel) {
    let keyBytes = load.options.keyBytes
    let body = 1 + 1 + 2 + keyBytes + 8
    var cursor = out.grow(by: FrameHeader.byteCount + body)
    let start = unsafe cursor.place
    writeHeader(.query, body: body, correlation: place(of: slot), to: &cursor)
    cursor.write(level.rawValue)
    cursor.write(UInt8(5))
    cursor.write(UInt16(keyBytes))
    cursor.writeKey(load.slots[slot].key, byteCount: keyBytes)
    cursor.write(UInt64(0))
    unsafe Self.seal(start, byteCount: FrameHeader.byteCount + body)
    out.commit(cursor)
  }

  private func writeHeader(
    _ kind: FrameKind,
    body: Int,
    correlation: UInt64,
    to cursor: inout Cursor
  ) {
    cursor.write(UInt32(0))
    cursor.write(UInt32(body))
    cursor.write(UInt32(kind.rawValue))
    cursor.write(correlation)
  }

  /// Puts the checksum of all that follows at the front of a frame.
  private static func seal(_ start: UnsafeMutableRawPointer, byteCount: Int) {
    // SAFETY: the frame's bytes have just been written there.
    let rest = unsafe UnsafeBufferPointer(
      start: (start + 4).assumingMemoryBound(to: UInt8.self),
      count: byteCount - 4
    )
    let checksum = CRC32C(of: unsafe rest.span).value
    unsafe start.storeBytes(of: checksum.littleEndian, as: UInt32.self)
  }

  private func sendAcquire(_ slot: Int) {
    load.slots[slot].step = 1
    let wait: UInt64 = load.slots[slot].work == .lock ? 0 : .max
    let acquire = Acquire([.init(lockName(slot))], owner: UInt64(slot + 1), wait: wait)
    sendCommand(slot, .acquire(acquire))
  }

  private func sendRelease(_ slot: Int) {
    load.slots[slot].step = 2
    let token = load.slots[slot].number
    sendCommand(slot, .release(Release(token: token, name: lockName(slot))))
  }

  private func lockName(_ slot: Int) -> [UInt8] {
    let own = load.slots[slot].work == .lock
    return Array((load.lockName + (own ? "/\(slot)" : "")).utf8)
  }

  /// What is asked less often goes the plain way.
  private func sendCommand(_ slot: Int, _ command: Command) {
    let identity = RequestIdentity.session(
      session,
      SequenceNumber(takeSequence(for: slot)),
      firstIncomplete: SequenceNumber(firstIncomplete)
    )
    sendRequest(Request(identity, command), correlation: place(of: slot))
  }

  private func sendRequest(_ request: Request, correlation: UInt64) {
    var bytes: [UInt8] = []
    bytes.appendFrame(.request, correlation: correlation) { request.encode(into: &$0) }
    out.append(bytes)
    load.touch(self)
  }

  override func sayGoodbye() {
    guard session > .zero, isReady else { return }
    let first = SequenceNumber(firstIncomplete)
    let identity = RequestIdentity.session(
      session,
      SequenceNumber(nextSequence),
      firstIncomplete: first
    )
    sendRequest(Request(identity, .closeSession), correlation: Self.closeCorrelation)
  }

  // MARK: Answers

  override func receive(_ bytes: Span<UInt8>) throws(LoadError) -> Int {
    var rest = bytes
    do throws(WireError) {
      if hello == nil {
        guard rest.count >= HelloReply.byteCount else { return 0 }
        let reply = try HelloReply(decoding: &rest)
        hello = reply
        guard reply.verdict == .accepted else {
          throw WireError.invalid("hello: \(reply.verdict)")
        }
        if isScout || isWatcher { isReady = true } else { openSession(reply) }
      }
    } catch {
      return try refuse("does not greet as a node does: \(error)")
    }
    while true {
      let header: FrameHeader
      do throws(WireError) {
        guard let next = try FrameHeader.next(in: &rest, bodyLimit: FrameHeader.bodyLimit) else {
          break
        }
        header = next
      } catch {
        throw LoadError("\(address) sent what is no frame: \(error)")
      }
      try take(header, rest.extracting(first: header.bodyByteCount))
      rest = rest.extracting(droppingFirst: header.bodyByteCount)
    }
    return bytes.count - rest.count
  }

  private func refuse(_ reason: String) throws(LoadError) -> Int {
    try loseHope(reason)
    return 0
  }

  private func openSession(_ hello: HelloReply) {
    let identity = RequestIdentity.oneShot(
      OneShotID(high: load.random.next(), low: load.random.next()),
      expiry: ClusterTime(hello.clusterTime.rawValue + 45_000_000_000)
    )
    let open = OpenSession(ttl: 600_000, label: Array("kvbench".utf8))
    sendRequest(Request(identity, .openSession(open)), correlation: Self.openCorrelation)
  }

  private func take(_ header: FrameHeader, _ body: Span<UInt8>) throws(LoadError) {
    switch header.kind {
    case .reply: break
    case .event: return try takeEvent(body)
    default: throw LoadError("\(address) sent a frame of kind \(header.kind)")
    }
    guard header.correlation < Self.watchCorrelation else {
      return try takeOwn(header.correlation, body)
    }
    let slot = Int(header.correlation) * load.workLinkCount + number
    guard slot < load.slotCount, body.count >= 3 else {
      throw LoadError("\(address) answered what was not asked")
    }
    let isDone = body[0] == 0 && body[1] == 0
    if !isDone { load.tally.lastError = Self.failure(body) }
    switch load.slots[slot].work {
    case .get, .staleGet:
      // Kind 3, a revision, and whether the key is there.
      let isFound = isDone && body.count > 11 && body[2] == 3 && body[11] == 1
      if isDone, !isFound { load.tally.lastError = "the key is not there" }
      try load.finish(slot, isFound, on: self)
    case .put:
      didAnswer(load.slots[slot].sequence)
      try load.finish(slot, isDone, on: self)
    case .grantLease:
      didAnswer(load.slots[slot].sequence)
      if isDone { load.slots[slot].number = Self.number(in: body, at: 3) }
      try load.finish(slot, isDone, on: self)
    case .renewLease:
      didAnswer(load.slots[slot].sequence)
      try load.finish(slot, isDone && body.count > 7 && body[7] == 1, on: self)
    case .lock, .contendedLock:
      didAnswer(load.slots[slot].sequence)
      try takeLockReply(slot, body, isDone)
    }
  }

  private func takeLockReply(
    _ slot: Int,
    _ body: Span<UInt8>,
    _ isDone: Bool
  ) throws(LoadError) {
    let isGrant = load.slots[slot].step == 1 && isDone && body.count >= 12 && body[2] == 9
    guard isGrant else { return try load.finish(slot, isDone, on: self) }
    // State 0 is waiting; the grant will come as an event.
    guard body[3] == 1 else { return }
    load.slots[slot].number = Self.number(in: body, at: 4)
    load.didAcquire(slot)
    sendRelease(slot)
    load.didRelease(slot)
  }

  private func takeEvent(_ body: Span<UInt8>) throws(LoadError) {
    guard body.count > 9 else { throw LoadError("\(address) sent a short event") }
    if body[0] == 1 {
      let sequence = Self.number(in: body, at: 1)
      for slot in stride(from: number, to: load.slotCount, by: load.workLinkCount)
      where load.slots[slot].sequence == sequence && load.slots[slot].step == 1 {
        let reply = body.extracting(droppingFirst: 9)
        let isDone = reply.count >= 3 && reply[0] == 0 && reply[1] == 0
        if !isDone { load.tally.lastError = Self.failure(reply) }
        return try takeLockReply(slot, reply, isDone)
      }
    } else if body[0] == 16 {
      try takeWatchEvent(body)
    }
  }

  /// An event of watches: their numbers, 17 bytes, and changes that each of them is told.
  private func takeWatchEvent(_ body: Span<UInt8>) throws(LoadError) {
    let watchCount = Int(body.little32(at: 1))
    guard body.count >= 5 + 8 * watchCount + 21 else {
      throw LoadError("\(address) sent a short event")
    }
    let changes = body.extracting(droppingFirst: 5 + 8 * watchCount + 17)
    let changeCount = takeChanges(changes, ofWatches: UInt64(watchCount))
    for place in 0..<watchCount {
      let watch = body.little64(at: 5 + 8 * place)
      guard watch > 0, watch <= heard.count else {
        throw LoadError("\(address) told of watch \(watch), which there is not")
      }
      heard[Int(watch) - 1] += changeCount
    }
  }

  /// Takes the values of changes: flags, key behind 2, value behind 4, three numbers and a lease; answers how many there were.
  private func takeChanges(_ body: Span<UInt8>, ofWatches watchCount: UInt64) -> UInt64 {
    var offset = 4
    var count: UInt64 = 0
    for _ in 0..<body.little32(at: 0) {
      guard body.count >= offset + 3 else { break }
      let hasPrevious = body[offset] & 2 != 0
      let keyBytes = Int(body[offset + 1]) | Int(body[offset + 2]) << 8
      offset += 3 + keyBytes
      guard body.count >= offset + 4 else { break }
      let valueBytes = Int(body.little32(at: offset))
      guard body.count >= offset + 4 + valueBytes + 32 else { break }
      load.didSee(body.extracting((offset + 4)..<(offset + 4 + valueBytes)), times: watchCount)
      count += 1
      offset += 4 + valueBytes + 32
      // None was asked for.
      if hasPrevious { break }
    }
    return count
  }

  override func subscribe(_ count: Int) throws(LoadError) {
    var key: [UInt8] = Array("k".utf8)
    key += [UInt8](repeating: UInt8(ascii: "0"), count: load.options.keyBytes - 1)
    var bytes: [UInt8] = []
    heard = [UInt64](repeating: 0, count: count)
    for watch in 1...UInt64(count) {
      let request = WatchRequest(watch: watch, range: KeyRange(from: key, to: key + [0]))
      bytes.appendFrame(.watch, correlation: Self.watchCorrelation + watch) {
        request.encode(into: &$0)
      }
    }
    out.append(bytes)
  }

  private func takeOwn(_ correlation: UInt64, _ body: Span<UInt8>) throws(LoadError) {
    if correlation < Self.closeCorrelation {
      guard body.count >= 3, body[0] == 0, body[1] == 0 else {
        throw LoadError("\(address) watches nothing: \(Self.failure(body))")
      }
      confirmedWatches += 1
      return
    }
    guard correlation == Self.openCorrelation else { return }
    guard let reply = try? Reply(decodingAll: body.copied()),
      case .sessionOpened(let opened) = reply
    else {
      return try loseHope("no session: \(Self.failure(body))")
    }
    session = opened.session
    isReady = true
  }

  private static func number(in body: Span<UInt8>, at offset: Int) -> UInt64 {
    guard body.count >= offset + 8 else { return 0 }
    return (0..<8).reduce(0) { $0 | UInt64(body[offset + $1]) << UInt64(8 * $1) }
  }

  private static func failure(_ body: Span<UInt8>) -> String {
    guard let reply = try? Reply(decodingAll: body.copied()), case .failure(let failure) = reply
    else {
      return "an answer that was not expected"
    }
    return "\(failure.code)"
  }
}
