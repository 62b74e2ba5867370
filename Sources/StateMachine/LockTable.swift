internal import RoostWire

/// One lock that somebody holds, awaits, or that rests; a free lock is not there at all.
struct Lock: SlotElement {
  let name: [UInt8]
  /// How many permits it has; 0: it is held exclusively or shared.
  let total: UInt32
  /// Taken permits, or 1 for each shared holder.
  var taken: UInt64 = 0
  var isExclusive = false
  var holders = ClaimList()
  var waiters = ClaimList()
  /// Waiters that await other locks too.
  var joinedWaiters = 0
  /// Nobody gets it before that time: its holder ended without a release.
  var restsUntil: UInt64 = 0
  /// Grants with tokens up to this one hold nothing any more: an operator ended them.
  ///
  /// They are cleared away in steps, and stand before all others among the holders.
  var voidThrough: UInt64 = 0
}

/// The ends of a list of parts, linked through them.
struct ClaimList: Sendable {
  var first = UInt32.max
  var last = UInt32.max
  var count = 0
}

/// What one `acquire` asked for and got.
struct Claim: SlotElement {
  let session: UInt64
  let sessionSlot: UInt32
  let sequence: UInt64
  let owner: UInt64
  /// How long its locks rest if its session ends without a release, nanoseconds.
  let delay: UInt64
  /// 0 while it waits.
  var token: UInt64 = 0
  /// Since when it waits, or holds.
  var since: UInt64
  /// Until when it waits; 0 if it never had to.
  let deadline: UInt64
  var firstPart = UInt32.max
  var partCount = 0
  var nextOfSession = UInt32.max
  var previousOfSession = UInt32.max

  var isWaiting: Bool { token == 0 }
  var hasWaited: Bool { deadline > 0 }
}

/// A claim's share in one lock.
struct Part: SlotElement {
  let claim: UInt32
  let lock: UInt32
  let mode: Acquire.Mode
  /// How often the owner took it.
  var depth: UInt32 = 1
  var next = UInt32.max
  var previous = UInt32.max
  var nextOfClaim = UInt32.max
}

/// All locks in use: who holds them, and who waits in which order.
///
/// A claim asks for one or more locks and gets all at once. It stands in the queue of each from one and
/// the same log entry on, so two claims never stand the other way round in two queues. It is granted when
/// it is first in every queue and every lock admits it: then all of its parts become holders.
struct LockTable: Sendable {
  static var none: UInt32 { .max }
  /// What giving or taking one lock costs, measured by the removal of a key.
  static var stepsALock: Int { 2 }

  var locks: SlotTable<Lock>
  var claims: SlotTable<Claim>
  var parts: SlotTable<Part>
  /// Slots of locks by name.
  var names = OrderedMap()
  /// Slots of granted claims by token, most significant byte first.
  var grants = OrderedMap()
  /// Slots of claims that wait or once waited, by session and sequence.
  var requests = OrderedMap()
  /// Slots of claims that wait, by session, owner and slot.
  var awaiting = OrderedMap()
  /// Slots of parts of locks that are held together with others, by lock, session, owner, mode and token.
  var shares = OrderedMap()
  /// Names of locks by the prefix whose keys they guard.
  var bindings = OrderedMap()
  /// The token of the newest grant; only grows, over all locks, restarts and restores.
  var lastToken: UInt64

  init(epoch: UInt64) {
    locks = SlotTable(kind: 0, epoch: epoch)
    claims = SlotTable(kind: 1, epoch: epoch)
    parts = SlotTable(kind: 0, epoch: epoch)
    lastToken = (epoch & 0xFF) << 56
  }

  func lock(named name: [UInt8]) -> UInt32? { names.slot(under: name) }

  /// The claim that was granted under `token`, if it still holds anything.
  func claim(withToken token: UInt64) -> UInt32? { grants.slot(under: token.bigEndianBytes) }

  /// The part of `claim` in `lock`.
  func part(of claim: UInt32, in lock: UInt32) -> UInt32? {
    var part = claims[claim]?.firstPart ?? Self.none
    while let current = parts[part, orNone: Self.none] {
      if current.lock == lock { return part }
      part = current.nextOfClaim
    }
    return nil
  }

  /// The parts of a claim, in the order in which they were asked for.
  func partsOf(_ claim: UInt32) -> [UInt32] {
    var result: [UInt32] = []
    var part = claims[claim]?.firstPart ?? Self.none
    while let current = parts[part, orNone: Self.none] {
      result.append(part)
      part = current.nextOfClaim
    }
    return result
  }

  /// Whether a lock would admit a holder of that mode now, were nobody waiting.
  static func admits(_ lock: borrowing Lock, _ mode: Acquire.Mode, at time: UInt64) -> Bool {
    guard lock.restsUntil <= time else { return false }
    switch mode {
    case .exclusive: return lock.holders.count == 0
    case .shared: return !lock.isExclusive
    case .permits(let taken, let total): return lock.taken + UInt64(taken) <= UInt64(total)
    }
  }

  /// Whether a lock's kind fits the mode that is asked for.
  static func fits(_ lock: borrowing Lock, _ mode: Acquire.Mode) -> Bool {
    switch mode {
    case .exclusive, .shared: lock.total == 0
    case .permits(_, let total): lock.total == total
    }
  }

  /// Whether all that is wanted can be had now, without `passing` anybody who waits.
  func isFree(_ wants: [Acquire.Want], at time: UInt64, passing: Bool = false) -> Bool {
    for want in wants {
      guard let slot = lock(named: want.name) else { continue }
      let isFree = locks.withElement(slot) { lock in
        (lock.waiters.count == 0 || passing) && Self.admits(lock, want.mode, at: time)
      }
      guard isFree else { return false }
    }
    return true
  }

  /// Adds a claim on `wants`, which waits in every queue unless it `isGranted`.
  mutating func add(_ claim: Claim, _ wants: [Acquire.Want], isGranted: Bool) -> UInt32 {
    let slot = claims.insert { _ in claim }
    var previous = Self.none
    for want in wants {
      let lock = lock(named: want.name) ?? create(want)
      let part = parts.insert { _ in Part(claim: slot, lock: lock, mode: want.mode) }
      if previous == Self.none {
        claims.update(slot) { $0.firstPart = part }
      } else {
        parts.update(previous) { $0.nextOfClaim = part }
      }
      previous = part
      if !isGranted { enqueue(part, in: lock, isJoined: wants.count > 1) }
    }
    claims.update(slot) { $0.partCount = wants.count }
    if !isGranted { noteWait(of: slot) }
    return slot
  }

  private mutating func create(_ want: Acquire.Want) -> UInt32 {
    var total: UInt32 = 0
    if case .permits(_, let permits) = want.mode { total = permits }
    let slot = locks.insert { _ in Lock(name: want.name, total: total) }
    names.setSlot(slot, under: want.name)
    return slot
  }

  private mutating func enqueue(_ part: UInt32, in lock: UInt32, isJoined: Bool) {
    var list =
      locks.update(lock) { lock in
        if isJoined { lock.joinedWaiters += 1 }
        return lock.waiters
      } ?? ClaimList()
    append(part, to: &list)
    locks.update(lock) { $0.waiters = list }
  }

  /// Makes a claim the holder of all it asked for; answers its token.
  mutating func grant(_ claim: UInt32, wasWaiting: Bool, at time: UInt64) -> UInt64 {
    lastToken += 1
    let token = lastToken
    let isJoined = claims.update(claim) { claim in
      claim.token = token
      claim.since = time
      return claim.partCount > 1
    }
    for part in partsOf(claim) {
      guard let (lock, mode) = parts[part].map({ ($0.lock, $0.mode) }) else { continue }
      if wasWaiting { removeFromQueue(part, of: lock, isJoined: isJoined == true) }
      var holders =
        locks.update(lock) { lock in
          lock.take(mode)
          return lock.holders
        } ?? ClaimList()
      append(part, to: &holders)
      locks.update(lock) { $0.holders = holders }
      if mode != .exclusive { noteShare(part) }
    }
    grants.setSlot(claim, under: token.bigEndianBytes)
    if wasWaiting { forgetWait(of: claim) }
    return token
  }

  private mutating func removeFromQueue(_ part: UInt32, of lock: UInt32, isJoined: Bool) {
    var waiters =
      locks.update(lock) { lock in
        if isJoined { lock.joinedWaiters -= 1 }
        return lock.waiters
      } ?? ClaimList()
    unlink(part, from: &waiters)
    locks.update(lock) { $0.waiters = waiters }
  }

  /// Takes one part away from its claim and its lock; answers whether the claim has none left.
  mutating func remove(_ part: UInt32) -> Bool {
    guard let removed = parts[part], let claim = claims[removed.claim] else { return true }
    if claim.isWaiting {
      removeFromQueue(part, of: removed.lock, isJoined: claim.partCount > 1)
    } else {
      var holders =
        locks.update(removed.lock) { lock in
          lock.giveBack(removed.mode)
          return lock.holders
        } ?? ClaimList()
      unlink(part, from: &holders)
      locks.update(removed.lock) { $0.holders = holders }
      if removed.mode != .exclusive { forgetShare(removed, of: claim) }
    }
    detach(part, removed)
    parts.remove(part)
    return claims[removed.claim]?.firstPart == Self.none
  }

  /// Unlinks a part from its claim's list.
  private mutating func detach(_ part: UInt32, _ removed: Part) {
    guard let first = claims[removed.claim]?.firstPart else { return }
    guard first != part else {
      claims.update(removed.claim) { $0.firstPart = removed.nextOfClaim }
      return
    }
    var current = first
    while let next = parts[current]?.nextOfClaim, next != part, next != Self.none {
      current = next
    }
    parts.update(current) { $0.nextOfClaim = removed.nextOfClaim }
  }

  /// Takes away a claim that has no parts left.
  mutating func removeEmpty(_ claim: UInt32) {
    if claims[claim]?.isWaiting == true { forgetWait(of: claim) }
    guard let removed = claims.remove(claim) else { return }
    if !removed.isWaiting { grants.remove(removed.token.bigEndianBytes.span) }
    if removed.hasWaited { forgetRequest(of: removed, in: claim) }
  }

  /// Whether a waiting claim is first in every queue and every lock admits it.
  func canGrant(_ claim: UInt32, at time: UInt64) -> Bool {
    var part = claims[claim]?.firstPart ?? Self.none
    while let current = parts[part, orNone: Self.none] {
      let isAdmitted = locks.withElement(current.lock) { lock in
        lock.waiters.first == part && Self.admits(lock, current.mode, at: time)
      }
      guard isAdmitted else { return false }
      part = current.nextOfClaim
    }
    return true
  }

  /// Grants whatever the locks in `open` now admit, and takes away locks that nobody uses.
  ///
  /// - Parameters:
  ///   - open: Locks of which something was given back. What is left in it needs another call.
  ///   - steps: How many locks may still be granted before the rest is left.
  ///   - time: The cluster time.
  ///   - sessions: All sessions. One that has ended is granted nothing: what it awaits goes with it, and
  ///     then whoever stands behind gets on.
  /// - Returns: The claims that were granted, in order.
  mutating func advance(
    _ open: inout [UInt32],
    steps: inout Int,
    at time: UInt64,
    sessions: borrowing SlotTable<Session>
  ) -> [UInt32] {
    var granted: [UInt32] = []
    while let lock = open.last {
      guard let first = locks[lock]?.waiters.first else {
        open.removeLast()
        continue
      }
      if let claim = parts[first, orNone: Self.none]?.claim, canGrant(claim, at: time),
        sessions.liveSlot(of: claims[claim]?.session ?? 0, at: time) != nil
      {
        guard steps > 0 else { return granted }
        let partCount = claims[claim]?.partCount ?? 1
        steps -= Self.stepsALock * partCount
        let isJoined = partCount > 1
        _ = grant(claim, wasWaiting: true, at: time)
        granted.append(claim)
        // Whoever stood behind it in its other queues may be first there now.
        if isJoined {
          open.insert(contentsOf: partsOf(claim).compactMap { parts[$0]?.lock }, at: 0)
        }
      } else {
        open.removeLast()
        removeIfUnused(lock, at: time)
      }
    }
    return granted
  }

  private mutating func removeIfUnused(_ slot: UInt32, at time: UInt64) {
    guard let lock = locks[slot], lock.holders.count == 0, lock.waiters.count == 0,
      lock.restsUntil <= time
    else { return }
    names.remove(lock.name.span)
    locks.remove(slot)
  }

  private mutating func append(_ part: UInt32, to list: inout ClaimList) {
    let last = list.last
    parts.update(part) { part in
      part.previous = last
      part.next = Self.none
    }
    if last == Self.none {
      list.first = part
    } else {
      parts.update(last) { $0.next = part }
    }
    list.last = part
    list.count += 1
  }

  private mutating func unlink(_ part: UInt32, from list: inout ClaimList) {
    guard let (previous, next) = parts[part].map({ ($0.previous, $0.next) }) else { return }
    if previous == Self.none {
      list.first = next
    } else {
      parts.update(previous) { $0.next = next }
    }
    if next == Self.none {
      list.last = previous
    } else {
      parts.update(next) { $0.previous = previous }
    }
    list.count -= 1
  }
}

extension Lock {
  /// Notes a holder of that mode.
  mutating func take(_ mode: Acquire.Mode) {
    switch mode {
    case .exclusive: isExclusive = true
    case .shared: taken += 1
    case .permits(let count, _): taken += UInt64(count)
    }
  }

  /// Notes that a holder of that mode is gone.
  mutating func giveBack(_ mode: Acquire.Mode) {
    switch mode {
    case .exclusive: isExclusive = false
    case .shared: taken -= 1
    case .permits(let count, _): taken -= UInt64(count)
    }
  }
}

extension SlotTable {
  /// The object in `slot`, or nil where a list ends.
  subscript(slot: UInt32, orNone none: UInt32) -> Element? { slot == none ? nil : self[slot] }
}

extension OrderedMap {
  /// The slot that stands under a key.
  func slot(under key: [UInt8]) -> UInt32? {
    find(key.span).map { UInt32($0.created) }
  }

  /// Lets a key stand for a slot.
  mutating func setSlot(_ slot: UInt32, under key: [UInt8]) {
    let nothing: [UInt8] = []
    let record = Record(
      key: key.span,
      value: nothing.span,
      Record.Numbers(modified: 0, created: UInt64(slot), version: 1, lease: 0, position: 0)
    )
    update(key.span) { _ in record }
  }
}

extension UInt64 {
  /// The number as bytes that sort as it does.
  var bigEndianBytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8)
    bytes.append(littleEndian: byteSwapped)
    return bytes
  }
}
