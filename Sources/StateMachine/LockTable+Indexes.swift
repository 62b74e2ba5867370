internal import RoostWire

/// What is found without walking lists that may be long: each has an index of its own.
///
/// None of them is in snapshots, for they follow from the claims. An exclusive lock has one holder, which needs no
/// index, and a lock that is free when it is asked for none of a waiter's: so the frequent case pays nothing.
extension LockTable {
  // MARK: Claims by request

  private static func requestKey(_ session: UInt64, _ sequence: UInt64) -> [UInt8] {
    session.bigEndianBytes + sequence.bigEndianBytes
  }

  /// The claim that a session's `acquire` made, if it waits or once waited.
  func claim(ofRequest sequence: UInt64, by session: UInt64) -> UInt32? {
    requests.slot(under: Self.requestKey(session, sequence))
  }

  mutating func forgetRequest(of claim: Claim, in slot: UInt32) {
    let key = Self.requestKey(claim.session, claim.sequence)
    if requests.slot(under: key) == slot { requests.remove(key.span) }
  }

  // MARK: Claims that wait

  private static func awaitingKey(_ claim: Claim, _ slot: UInt32) -> [UInt8] {
    claim.session.bigEndianBytes + claim.owner.bigEndianBytes + UInt64(slot).bigEndianBytes
  }

  mutating func noteWait(of slot: UInt32) {
    guard let claim = claims[slot] else { return }
    requests.setSlot(slot, under: Self.requestKey(claim.session, claim.sequence))
    awaiting.setSlot(slot, under: Self.awaitingKey(claim, slot))
  }

  mutating func forgetWait(of slot: UInt32) {
    guard let claim = claims[slot] else { return }
    awaiting.remove(Self.awaitingKey(claim, slot).span)
  }

  /// Shows the claims with which one owner of a session waits, until `body` answers false.
  func forEachWait(of session: UInt64, _ owner: UInt64, _ body: (UInt32) -> Bool) {
    let start = session.bigEndianBytes + owner.bigEndianBytes
    awaiting.visit(from: start.span, to: KeyRange(prefix: start).end) { record in
      body(UInt32(record.created))
    }
  }

  // MARK: Shared grants

  private static func shareKey(
    _ lock: UInt32,
    _ session: UInt64,
    _ owner: UInt64,
    _ mode: Acquire.Mode
  ) -> [UInt8] {
    let (kind, taken, total) = mode.fields
    var key = UInt64(lock).bigEndianBytes + session.bigEndianBytes + owner.bigEndianBytes
    key.append(kind)
    key.append(contentsOf: (UInt64(taken) << 32 | UInt64(total)).bigEndianBytes)
    return key
  }

  mutating func noteShare(_ slot: UInt32) {
    guard let part = parts[slot], let claim = claims[part.claim] else { return }
    let key = Self.shareKey(part.lock, claim.session, claim.owner, part.mode)
    shares.setSlot(slot, under: key + claim.token.bigEndianBytes)
  }

  mutating func forgetShare(_ part: Part, of claim: Claim) {
    let key = Self.shareKey(part.lock, claim.session, claim.owner, part.mode)
    shares.remove((key + claim.token.bigEndianBytes).span)
  }

  /// The part under which an owner holds just what is wanted: the newest, if there are several.
  func heldPart(of want: Acquire.Want, by asker: (session: UInt64, owner: UInt64)) -> UInt32? {
    guard let lock = lock(named: want.name) else { return nil }
    var found: UInt32?
    if want.mode == .exclusive {
      found = locks.withElement(lock) { $0.holders.first }
    } else {
      let start = Self.shareKey(lock, asker.session, asker.owner, want.mode)
      let end = KeyRange(prefix: start).end
      shares.visit(from: start.span, to: end, isReverse: true) { record in
        found = UInt32(record.created)
        return false
      }
    }
    guard let found, let part = parts[found, orNone: Self.none], part.mode == want.mode,
      let claim = claims[part.claim], claim.session == asker.session, claim.owner == asker.owner,
      claim.token > locks.withElement(lock, { $0.voidThrough })
    else { return nil }
    return found
  }

  // MARK: Grants that were ended

  /// The token of the newest grant that still holds a lock.
  func newestGrant(of lock: UInt32) -> UInt64? {
    guard let lock = locks[lock], let part = parts[lock.holders.last, orNone: Self.none],
      let token = claims[part.claim]?.token, token > lock.voidThrough
    else { return nil }
    return token
  }

  /// A lock's first holder, if its grant was ended.
  func voidPart(of lock: UInt32) -> UInt32? {
    guard let lock = locks[lock], let part = parts[lock.holders.first, orNone: Self.none],
      let token = claims[part.claim]?.token, token <= lock.voidThrough
    else { return nil }
    return lock.holders.first
  }

  /// Whether all that a granted claim held was ended.
  func isVoid(_ claim: UInt32) -> Bool {
    guard let token = claims[claim]?.token else { return true }
    return partsOf(claim).allSatisfy { part in
      guard let lock = parts[part]?.lock else { return true }
      return locks.withElement(lock) { token <= $0.voidThrough }
    }
  }

  // MARK: Restoring

  /// Enters a claim that came out of a snapshot.
  mutating func noteRestored(_ claim: Claim, in slot: UInt32) {
    if claim.isWaiting {
      awaiting.setSlot(slot, under: Self.awaitingKey(claim, slot))
    } else {
      grants.setSlot(slot, under: claim.token.bigEndianBytes)
      for part in partsOf(slot) where parts[part]?.mode != .exclusive { noteShare(part) }
    }
    if claim.hasWaited {
      requests.setSlot(slot, under: Self.requestKey(claim.session, claim.sequence))
    }
  }
}
