@testable import RoostStateMachine
import RoostWire

/// Locks: one list of claims in the order of the log, looked through from the front each time.
extension Model {
  mutating func executeOnLocks(
    _ command: Command,
    _ session: UInt64?,
    _ sequence: UInt64
  ) throws(Failure) -> Reply {
    switch command {
    case .acquire(let acquire): return try self.acquire(acquire, session, sequence)
    case .release(let release): return try self.release(release, session)
    case .cancelAcquire(let wanted): return try cancel(wanted.rawValue, session)
    case .forceRelease(let name): return try force(name)
    case .bindPrefix(let bind):
      guard bindings.count < limits.bindings else {
        throw Failure(.limitReached, detail: UInt64(limits.bindings))
      }
      bindings.removeAll { $0.prefix == bind.prefix }
      bindings.append((bind.prefix, bind.lock))
      return .done
    case .unbindPrefix(let prefix):
      bindings.removeAll { $0.prefix == prefix }
      return .done
    default: throw Failure(.unsupported)
    }
  }

  func holds(_ lockGuard: LockGuard) -> Bool {
    claims.contains { claim in
      claim.token == lockGuard.token && claim.token != 0 && session(claim.session) != nil
        && claim.wants.contains { $0.name == lockGuard.lock }
    }
  }

  private func holders(of name: [UInt8]) -> [Claim] {
    claims.filter { $0.token != 0 && $0.wants.contains { $0.name == name } }
      .sorted { $0.token < $1.token }
  }

  private func waiters(of name: [UInt8]) -> [Claim] {
    claims.filter { $0.token == 0 && $0.wants.contains { $0.name == name } }
  }

  /// Whether a lock would take in another holder, were nobody waiting.
  private func admits(_ want: Acquire.Want) -> Bool {
    let holders = holders(of: want.name)
    if let lock = locks.first(where: { $0.name == want.name }), lock.restsUntil > time {
      return false
    }
    let modes = holders.compactMap { $0.wants.first { $0.name == want.name }?.mode }
    switch want.mode {
    case .exclusive: return modes.isEmpty
    case .shared: return !modes.contains(.exclusive)
    case .permits(let taken, let total):
      let used = modes.reduce(UInt64(0)) { sum, mode in
        if case .permits(let taken, _) = mode { sum + UInt64(taken) } else { sum }
      }
      return used + UInt64(taken) <= UInt64(total)
    }
  }

  private mutating func acquire(
    _ acquire: Acquire,
    _ session: UInt64?,
    _ sequence: UInt64
  ) throws(Failure) -> Reply {
    guard let session else { throw Failure(.sessionRequired) }
    if acquire.isReentrant,
      let place = claims.firstIndex(where: { claim in
        claim.token != 0 && claim.session == session && claim.owner == acquire.owner
          && claim.wants.contains(acquire.wants[0])
      })
    {
      // A claim of several locks counts each by itself; the workload re-enters single ones alone.
      let newest = claims.indices.filter { place in
        let claim = claims[place]
        return claim.token != 0 && claim.session == session && claim.owner == acquire.owner
          && claim.wants.contains(acquire.wants[0])
      }.max { claims[$0].token < claims[$1].token }
      depths[
        Depth(claim: claims[newest ?? place].number, lock: acquire.wants[0].name),
        default: 1
      ] += 1
      return .lock(.granted(token: claims[newest ?? place].token))
    }
    for (index, want) in acquire.wants.enumerated() {
      var total: UInt32 = 0
      if case .permits(_, let permits) = want.mode { total = permits }
      if let lock = locks.first(where: { $0.name == want.name }), lock.total != total {
        throw Failure(.lockModeMismatch, bytes: want.name)
      }
      if acquire.wants[..<index].contains(where: { $0.name == want.name }) {
        throw Failure(.lockAlreadyHeld, bytes: want.name)
      }
    }
    let parts = claims.reduce(0) { $0 + $1.wants.count }
    guard claims.count < limits.claims, parts < limits.claims * 2 else {
      throw Failure(.limitReached, detail: UInt64(limits.claims))
    }
    let isFree = acquire.wants.allSatisfy { waiters(of: $0.name).isEmpty && admits($0) }
    if !isFree { try mayWait(acquire, session) }
    return add(acquire, session, sequence, isFree: isFree)
  }

  private mutating func add(
    _ acquire: Acquire,
    _ session: UInt64,
    _ sequence: UInt64,
    isFree: Bool
  ) -> Reply {
    let wait = acquire.wait > UInt64.max / 1_000_000 ? .max : acquire.wait * 1_000_000
    var claim = Claim(
      number: nextClaim,
      session: session,
      sequence: sequence,
      owner: acquire.owner,
      wants: acquire.wants,
      delay: min(acquire.delay, 60_000) * 1_000_000,
      deadline: wait > UInt64.max - time ? .max : time + wait,
      since: time
    )
    claim.hasWaited = !isFree
    nextClaim += 1
    claimIDOf[claim.number] = claimIDs.next()
    for want in acquire.wants where !locks.contains(where: { $0.name == want.name }) {
      var total: UInt32 = 0
      if case .permits(_, let permits) = want.mode { total = permits }
      locks.append((want.name, lockIDs.next(), total, 0))
    }
    claims.append(claim)
    guard isFree else {
      let ahead = acquire.wants.map { waiters(of: $0.name).count - 1 }.max() ?? 0
      return .lock(.waiting(ahead: UInt64(ahead)))
    }
    grant(claims.count - 1)
    return .lock(.granted(token: lastToken))
  }

  func state(of claim: Claim) -> LockState {
    guard claim.token == 0 else { return .granted(token: claim.token) }
    let ahead = claim.wants.map { waiters(of: $0.name).count - 1 }.max() ?? 0
    return .waiting(ahead: UInt64(ahead))
  }

  private mutating func grant(_ place: Int) {
    lastToken += 1
    claims[place].token = lastToken
    claims[place].since = time
  }

  /// Refuses to wait when the asker will not, or when some holder waits, over others, for the asker.
  private func mayWait(_ acquire: Acquire, _ session: UInt64) throws(Failure) {
    func isAsker(_ claim: Claim) -> Bool {
      claim.session == session && claim.owner == acquire.owner
    }
    for want in acquire.wants where holders(of: want.name).contains(where: isAsker) {
      throw Failure(.lockAlreadyHeld, bytes: want.name)
    }
    guard acquire.wait > 0 else { throw Failure(.lockBusy, bytes: acquire.wants[0].name) }
    var reached: [Int] = []
    var open = blockers(acquire.wants, before: .max)
    while let claim = open.popLast() {
      guard !reached.contains(claim.number) else { continue }
      reached.append(claim.number)
      if claim.token == 0 {
        open += blockers(claim.wants, before: claim.number)
        continue
      }
      if isAsker(claim) { throw Failure(.deadlock, bytes: circle(acquire, session)) }
      for other in claims
      where other.token == 0 && other.session == claim.session && other.owner == claim.owner {
        open += blockers(other.wants, before: other.number)
      }
    }
  }

  /// The circle that the hint names, if it is one: from a wanted lock, holder by holder, to the asker.
  private func circle(_ acquire: Acquire, _ session: UInt64) -> [UInt8] {
    guard case .failure(let failure) = hint else { return [] }
    var input = failure.bytes.span
    var links: [(lock: [UInt8], holder: UInt64)] = []
    do throws(WireError) {
      while !input.isEmpty { links.append((try input.readLockName(), try input.read())) }
    } catch { return [] }
    let isCircle =
      acquire.wants.contains { $0.name == links.first?.lock } && links.last?.holder == session
      && links.allSatisfy { link in
        claims.contains { claim in
          claim.session == link.holder && claim.wants.contains { $0.name == link.lock }
        }
      }
    return isCircle ? failure.bytes : []
  }

  private func blockers(_ wants: [Acquire.Want], before number: Int) -> [Claim] {
    wants.flatMap { want in
      holders(of: want.name)
        + waiters(of: want.name).filter { $0.number < number && $0.wants.count > 1 }
    }
  }

  private mutating func release(_ release: Release, _ session: UInt64?) throws(Failure) -> Reply {
    let place = claims.firstIndex { $0.token == release.token && $0.token != 0 }
    guard let session, let place, claims[place].session == session else {
      throw Failure(.lockNotHeld, bytes: release.name)
    }
    let number = claims[place].number
    guard !release.name.isEmpty else {
      removeClaim(number, rests: false)
      return .released(depth: 0)
    }
    guard claims[place].wants.contains(where: { $0.name == release.name }) else {
      throw Failure(.lockNotHeld, bytes: release.name)
    }
    let key = Depth(claim: number, lock: release.name)
    let depth = depths[key, default: 1] - 1
    depths[key] = depth
    if depth == 0 {
      removePart(number, release.name)
      advance([release.name])
    }
    return .released(depth: depth)
  }

  private mutating func removePart(_ number: Int, _ name: [UInt8]) {
    guard let place = claims.firstIndex(where: { $0.number == number }) else { return }
    claims[place].wants.removeAll { $0.name == name }
    depths[Depth(claim: number, lock: name)] = nil
    guard claims[place].wants.isEmpty else { return }
    claims.remove(at: place)
    if let id = claimIDOf.removeValue(forKey: number) { claimIDs.end(id) }
  }

  mutating func removeClaim(_ number: Int, rests: Bool) {
    guard let claim = claims.first(where: { $0.number == number }) else { return }
    for want in claim.wants {
      if rests, claim.token != 0, claim.delay > 0,
        let lock = locks.firstIndex(where: { $0.name == want.name })
      {
        locks[lock].restsUntil = max(locks[lock].restsUntil, time + claim.delay)
      }
      removePart(number, want.name)
    }
    advance(claim.wants.map { $0.name })
  }

  private mutating func cancel(_ sequence: UInt64, _ session: UInt64?) throws(Failure) -> Reply {
    guard let session else { throw Failure(.sessionRequired) }
    let claim = claims.last { $0.session == session && $0.sequence == sequence }
    guard let claim, claim.hasWaited || isStored(sequence, session) else {
      throw Failure(.lockNotHeld)
    }
    guard claim.token == 0 else { return .lock(.granted(token: claim.token)) }
    resolve(claim.number, .failure(Failure(.lockCancelled)))
    removeClaim(claim.number, rests: false)
    return .done
  }

  private func isStored(_ sequence: UInt64, _ session: UInt64) -> Bool {
    self.session(session).map { place in
      sessions[place].stored.contains { $0.sequence == sequence }
    } ?? false
  }

  private mutating func force(_ name: [UInt8]) throws(Failure) -> Reply {
    let holders = holders(of: name)
    guard !holders.isEmpty else { throw Failure(.lockNotHeld, bytes: name) }
    for claim in holders {
      events.append((claim.session, claim.sequence, .lockLost(token: claim.token, name: name)))
      removePart(claim.number, name)
    }
    advance([name])
    return .done
  }

  mutating func resolve(_ number: Int, _ reply: Reply) {
    guard let claim = claims.first(where: { $0.number == number }) else { return }
    if let place = sessions.firstIndex(where: { $0.id == claim.session }),
      let stored = sessions[place].stored.firstIndex(where: { $0.sequence == claim.sequence })
    {
      sessions[place].stored[stored].sequence = 0
      sessions[place].stored.append((claim.sequence, reply.encoded()))
    }
    events.append(
      (claim.session, claim.sequence, .lockResolved(SequenceNumber(claim.sequence), reply))
    )
  }

  /// Grants what can be granted in the named locks, the last first, and in those that this opens.
  mutating func advance(_ names: [[UInt8]]) {
    var open = names
    var granted: [Int] = []
    while let name = open.last {
      let first = waiters(of: name).first
      if let first, canGrant(first),
        let place = claims.firstIndex(where: { $0.number == first.number })
      {
        grant(place)
        granted.append(first.number)
        if first.wants.count > 1 { open.insert(contentsOf: first.wants.map { $0.name }, at: 0) }
      } else {
        open.removeLast()
        removeIfUnused(name)
      }
    }
    for number in granted {
      let token = claims.first { $0.number == number }?.token ?? 0
      resolve(number, .lock(.granted(token: token)))
    }
  }

  private func canGrant(_ claim: Claim) -> Bool {
    session(claim.session) != nil
      && claim.wants.allSatisfy { want in
        waiters(of: want.name).first?.number == claim.number && admits(want)
      }
  }

  private mutating func removeIfUnused(_ name: [UInt8]) {
    guard holders(of: name).isEmpty, waiters(of: name).isEmpty,
      let place = locks.firstIndex(where: { $0.name == name }), locks[place].restsUntil <= time
    else { return }
    lockIDs.end(locks[place].id)
    locks.remove(at: place)
  }

  // MARK: Inspection

  func answer(lock name: [UInt8], _ limit: UInt32) -> Reply {
    let (holders, waiters) = (holders(of: name), waiters(of: name))
    let rests = locks.first { $0.name == name }?.restsUntil ?? 0
    let limit = min(Int(limit), limits.listed)
    return .inspection(
      .lock(
        LockInfo(
          counts: (UInt64(holders.count), UInt64(waiters.count)),
          rests: (rests - min(rests, time)) / 1_000_000,
          holders: holders.prefix(limit).map { describe($0, name) },
          waiters: waiters.prefix(limit).map { describe($0, name) }
        )
      )
    )
  }

  private func describe(_ claim: Claim, _ name: [UInt8]) -> ClaimInfo {
    var info = ClaimInfo()
    info.session = SessionID(claim.session)
    info.sequence = SequenceNumber(claim.sequence)
    info.owner = claim.owner
    info.token = claim.token
    info.age = (time - claim.since) / 1_000_000
    let (mode, taken, _) =
      claim.wants.first { $0.name == name }?.mode.fields ?? (kind: 0, taken: 0, total: 0)
    info.mode = mode
    info.depth = mode == 2 ? taken : depths[Depth(claim: claim.number, lock: name), default: 1]
    info.label = sessions.first { $0.id == claim.session }?.label ?? []
    return info
  }

  func answer(locksFrom name: [UInt8], _ limit: UInt32) -> Reply {
    let names = locks.map { $0.name }.filter { !$0.lexicographicallyPrecedes(name) }
      .sorted { $0.lexicographicallyPrecedes($1) }
    let list = names.prefix(min(Int(limit), limits.listed)).map { name in
      LockSummary(
        name: name,
        holders: UInt64(holders(of: name).count),
        waiters: UInt64(waiters(of: name).count)
      )
    }
    return .inspection(.locks(list))
  }

  func answer(_ query: Query) -> Reply {
    do throws(Failure) {
      switch query {
      case .get(let get): return try answer(get)
      case .range(let range): return try answer(range)
      case .lock(let name, let limit): return answer(lock: name, limit)
      case .locks(let name, let limit): return answer(locksFrom: name, limit)
      case .lease(let id, let limit):
        let info = lease(id).map { describe(leases[$0]) }
        guard let info = info ?? session(id).map({ describe(asLease: sessions[$0]) }) else {
          throw Failure(.leaseNotFound, detail: id)
        }
        let keys = keys(in: .everything).filter { $0.lease == id }.map { $0.key }
        let listed = Array(keys.prefix(min(Int(limit), limits.listed)))
        return .inspection(.lease(info, keys: listed))
      case .leases(_, let limit):
        let sorted = leases.sorted { IDs.place($0.id) < IDs.place($1.id) }
        return .inspection(
          .leases(sorted.prefix(min(Int(limit), limits.listed)).map { describe($0) })
        )
      case .sessions(_, let limit):
        let sorted = sessions.sorted { IDs.place($0.id) < IDs.place($1.id) }
        return .inspection(
          .sessions(sorted.prefix(min(Int(limit), limits.listed)).map { describe($0) })
        )
      case .status: return .done
      }
    } catch {
      return .failure(error)
    }
  }

  private func describe(_ lease: Lease) -> LeaseInfo {
    LeaseInfo(
      id: lease.id,
      ttl: lease.ttl / 1_000_000,
      remaining: (lease.deadline - min(lease.deadline, time)) / 1_000_000,
      owner: SessionID(lease.owner),
      keyCount: keyCount(of: lease.id)
    )
  }

  private func keyCount(of id: UInt64) -> UInt64 {
    UInt64(keys(in: .everything).filter { $0.lease == id }.count)
  }

  private func describe(asLease session: Session) -> LeaseInfo {
    LeaseInfo(
      id: session.id,
      ttl: session.ttl / 1_000_000,
      remaining: (session.deadline - min(session.deadline, time)) / 1_000_000,
      owner: SessionID(session.id),
      keyCount: keyCount(of: session.id)
    )
  }

  private func describe(_ session: Session) -> SessionInfo {
    SessionInfo(
      id: SessionID(session.id),
      ttl: session.ttl / 1_000_000,
      remaining: (session.deadline - min(session.deadline, time)) / 1_000_000,
      storedBytes: UInt64(session.storedBytes),
      attached: (
        keyCount(of: session.id), UInt64(claims.filter { $0.session == session.id }.count)
      ),
      label: session.label
    )
  }
}
