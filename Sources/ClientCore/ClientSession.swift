internal import RoostWire

/// The session under which a client's requests are numbered.
enum ClientSession: Sendable {
  case none
  /// Asked for by an internal call.
  case opening(CallID)
  case open(OpenClientSession)
}

/// A session that the cluster has opened for this client.
struct OpenClientSession: Sendable {
  let id: SessionID
  let ttl: Duration
  var nextSequence: UInt64 = 1
  /// Numbers whose replies have not come, ascending.
  var unanswered: [SequenceNumber] = []
  var renewAt: Instant
  var renewal: CallID?

  var firstIncomplete: SequenceNumber { unanswered.first ?? SequenceNumber(nextSequence) }
}

/// The session's life: opened with the first command, kept alive while it is in use, never replaced under a request.
extension ClientMachine {
  /// The most requests of one session that may be unanswered; the rest wait here.
  static let window = 512

  mutating func advanceSession(now: Instant) {
    guard case .session(let ttl) = settings.identity else { return }
    let patience = now.advanced(by: ttl)
    switch session {
    case .opening: return
    case .none:
      guard order.contains(where: { calls[$0]?.isCommand == true }) else { return }
      let open = OpenSession(ttl: ttl.wholeNanoseconds / 1_000_000, label: settings.label)
      session = .opening(addOwn(.openSession(open), deadline: patience, now: now))
    case .open(var open):
      guard now >= open.renewAt, open.renewal == nil else { return }
      open.renewal = addOwn(.keepAlive, deadline: patience, now: now)
      session = .open(open)
    }
  }

  /// A call of the session's own, which may outlive it.
  private mutating func addOwn(_ command: Command, deadline: Instant, now: Instant) -> CallID {
    let id = add(.command(command), deadline: deadline, now: now)
    calls[id]?.isOwn = true
    return id
  }

  /// When the session is due to be renewed.
  var sessionDeadline: Instant {
    guard case .open(let open) = session, open.renewal == nil else { return .distantFuture }
    return open.renewAt
  }

  mutating func sessionIdentity(for id: CallID, _ command: Command) -> RequestIdentity? {
    guard case .open(var open) = session else { return nil }
    if case .keepAlive = command {
      // May be repeated freely, so it takes no number.
      return .session(open.id, .zero, firstIncomplete: open.firstIncomplete)
    }
    guard open.unanswered.count < Self.window else { return nil }
    let sequence = SequenceNumber(open.nextSequence)
    open.nextSequence += 1
    open.unanswered.append(sequence)
    session = .open(open)
    calls[id]?.place = (open.id, sequence)
    return .session(open.id, sequence, firstIncomplete: open.firstIncomplete)
  }

  /// Takes in the answer to a call as far as it concerns the session; true if the call was the session's own.
  mutating func completeSession(_ id: CallID, _ body: [UInt8], now: Instant) -> Bool {
    switch session {
    case .opening(id):
      guard case .session(let ttl) = settings.identity else { return false }
      guard case .sessionOpened(let opened) = try? Reply(decodingAll: body) else { return false }
      session = .open(
        OpenClientSession(id: opened.session, ttl: ttl, renewAt: now.advanced(by: ttl / 3))
      )
      return true
    case .open(var open):
      if open.renewal == id {
        open.renewal = nil
        open.renewAt = now.advanced(by: open.ttl / 3)
        session = .open(open)
        return true
      }
      acknowledge(id)
      return false
    case .none, .opening:
      return false
    }
  }

  /// The reply to a numbered request has come.
  private mutating func acknowledge(_ id: CallID) {
    guard case .open(var open) = session, let place = calls[id]?.place else { return }
    guard place.session == open.id else { return }
    open.unanswered.removeAll { $0 == place.sequence }
    session = .open(open)
  }

  /// Takes in that a call failed as far as it concerns the session; true if the call was the session's own.
  ///
  /// A number whose request was given up stays unanswered for ever: to acknowledge it would be to claim that its reply
  /// had come.
  mutating func failSession(_ id: CallID, _ result: CallResult) -> Bool {
    switch session {
    case .opening(id):
      session = .none
      return true
    case .open(var open) where open.renewal == id:
      open.renewal = nil
      session = .open(open)
      return true
    case .open:
      if case .answered = result { acknowledge(id) }
      return false
    case .none, .opening:
      return false
    }
  }

  /// The cluster has ended the session.
  ///
  /// The next command opens another; no request is moved over to it.
  mutating func sessionEnded(for call: PendingCall) {
    guard case .open(let open) = session else { return }
    // A late answer that names an earlier session says nothing about this one.
    if let place = call.place, place.session != open.id { return }
    session = .none
  }
}
