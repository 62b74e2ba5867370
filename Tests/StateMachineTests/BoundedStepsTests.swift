@testable import RoostStateMachine
import RoostWire
import Testing

/// However many holders, waiters, keys or deadlines there are: one entry does a bounded part, the next ones the rest.
@Suite struct BoundedStepsTests {
  private static func limits(_ steps: Int) -> StateLimits {
    var limits = StateLimits()
    limits.clearingSteps = steps
    return limits
  }

  private func acquire(
    _ driver: inout Driver,
    _ session: SessionID,
    _ sequence: UInt64,
    _ mode: Acquire.Mode,
    owner: UInt64
  ) throws -> LockState {
    let want = Acquire.Want(Array("L".utf8), mode)
    let reply = try driver.apply(
      at(session, sequence, acked: sequence),
      .acquire(Acquire([want], owner: owner, wait: .max))
    )
    guard case .lock(let state) = reply else { throw Failure(.malformed) }
    return state
  }

  /// Applies entries for time until nothing is due; answers the events of each.
  private func drain(_ driver: inout Driver) throws -> [[Event]] {
    var entries: [[Event]] = []
    while let due = driver.state.nextDeadline, due.rawValue <= driver.time {
      _ = try driver.apply([UInt8]())
      entries.append(try events(driver))
    }
    return entries
  }

  private func events(_ driver: Driver) throws -> [Event] {
    try driver.output.events.map { event in
      try Event(decodingAll: Array(driver.output.eventBytes[event.bytes]))
    }
  }

  @Test func aForcedReleaseOfManyHoldersVoidsEveryTokenAtOnceAndTellsEachInSteps() throws {
    var driver = Driver(limits: Self.limits(4))
    let holder = try driver.openSession(id: 1)
    let other = try driver.openSession(id: 2)
    for number in UInt64(1)...30 {
      #expect(
        try acquire(&driver, holder, number, .shared, owner: number) == .granted(token: number)
      )
    }
    #expect(try acquire(&driver, other, 1, .exclusive, owner: 1) == .waiting(ahead: 0))
    let name = Array("L".utf8)
    #expect(try driver.apply(at(other, 2, acked: 2), .forceRelease(name)) == .done)
    var told = try events(driver)
    #expect(told.count == 2)
    // Not one of them is cleared away by now, and none holds anything.
    var options = WriteOptions()
    options.lockGuard = LockGuard(lock: name, token: 30)
    let write = Command.operation(.put(Put(key: [1], value: [], options: options)))
    let fenced = try driver.apply(at(holder, 31, acked: 31), write)
    #expect(fenced == .failure(Failure(.fenced, bytes: name)))
    told += try events(driver)
    let late = try driver.apply(
      at(holder, 32, acked: 32),
      .release(Release(token: 29, name: name))
    )
    #expect(late == .failure(Failure(.lockNotHeld, bytes: name)))
    told += try events(driver)
    let again = try driver.apply(at(other, 3, acked: 3), .forceRelease(name))
    #expect(again == .failure(Failure(.lockNotHeld, bytes: name)))
    told += try events(driver)
    for entry in try drain(&driver) {
      #expect(entry.count <= 5)
      told += entry
    }
    let lost = told.compactMap { event -> UInt64? in
      if case .lockLost(let token, _) = event { token } else { nil }
    }
    #expect(lost == Array(1...30))
    #expect(
      told.last
        == .lockResolved(SequenceNumber(1), .lock(.granted(token: 31)))
    )
  }

  @Test func whoComesWhileAForcedReleaseGoesOnIsNotTakenForOneOfItsVictims() throws {
    var driver = Driver(limits: Self.limits(2))
    let session = try driver.openSession(id: 1)
    for number in UInt64(1)...20 {
      _ = try acquire(&driver, session, number, .shared, owner: number)
    }
    let name = Array("L".utf8)
    _ = try driver.apply(at(session, 21, acked: 21), .forceRelease(name))
    #expect(try acquire(&driver, session, 22, .shared, owner: 99) == .granted(token: 21))
    _ = try drain(&driver)
    let guarded = LockGuard(lock: name, token: 21)
    #expect(driver.state.holds(guarded))
    let reply = try driver.read(.lock(name, limit: 10))
    guard case .inspection(.lock(let info)) = reply else { return #expect(Bool(false)) }
    #expect(info.holders.map { $0.token } == [21])
  }

  @Test func manyReadersAreGrantedInTheirOrderAFewAnEntry() throws {
    var driver = Driver(limits: Self.limits(8))
    let writer = try driver.openSession(id: 1)
    let reader = try driver.openSession(id: 2)
    #expect(try acquire(&driver, writer, 1, .exclusive, owner: 1) == .granted(token: 1))
    for number in UInt64(1)...50 {
      let state = try acquire(&driver, reader, number, .shared, owner: number)
      #expect(state == .waiting(ahead: number - 1))
    }
    let release = Release(token: 1, name: Array("L".utf8))
    _ = try driver.apply(at(writer, 2, acked: 2), .release(release))
    var granted = try events(driver)
    #expect(granted.count == 4)
    for entry in try drain(&driver) {
      #expect(entry.count <= 8)
      granted += entry
    }
    let expected = (UInt64(1)...50).map { number in
      Event.lockResolved(SequenceNumber(number), .lock(.granted(token: number + 1)))
    }
    #expect(granted == expected)
  }

  @Test func aSessionWithManyKeysAndLocksEndsInStepsAndRunsNothingMeanwhile() throws {
    var driver = Driver(limits: Self.limits(8))
    let session = try driver.openSession(ttl: 1000, id: 1)
    let other = try driver.openSession(ttl: 100_000, id: 2)
    for number in UInt64(1)...60 {
      var options = WriteOptions()
      options.lifetime = .lease(session.rawValue)
      let put = Put(key: [UInt8(number)], value: [], options: options)
      _ = try driver.apply(at(session, number, acked: number), .operation(.put(put)))
    }
    for number in UInt64(1)...40 {
      let want = Acquire.Want([UInt8(number)])
      _ = try driver.apply(at(session, 60 + number), .acquire(Acquire([want])))
    }
    driver.time += 1_000_000_000
    var entries = 0
    repeat {
      let before = driver.state.revision.rawValue
      let late = try driver.apply(at(session, 200), put("a", "1"))
      #expect(late == .failure(Failure(.sessionExpired)))
      #expect(driver.state.revision.rawValue <= before + 1)
      entries += 1
    } while driver.state.nextDeadline.map { $0.rawValue <= driver.time } ?? false
    #expect(entries >= 100 / 8)
    let left = try driver.read(.range(RangeQuery(.everything)))
    guard case .page(let page) = left else { return #expect(Bool(false)) }
    #expect(page.count == 0)
    #expect(driver.state.locks.locks.count == 0 && driver.state.sessions.count == 1)
    #expect(driver.state.liveSession(other) != nil)
  }

  /// With small steps everything takes more entries, but ends where it should: no lock is held wrongly, nobody waits
  /// whom nothing holds up, and nothing is left of what is gone.
  @Test(arguments: UInt64(1)...20)
  func whateverIsWorkedOffInStepsEndsUpWhole(seed: UInt64) throws {
    var workload = RandomWorkload(seed: seed &* 31)
    var limits = ModelTests.limits
    limits.clearingSteps = 1 + Int(seed % 4)
    limits.claims = 60
    var driver = Driver(limits: limits)
    for step in 0..<400 {
      driver.time = workload.time
      for reply in try driver.apply(workload.batch()) { workload.learn(reply) }
      driver.state.checkLocks(isSettled: false)
      guard step % 10 == 0 else { continue }
      _ = try drain(&driver)
      driver.state.checkLocks(isSettled: true)
      if step % 50 == 0 {
        driver.state = try ReplicatedState(chunks: driver.state.snapshotChunks())
        driver.state.checkLocks(isSettled: true)
      }
    }
  }

  @Test func aListPassesOverWhatEndedHoweverMuchItWas() throws {
    var driver = Driver()
    let session = try driver.openSession(ttl: 1_000_000)
    for number in UInt64(1)...3000 {
      let ttl: UInt64 = number == 2999 ? 900_000 : 1000
      _ = try driver.apply(at(session, number, acked: number), .grantLease(ttl: ttl))
    }
    driver.time += 2_000_000_000
    _ = try drain(&driver)
    let reply = try driver.read(.leases(after: 0, limit: 10))
    guard case .inspection(.leases(let leases)) = reply else { return #expect(Bool(false)) }
    #expect(leases.count == 1 && leases.first?.ttl == 900_000)
  }
}

extension ReplicatedState {
  /// Checks what must be true of locks, their claims and their indexes at any moment, or when nothing is due.
  func checkLocks(isSettled: Bool) {
    var (waiting, requests, shares, granted) = (0, 0, 0, 0)
    for slot in 0..<UInt32(locks.claims.slotCount) {
      guard let claim = locks.claims[slot] else { continue }
      if claim.isWaiting {
        waiting += 1
        var isFound = false
        locks.forEachWait(of: claim.session, claim.owner) { found in
          isFound = isFound || found == slot
          return true
        }
        #expect(isFound)
      } else {
        granted += 1
        #expect(locks.claim(withToken: claim.token) == slot)
        shares += locks.partsOf(slot).filter { locks.parts[$0]?.mode != .exclusive }.count
      }
      if claim.hasWaited { requests += 1 }
    }
    #expect(locks.awaiting.count == waiting && locks.requests.count == requests)
    #expect(locks.shares.count == shares && locks.grants.count == granted)
    for slot in 0..<UInt32(locks.locks.slotCount) {
      guard let lock = locks.locks[slot] else { continue }
      let modes = modes(of: lock.holders)
      #expect(!modes.contains(.exclusive) || modes.count == 1)
      var taken: UInt64 = 0
      for case .permits(let count, _) in modes { taken += UInt64(count) }
      #expect(taken <= UInt64(lock.total))
      guard isSettled else { continue }
      #expect(locks.voidPart(of: slot) == nil)
      #expect(lock.holders.count + lock.waiters.count > 0 || lock.restsUntil > time.rawValue)
      guard let first = locks.parts[lock.waiters.first, orNone: LockTable.none] else { continue }
      #expect(!locks.canGrant(first.claim, at: time.rawValue))
    }
  }

  private func modes(of list: ClaimList) -> [Acquire.Mode] {
    var modes: [Acquire.Mode] = []
    var part = list.first
    while let current = locks.parts[part, orNone: LockTable.none] {
      modes.append(current.mode)
      part = current.next
    }
    #expect(modes.count == list.count)
    return modes
  }
}
