internal import RoostWire

/// Locks: taken, given back, taken away.
extension ReplicatedState {
  mutating func acquire(
    _ acquire: Acquire,
    by caller: Caller,
    into output: inout AppliedOutput
  ) throws(Failure) {
    guard let slot = caller.slot else { throw Failure(.sessionRequired) }
    if try reenter(acquire, by: caller, into: &output) { return }
    try check(acquire.wants)
    guard locks.claims.count < limits.claims, locks.claims.hasRoom, locks.locks.hasRoom,
      locks.parts.count < limits.claims * 2
    else { throw Failure(.limitReached, detail: UInt64(limits.claims)) }
    let now = time.rawValue
    let isFree =
      locks.isFree(acquire.wants, at: now, passing: limits.has(.letsPass))
      || has(.lockGrantedTwice)
    if !isFree { try mayWait(acquire, by: caller) }
    let deadline = isFree ? 0 : now.addingCapped(acquire.wait.millisecondsCapped)
    let claim = Claim(
      session: caller.session.rawValue,
      sessionSlot: slot,
      sequence: caller.sequence.rawValue,
      owner: acquire.owner,
      delay: min(acquire.delay, StateLimits.longestLockDelay) * 1_000_000,
      since: now,
      deadline: deadline
    )
    let added = locks.add(claim, acquire.wants, isGranted: isFree)
    link(added, to: slot)
    guard !isFree else {
      if has(.tokenReused), locks.lastToken > 1 { locks.lastToken -= 1 }
      let token = locks.grant(added, wasWaiting: false, at: now)
      return output.reply(.lock(.granted(token: token)))
    }
    if deadline != .max {
      timers.insert(
        Timer(time: deadline, kind: .claimDeadline, id: locks.claims.id(ofSlot: added))
      )
    }
    output.reply(.lock(.waiting(ahead: ahead(of: added))))
  }

  /// Refuses wants that name a lock twice or ask for permits it does not have.
  private func check(_ wants: [Acquire.Want]) throws(Failure) {
    for (index, want) in wants.enumerated() {
      if let lock = locks.lock(named: want.name) {
        guard locks.locks.withElement(lock, { LockTable.fits($0, want.mode) }) else {
          throw Failure(.lockModeMismatch, bytes: want.name)
        }
      }
      guard !wants[..<index].contains(where: { $0.name == want.name }) else {
        throw Failure(.lockAlreadyHeld, bytes: want.name)
      }
    }
  }

  /// Refuses to wait where the caller will not, or where nobody would ever get on.
  private func mayWait(_ acquire: Acquire, by caller: Caller) throws(Failure) {
    let asker = (session: caller.session.rawValue, owner: acquire.owner)
    let circle = locks.circle(closedBy: acquire.wants, of: asker)
    if let circle {
      if circle.count == 1 {
        throw Failure(.lockAlreadyHeld, bytes: circle[0].lock)
      }
      if acquire.wait > 0 { throw Failure(.deadlock, bytes: Self.encoded(circle)) }
    }
    guard acquire.wait > 0 else { throw Failure(.lockBusy, bytes: acquire.wants[0].name) }
  }

  /// The circle as a failure carries it: for each lock its name and who holds it.
  private static func encoded(_ circle: [LockTable.Link]) -> [UInt8] {
    var bytes: [UInt8] = []
    for link in circle {
      guard bytes.count + link.lock.count + 10 <= Failure.byteLimit else { break }
      bytes.append(short: link.lock)
      bytes.append(littleEndian: link.holder)
    }
    return bytes
  }

  /// Takes a lock once more for an owner that holds it, if that was asked for; answers whether it was.
  private mutating func reenter(
    _ acquire: Acquire,
    by caller: Caller,
    into output: inout AppliedOutput
  ) throws(Failure) -> Bool {
    guard acquire.isReentrant else { return false }
    let owner = (session: caller.session.rawValue, owner: acquire.owner)
    guard let part = locks.heldPart(of: acquire.wants[0], by: owner),
      let (depth, claim) = locks.parts[part].map({ ($0.depth, $0.claim) })
    else { return false }
    guard depth < .max else { throw Failure(.limitReached) }
    locks.parts.update(part) { $0.depth += 1 }
    output.reply(.lock(.granted(token: locks.claims[claim]?.token ?? 0)))
    return true
  }

  /// Where the claim of an acknowledged acquire stands that had to wait: a retry finds its place.
  func claimState(of caller: Caller) -> LockState? {
    guard
      let claim = locks.claim(ofRequest: caller.sequence.rawValue, by: caller.session.rawValue),
      let (isWaiting, token) = locks.claims[claim].map({ ($0.isWaiting, $0.token) })
    else { return nil }
    if isWaiting { return .waiting(ahead: ahead(of: claim)) }
    return locks.isVoid(claim) ? nil : .granted(token: token)
  }

  /// The claim of an acquire that waits, or waited, or whose reply, a grant, the session has not acknowledged.
  private func claim(ofRequest sequence: UInt64, by caller: Caller, _ slot: UInt32) -> UInt32? {
    let session = caller.session.rawValue
    if let claim = locks.claim(ofRequest: sequence, by: session) { return claim }
    var stored: [UInt8] = []
    let isStored = sessions.withElement(slot) { session in
      session.replies.append(replyTo: sequence, to: &stored)
    }
    guard isStored, case .lock(.granted(let token))? = try? Reply(decodingAll: stored),
      let claim = locks.claim(withToken: token), locks.claims[claim]?.session == session,
      locks.claims[claim]?.sequence == sequence
    else { return nil }
    return claim
  }

  private func ahead(of claim: UInt32) -> UInt64 {
    var most = 0
    for part in locks.partsOf(claim) {
      guard let lock = locks.parts[part]?.lock else { continue }
      most = max(most, locks.locks.withElement(lock) { $0.waiters.count - 1 })
    }
    return UInt64(most)
  }

  mutating func release(
    _ release: Release,
    by caller: Caller,
    into output: inout AppliedOutput
  ) throws(Failure) {
    guard let claim = locks.claim(withToken: release.token),
      locks.claims[claim]?.session == caller.session.rawValue || limits.has(.releasesForAnybody),
      caller.slot != nil
    else { throw Failure(.lockNotHeld, bytes: release.name) }
    guard !release.name.isEmpty else {
      guard !locks.isVoid(claim) else { throw Failure(.lockNotHeld, bytes: release.name) }
      removeClaim(claim, rests: false, into: &output)
      return output.reply(.released(depth: 0))
    }
    guard let lock = locks.lock(named: release.name), let part = locks.part(of: claim, in: lock),
      locks.locks.withElement(lock, { $0.voidThrough < release.token })
    else { throw Failure(.lockNotHeld, bytes: release.name) }
    let depth = (locks.parts[part]?.depth ?? 1) - 1
    if depth > 0 {
      locks.parts.update(part) { $0.depth = depth }
    } else {
      removePart(part, of: claim)
      advance([lock], into: &output)
    }
    output.reply(.released(depth: depth))
  }

  mutating func cancelAcquire(
    _ sequence: SequenceNumber,
    by caller: Caller,
    into output: inout AppliedOutput
  ) throws(Failure) {
    guard let slot = caller.slot else { throw Failure(.sessionRequired) }
    guard let claim = claim(ofRequest: sequence.rawValue, by: caller, slot),
      let (isWaiting, token) = locks.claims[claim].map({ ($0.isWaiting, $0.token) }),
      isWaiting || !locks.isVoid(claim)
    else { throw Failure(.lockNotHeld) }
    guard isWaiting else { return output.reply(.lock(.granted(token: token))) }
    resolve(claim, .failure(Failure(.lockCancelled)), into: &output)
    removeClaim(claim, rests: false, into: &output)
    output.reply(.done)
  }

  mutating func forceRelease(
    _ name: [UInt8],
    into output: inout AppliedOutput
  ) throws(Failure) {
    guard let lock = locks.lock(named: name), let newest = locks.newestGrant(of: lock) else {
      throw Failure(.lockNotHeld, bytes: name)
    }
    locks.locks.update(lock) { $0.voidThrough = newest }
    clearVoid(lock, into: &output)
    output.reply(.done)
  }

  /// Takes away grants that an operator ended and tells their sessions, in steps; then others get on.
  private mutating func clearVoid(_ lock: UInt32, into output: inout AppliedOutput) {
    while let part = locks.voidPart(of: lock), let holder = locks.parts[part] {
      guard stepsLeft > 0 else { return goOnLater(with: lock) }
      stepsLeft -= LockTable.stepsALock
      if let claim = locks.claims[holder.claim], let name = locks.locks[lock]?.name {
        output.push(
          .lockLost(token: claim.token, name: name),
          to: SessionID(claim.session),
          about: SequenceNumber(claim.sequence)
        )
      }
      removePart(part, of: holder.claim)
    }
    advance([lock], into: &output)
  }

  private mutating func goOnLater(with lock: UInt32) {
    let id = locks.locks.id(ofSlot: lock)
    timers.insert(Timer(time: time.rawValue, kind: .lockAdvance, id: id))
  }

  /// Whether a grant of that token still holds that lock, and its session lives.
  func holds(_ lockGuard: LockGuard) -> Bool {
    if limits.has(.fencesNothing), lockGuard.token <= locks.lastToken { return true }
    guard let claim = locks.claim(withToken: lockGuard.token),
      let lock = locks.lock(named: lockGuard.lock), locks.part(of: claim, in: lock) != nil,
      locks.locks.withElement(lock, { $0.voidThrough < lockGuard.token }),
      let session = locks.claims[claim]?.session
    else { return false }
    return liveSession(SessionID(session)) != nil
  }

  /// Bound prefixes that are looked at for one key; only prefixes chosen to that end can make it more.
  private static let bindingLooks = 64

  /// The lock that the longest bound prefix of `key` names, if one is bound; and how many were looked at.
  func binding(of key: [UInt8]) -> (lock: [UInt8]?, looks: Int) {
    guard locks.bindings.count > 0 else { return (nil, 0) }
    let start: [UInt8] = []
    var upTo = key
    var looks = 0
    while looks < Self.bindingLooks {
      looks += 1
      var found: Record?
      locks.bindings.visit(from: start.span, to: upTo + [0], isReverse: true) { record in
        found = record
        return false
      }
      guard let found else { return (nil, looks) }
      let prefix = found.key
      if upTo.starts(with: prefix) { return (found.value, looks) }
      // A shorter prefix of the key cannot be longer than what both have in common.
      upTo = Array(upTo[..<MapNode.commonPrefix(prefix.span, upTo.span)])
    }
    return (nil, .max)
  }

  mutating func bind(_ bind: BindPrefix, into output: inout AppliedOutput) throws(Failure) {
    guard locks.bindings.count < limits.bindings else {
      throw Failure(.limitReached, detail: UInt64(limits.bindings))
    }
    let record = Record(
      key: bind.prefix.span,
      value: bind.lock.span,
      Record.Numbers(modified: 0, created: 0, version: 1, lease: 0, position: 0)
    )
    locks.bindings.update(bind.prefix.span) { _ in record }
    output.reply(.done)
  }

  mutating func unbind(_ prefix: [UInt8], into output: inout AppliedOutput) {
    locks.bindings.remove(prefix.span)
    output.reply(.done)
  }
}

/// What moves claims on: grants, deadlines, ends.
extension ReplicatedState {
  /// Tells a waiting claim's request how it ended, now and at every retry.
  private mutating func resolve(
    _ claim: UInt32,
    _ reply: Reply,
    into output: inout AppliedOutput
  ) {
    guard let claim = locks.claims[claim] else { return }
    let bytes = reply.encoded()
    _ = updateReplies(of: claim.sessionSlot) { session in
      // The session has not acknowledged it: a retry must learn what became of it.
      if session.replies.remove(claim.sequence) {
        session.replies.append(bytes.span, for: claim.sequence)
      }
    }
    let sequence = SequenceNumber(claim.sequence)
    output.push(.lockResolved(sequence, reply), to: SessionID(claim.session), about: sequence)
  }

  /// Gives what became free to those who wait.
  mutating func advance(_ freed: [UInt32], into output: inout AppliedOutput) {
    var open = freed
    let granted = locks.advance(
      &open,
      steps: &stepsLeft,
      at: time.rawValue,
      sessions: sessions
    )
    for claim in granted {
      let token = locks.claims[claim]?.token ?? 0
      resolve(claim, .lock(.granted(token: token)), into: &output)
    }
    for lock in Set(open).sorted() { goOnLater(with: lock) }
  }

  /// Takes one part from a claim, and the claim away if it was the last.
  private mutating func removePart(_ part: UInt32, of claim: UInt32) {
    guard locks.remove(part) else { return }
    unlink(claim)
    locks.removeEmpty(claim)
  }

  /// Takes a whole claim away and gives on what it held; its locks rest first if they must.
  mutating func removeClaim(_ claim: UInt32, rests: Bool, into output: inout AppliedOutput) {
    guard let removed = locks.claims[claim] else { return }
    var freed: [UInt32] = []
    let until = rests && !removed.isWaiting ? time.rawValue.addingCapped(removed.delay) : 0
    for part in locks.partsOf(claim) {
      guard let lock = locks.parts[part]?.lock else { continue }
      freed.append(lock)
      let isVoid = locks.locks.withElement(lock) { removed.token <= $0.voidThrough }
      if until > time.rawValue, !isVoid, !limits.has(.neverRests) { rest(lock, until: until) }
      _ = locks.remove(part)
    }
    unlink(claim)
    locks.removeEmpty(claim)
    advance(freed, into: &output)
  }

  private mutating func rest(_ lock: UInt32, until: UInt64) {
    locks.locks.update(lock) { $0.restsUntil = max($0.restsUntil, until) }
    timers.insert(Timer(time: until, kind: .lockRest, id: locks.locks.id(ofSlot: lock)))
  }

  private mutating func link(_ claim: UInt32, to session: UInt32) {
    let next =
      sessions.update(session) { session in
        let next = session.firstClaim
        session.firstClaim = claim
        session.claimCount += 1
        return next
      } ?? LockTable.none
    locks.claims.update(claim) { $0.nextOfSession = next }
    if next != LockTable.none { locks.claims.update(next) { $0.previousOfSession = claim } }
  }

  private mutating func unlink(_ claim: UInt32) {
    guard let removed = locks.claims[claim] else { return }
    let (previous, next) = (removed.previousOfSession, removed.nextOfSession)
    _ = sessions.update(removed.sessionSlot) { session in
      session.claimCount -= 1
      if previous == LockTable.none { session.firstClaim = next }
    }
    if previous != LockTable.none { locks.claims.update(previous) { $0.nextOfSession = next } }
    if next != LockTable.none { locks.claims.update(next) { $0.previousOfSession = previous } }
  }

  /// Ends the wait of a claim whose deadline has come.
  mutating func endWait(_ timer: Timer, into output: inout AppliedOutput) {
    guard let claim = locks.claims.slot(of: timer.id), locks.claims[claim]?.isWaiting == true
    else { return }
    resolve(claim, .failure(Failure(.lockTimedOut)), into: &output)
    removeClaim(claim, rests: false, into: &output)
  }

  /// Goes on with a lock that rested, or whose waiters were too many for one entry.
  mutating func advance(_ timer: Timer, into output: inout AppliedOutput) {
    guard let lock = locks.locks.slot(of: timer.id) else { return }
    // Whatever the limit is, it goes on.
    stepsLeft = max(stepsLeft, 1)
    clearVoid(lock, into: &output)
  }
}

extension UInt64 {
  /// So many milliseconds in nanoseconds, or the greatest number if they are more than that.
  var millisecondsCapped: UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: 1_000_000)
    return overflow ? .max : product
  }
}
