package import RoostWire

/// The session under which a client's requests are numbered.
enum ClientSession: Sendable {
  case none
  /// Asked for by an internal call.
  case opening
  case open(OpenClientSession)
}

/// A session that the cluster has opened for this client.
struct OpenClientSession: Sendable {
  let id: SessionID
  let ttl: Duration
  var window: SequenceWindow
  var renewAt: Instant
  /// Until when the session surely lives, by this client's clock.
  var surelyUntil: Instant
  var renewal: CallID?
}

/// The session's life: opened with the first command, kept alive while it is in use, never replaced under a request.
extension ClientMachine {
  /// Whether a session is open.
  package var openSession: SessionID? {
    if case .open(let open) = session { open.id } else { nil }
  }

  mutating func advanceSession(now: Instant, into effects: inout ClientEffects) {
    guard case .session(let ttl) = settings.identity else { return }
    switch session {
    case .opening: return
    case .none:
      guard !held.isEmpty else { return }
      session = .opening
      let open = OpenSession(ttl: ttl.wholeNanoseconds / 1_000_000, label: settings.label)
      let patience = now.advanced(by: ttl)
      _ = add(.command(.openSession(open)), for: .openSession, deadline: patience, now: now)
    case .open(var open):
      loseWhatIsNotProven(open, now: now, into: &effects)
      guard now >= open.renewAt, open.renewal == nil else { return }
      // One that gets no answer for long makes way for another, which would prove more.
      let patience = now.advanced(by: max(ttl / 3, .milliseconds(100)))
      open.renewal = add(.command(.keepAlive), for: .renewal, deadline: patience, now: now)
      session = .open(open)
    }
  }

  /// When the session is due to be renewed.
  var sessionDeadline: Instant {
    guard case .open(let open) = session else { return .distantFuture }
    let end = holds.isEmpty ? .distantFuture : holdsEnd(open)
    return open.renewal == nil ? min(open.renewAt, end) : end
  }

  /// Until when something surely lives that was given that long when a request was executed, by the client's own clock.
  ///
  /// The cluster's time may run one percent faster.
  static func surely(_ ttl: Duration, from sent: Instant) -> Instant {
    sent.advanced(by: ttl - ttl / 100)
  }

  // MARK: Numbers

  /// Whether a call must have a number of the session before it can be sent.
  func needsNumber(_ call: PendingCall) -> Bool {
    guard case .session = settings.identity, call.isCommand, call.identity == nil else {
      return false
    }
    return call.purpose != .openSession && !call.isFreelyRepeated
  }

  /// Gives a call a number, if the session has one.
  mutating func takeNumber(for id: CallID) -> Bool {
    guard case .open(var open) = session, open.window.hasRoom else { return false }
    // Two owners of one window would copy it with every number.
    session = .opening
    let sequence = open.window.take()
    let first = SequenceNumber(open.window.firstIncomplete)
    calls[id]?.identity = .session(open.id, sequence, firstIncomplete: first)
    session = .open(open)
    return true
  }

  /// Lets a request that was refused for the replies that the session stores acknowledge what it can.
  mutating func renumber(_ id: CallID) {
    guard let request = calls[id]?.request else { return }
    updateWindow(of: request.session) { $0.makeRoom() }
    guard case .open(let open) = session, open.id == request.session else { return }
    let first = min(SequenceNumber(open.window.firstIncomplete), request.sequence)
    calls[id]?.identity = .session(open.id, request.sequence, firstIncomplete: first)
  }

  func isOpen(_ id: SessionID) -> Bool { openSession == id }

  mutating func updateWindow(of id: SessionID, _ body: (inout SequenceWindow) -> Void) {
    guard case .open(var open) = session, open.id == id else { return }
    session = .opening
    body(&open.window)
    session = .open(open)
  }

  /// A numbered request is over: its reply has come, or it was given up.
  mutating func settleNumber(of call: PendingCall, _ result: CallResult, now: Instant) {
    guard let request = call.request else { return }
    parkedCalls[request.sequence] = nil
    if case .answered = result {
      updateWindow(of: request.session) { $0.acknowledge(request.sequence) }
      return
    }
    updateWindow(of: request.session) { $0.yield(request.sequence) }
    if let acquire = call.acquire { settle(acquire, request, now: now) }
  }

  // MARK: Beginning and end

  mutating func didOpenSession(
    _ call: PendingCall,
    _ result: CallResult,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    session = .none
    guard case .answered(let body) = result, case .session = settings.identity else { return }
    guard case .sessionOpened(let opened) = try? Reply(decodingAll: body) else {
      // The cluster takes no session now, which is the answer to whatever waited for one.
      while let id = calls.first(of: held) {
        finish(id, with: result, now: now, into: &effects)
      }
      return
    }
    let ttl = Duration.milliseconds(Int64(clamping: opened.ttl))
    let sentAt = call.sentAt ?? now
    session = .open(
      OpenClientSession(
        id: opened.session,
        ttl: ttl,
        window: SequenceWindow(from: nextSequence),
        renewAt: sentAt.advanced(by: ttl / 3),
        surelyUntil: Self.surely(ttl, from: sentAt)
      )
    )
  }

  mutating func didRenew(_ call: PendingCall, _ result: CallResult, now: Instant) {
    guard case .open(var open) = session else { return }
    open.renewal = nil
    if case .answered(let body) = result, case .done = try? Reply(decodingAll: body) {
      let sentAt = call.sentAt ?? now
      open.renewAt = sentAt.advanced(by: open.ttl / 3)
      open.surelyUntil = max(open.surelyUntil, Self.surely(open.ttl, from: sentAt))
    } else {
      // Refused or unanswered: nothing is proven.
      open.renewAt = now.advanced(by: min(open.ttl / 20, .milliseconds(500)))
    }
    session = .open(open)
  }

  /// The cluster has ended the session.
  ///
  /// The next command opens another; no request is moved over to it.
  mutating func sessionEnded(
    for call: PendingCall,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard case .session(let named, _, _) = call.identity, isOpen(named) else { return }
    endSession(now: now, into: &effects)
  }

  mutating func endSession(now: Instant, into effects: inout ClientEffects) {
    guard case .open(let open) = session else { return }
    nextSequence = open.window.next
    session = .none
    loseAll(.sessionEnded, into: &effects)
    effects.notices.append(.sessionEnded(open.id))
    if let renewal = open.renewal {
      move(renewal, to: .none)
      calls.remove(renewal)
    }
    while let id = calls.first(of: parked) {
      finish(id, .sessionEnded, now: now, into: &effects)
    }
  }
}
