internal import RoostWire

/// Who asks, as the commands need it.
struct Caller {
  /// The session's slot, or nil for a request without a session.
  var slot: UInt32?
  var session: SessionID = .zero
  var sequence: SequenceNumber = .zero
}

/// At most once: every request passes here, and none is executed twice.
extension ReplicatedState {
  /// Applies one request of a batch and ends its reply.
  mutating func apply(
    _ payload: [UInt8],
    _ request: Range<Int>,
    into output: inout AppliedOutput
  ) {
    defer { output.endReply() }
    var input = payload.span.extracting(request)
    let identity: RequestIdentity
    do throws(WireError) {
      guard input.count <= Request.byteLimit else { return output.fail(.tooLarge) }
      identity = try RequestIdentity(decoding: &input)
    } catch {
      return output.fail(.malformed)
    }
    switch identity {
    case .session(let session, let sequence, let firstIncomplete):
      apply(input, of: session, sequence, firstIncomplete, into: &output)
    case .oneShot(let id, let expiry):
      apply(input, once: id, expiry, into: &output)
    }
  }

  private mutating func apply(
    _ command: Span<UInt8>,
    of session: SessionID,
    _ sequence: SequenceNumber,
    _ firstIncomplete: SequenceNumber,
    into output: inout AppliedOutput
  ) {
    guard let slot = liveSession(session) else { return output.fail(.sessionExpired) }
    let caller = Caller(slot: slot, session: session, sequence: sequence)
    guard sequence > .zero else {
      return executeRepeatable(command, by: caller, into: &output)
    }
    let isCrowded = storedReplyBytes >= limits.allStoredReplyBytes
    let admission = updateReplies(of: slot) { [limits] session in
      session.admit(
        sequence.rawValue,
        firstIncomplete: firstIncomplete.rawValue,
        limits: limits,
        isCrowded: isCrowded
      )
    }
    switch admission {
    case .execute: break
    case .answered: return repeatReply(to: caller, into: &output)
    case .refused(.stale):
      guard let state = claimState(of: caller) else { return output.fail(.stale) }
      return output.reply(.lock(state))
    case .refused(let code): return output.fail(code)
    case nil: return output.fail(.sessionExpired)
    }
    let start = output.replyBytes.count
    execute(command, by: caller, into: &output)
    // A closed session has nobody left to repeat a reply to.
    _ = updateReplies(of: slot) { session in
      guard !session.isEnding else { return }
      session.store(
        output.replyBytes.span.extracting(droppingFirst: start),
        for: sequence.rawValue
      )
    }
  }

  /// Changes a session and keeps count of the replies that all sessions store.
  mutating func updateReplies<Result>(
    of slot: UInt32,
    _ body: (inout Session) -> Result
  ) -> Result? {
    sessions.update(slot) { session in
      let before = session.replies.byteCount
      let result = body(&session)
      storedReplyBytes += session.replies.byteCount - before
      return result
    }
  }

  private func repeatReply(to caller: Caller, into output: inout AppliedOutput) {
    guard let slot = caller.slot else { return }
    if has(.replyNotKept) { return output.reply(.done) }
    sessions.withElement(slot) { session in
      let isFound = session.replies.append(
        replyTo: caller.sequence.rawValue,
        to: &output.replyBytes
      )
      precondition(isFound, "an answered request has a stored reply")
    }
  }

  /// Runs a request without a session, unless it ran before or its time is over.
  ///
  /// A reply is kept until cluster time is past the request's expiry, and from then on the request is
  /// refused: at no moment can a duplicate find neither.
  private mutating func apply(
    _ command: Span<UInt8>,
    once id: OneShotID,
    _ expiry: ClusterTime,
    into output: inout AppliedOutput
  ) {
    guard expiry >= time else { return output.fail(.oneShotExpired, detail: time.rawValue) }
    guard expiry.rawValue - time.rawValue <= limits.oneShotAhead else {
      return output.fail(.oneShotTooFarAhead, detail: time.rawValue)
    }
    let key = Self.oneShotKey(id, expiry)
    if !has(.oneShotRunsTwice), let earlier = oneShots.find(key.span) {
      return earlier.withValue { reply in output.replyBytes.append(contentsOf: reply) }
    }
    guard oneShots.count < limits.oneShots, oneShotBytes < limits.oneShotBytes else {
      return output.fail(.overloaded)
    }
    let start = output.replyBytes.count
    execute(command, by: Caller(), into: &output)
    let record = Record(
      key: key.span,
      value: output.replyBytes.span.extracting(droppingFirst: start),
      Record.Numbers(modified: 0, created: 0, version: 1, lease: 0, position: 0)
    )
    oneShots.update(key.span) { _ in record }
    oneShotBytes += record.byteCount
  }

  /// The key of a remembered request: its expiry, so that the first to go stands first, and its id.
  private static func oneShotKey(_ id: OneShotID, _ expiry: ClusterTime) -> [UInt8] {
    var key: [UInt8] = []
    key.reserveCapacity(24)
    key.append(littleEndian: expiry.rawValue.byteSwapped)
    key.append(littleEndian: id.high)
    key.append(littleEndian: id.low)
    return key
  }

  /// When the first remembered request may be forgotten: just past its expiry.
  var firstOneShotExpiry: UInt64? {
    firstOneShot.map { $0.expiry == .max ? .max : $0.expiry + 1 }
  }

  private var firstOneShot: (key: [UInt8], expiry: UInt64)? {
    guard oneShots.count > 0 else { return nil }
    var first: (key: [UInt8], expiry: UInt64)?
    let start: [UInt8] = []
    oneShots.visit(from: start.span, to: nil) { record in
      let key = record.key
      first = (key, UInt64(bigEndian: key.load(at: 0, as: UInt64.self).littleEndian))
      return false
    }
    return first
  }

  /// Forgets up to `steps` requests whose expiry has passed.
  mutating func forgetOneShots(steps: Int) {
    for _ in 0..<steps {
      guard let (key, expiry) = firstOneShot, expiry < time.rawValue else { return }
      oneShotBytes -= oneShots.remove(key.span)?.byteCount ?? 0
    }
  }
}
