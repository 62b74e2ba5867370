@testable import RoostStateMachine
import RoostWire
import Testing

/// What went wrong with requests and sessions elsewhere does not go wrong here.
@Suite struct SessionFailureTests {
  @Test func aReplyIsKeptUntilItIsAcknowledgedHoweverLongThatTakes() throws {
    var driver = Driver()
    let session = try driver.openSession(ttl: 366 * 86_400_000)
    let first = try driver.apply(at(session, 1), .operation(.update(Update(key: [1], .add(1)))))
    for day in UInt64(1)...300 {
      driver.time += 86_400_000_000_000
      _ = try driver.apply(at(session, 1 + day), put("other", "\(day)"))
    }
    let again = try driver.apply(at(session, 1), .operation(.update(Update(key: [1], .add(1)))))
    #expect(again == first)
  }

  @Test func aRepeatedReadIsAnsweredAsItWasAndNotAsItWouldBe() throws {
    var driver = Driver()
    let session = try driver.openSession()
    _ = try driver.apply(at(session, 1), put("a", "1"))
    let get = Command.operation(.get(Get(key: Array("a".utf8))))
    let first = try driver.apply(at(session, 2), get)
    _ = try driver.apply(at(session, 3), put("a", "2"))
    #expect(try driver.apply(at(session, 2), get) == first)
  }

  @Test func idsOfWhatHasEndedNameNothingForEver() throws {
    var driver = Driver()
    var seen: Set<UInt64> = []
    for round in UInt64(1)...200 {
      let session = try driver.openSession(id: round)
      #expect(seen.insert(session.rawValue).inserted)
      let reply = try driver.apply(at(session, 1), .grantLease(ttl: 1000))
      guard case .leaseGranted(let lease, _) = reply else { return #expect(Bool(false)) }
      #expect(seen.insert(lease).inserted)
      _ = try driver.apply(at(session, 2), .revokeLease(lease))
      _ = try driver.apply(at(session, 3), .closeSession)
      let late = try driver.apply(at(session, 4), put("a", "1"))
      #expect(late == .failure(Failure(.sessionExpired)))
    }
    #expect(driver.state.revision == .zero)
  }

  @Test func storedRepliesAreBoundedAndMoreIsRefusedBeforeItRuns() throws {
    var limits = StateLimits()
    limits.storedReplyBytes = 2000
    var driver = Driver(limits: limits)
    let session = try driver.openSession()
    _ = try driver.apply(at(session, 1), put("a", String(repeating: "x", count: 900)))
    let get = Command.operation(.get(Get(key: Array("a".utf8))))
    var sequence: UInt64 = 1
    var reply = Reply.done
    repeat {
      sequence += 1
      reply = try driver.apply(at(session, sequence), get)
    } while reply != .failure(Failure(.storedReplyLimit)) && sequence < 10
    #expect(sequence == 5)
    #expect(driver.state.storedReplyBytes < 3000)
    // With what is acknowledged there is room again, under the same sequence.
    let later = try driver.apply(at(session, sequence, acked: sequence), get)
    guard case .value = later else { return #expect(Bool(false), "\(later)") }
  }
}

/// What went wrong with leases and locks elsewhere does not go wrong here.
@Suite struct LeaseAndLockFailureTests {
  private func acquire(wait: UInt64 = .max, delay: UInt64 = 0, again: Bool = false) -> Command {
    .acquire(
      Acquire(
        [Acquire.Want(Array("L".utf8))],
        wait: wait,
        delay: delay,
        isReentrant: again
      )
    )
  }

  private func release(_ token: UInt64) -> Command {
    .release(Release(token: token, name: Array("L".utf8)))
  }

  @Test func aWaiterWhoseSessionIsOverIsGrantedNothing() throws {
    var driver = Driver()
    let holder = try driver.openSession(ttl: 100_000, id: 1)
    let dying = try driver.openSession(ttl: 1000, id: 2)
    let next = try driver.openSession(ttl: 100_000, id: 3)
    #expect(try driver.apply(at(holder, 1), acquire()) == .lock(.granted(token: 1)))
    _ = try driver.apply(at(dying, 1), acquire())
    _ = try driver.apply(at(next, 1), acquire())
    // The release comes in the very entry at which the first waiter is over.
    driver.time += 1_000_000_000
    _ = try driver.apply(at(holder, 2), release(1))
    let events = driver.output.events.map { $0.session }
    #expect(events == [next])
    #expect(try driver.apply(at(next, 1), acquire()) == .lock(.granted(token: 2)))
  }

  @Test func aDeadWaiterHoldsUpNobody() throws {
    var driver = Driver()
    let holder = try driver.openSession(ttl: 100_000, id: 1)
    _ = try driver.apply(at(holder, 1), acquire())
    for number in UInt64(2)...20 {
      _ = try driver.apply(at(try driver.openSession(ttl: 1000, id: number), 1), acquire())
    }
    let last = try driver.openSession(ttl: 100_000, id: 21)
    #expect(try driver.apply(at(last, 1), acquire()) == .lock(.waiting(ahead: 19)))
    driver.time += 5_000_000_000
    _ = try driver.apply([UInt8]())
    guard case .inspection(.lock(let info)) = try driver.read(.lock(Array("L".utf8), limit: 30))
    else { return #expect(Bool(false)) }
    #expect(info.waiters.map { $0.session } == [last])
    _ = try driver.apply(at(holder, 2), release(1))
    #expect(driver.output.events.map { $0.session } == [last])
  }

  @Test func oneReleaseWakesOneWaiterHoweverManyWait() throws {
    var driver = Driver()
    let session = try driver.openSession()
    _ = try driver.apply(at(session, 1), acquire())
    for number in UInt64(2)...100 {
      let want = Acquire.Want(Array("L".utf8))
      let waits = Command.acquire(Acquire([want], owner: number, wait: .max))
      _ = try driver.apply(at(session, number), waits)
    }
    for token in UInt64(1)...99 {
      _ = try driver.apply(at(session, 200 + token), release(token))
      #expect(driver.output.events.map { $0.sequence.rawValue } == [token + 1])
    }
  }

  @Test func aRepeatedReleaseDoesNotTouchTheNextHolder() throws {
    var driver = Driver()
    let first = try driver.openSession(id: 1)
    let second = try driver.openSession(id: 2)
    _ = try driver.apply(at(first, 1), acquire())
    _ = try driver.apply(at(second, 1), acquire())
    let released = try driver.apply(at(first, 2), release(1))
    #expect(try driver.apply(at(first, 2), release(1)) == released)
    let anew = try driver.apply(at(first, 3), release(1))
    #expect(anew == .failure(Failure(.lockNotHeld, bytes: Array("L".utf8))))
    #expect(driver.state.holds(LockGuard(lock: Array("L".utf8), token: 2)))
  }

  @Test func aRetriedReentranceCountsOnceAlsoAfterASnapshot() throws {
    var driver = Driver()
    let session = try driver.openSession()
    _ = try driver.apply(at(session, 1), acquire(again: true))
    _ = try driver.apply(at(session, 2), acquire(again: true))
    _ = try driver.apply(at(session, 2), acquire(again: true))
    driver.state = try ReplicatedState(chunks: driver.state.snapshotChunks())
    _ = try driver.apply(at(session, 2), acquire(again: true))
    #expect(try driver.apply(at(session, 3), release(1)) == .released(depth: 1))
    #expect(try driver.apply(at(session, 3), release(1)) == .released(depth: 1))
    #expect(try driver.apply(at(session, 4), release(1)) == .released(depth: 0))
  }

  @Test func anOlderStampMovesNoTimeBackOrForth() throws {
    var driver = Driver()
    let session = try driver.openSession(ttl: 1000)
    driver.time += 900_000_000
    _ = try driver.apply(at(session, 0, acked: 0), .keepAlive)
    // A leader whose clock is behind comes: the session neither ends nor lives longer by that.
    let due = driver.state.nextDeadline
    driver.time = 5
    #expect(try driver.apply(at(session, 1), put("a", "1")) != .failure(Failure(.sessionExpired)))
    #expect(driver.state.time == ClusterTime(1_900_000_000))
    #expect(try driver.apply(at(session, 0, acked: 0), .keepAlive) == .done)
    #expect(driver.state.nextDeadline == due)
  }

  @Test func deadlinesAreWhatTheyWereAfterASnapshot() throws {
    var driver = Driver()
    let session = try driver.openSession(ttl: 1000)
    driver.time += 999_000_000
    driver.state = try ReplicatedState(chunks: driver.state.snapshotChunks())
    #expect(try driver.apply(at(session, 1), put("a", "1")) != .failure(Failure(.sessionExpired)))
    driver.time += 1_000_000
    let late = try driver.apply(at(session, 2), put("a", "2"))
    #expect(late == .failure(Failure(.sessionExpired)))
  }

  @Test func aLeaseThatIsOverTakesNoKeyAndNoRenewal() throws {
    var driver = Driver()
    let session = try driver.openSession(ttl: 100_000)
    guard case .leaseGranted(let lease, _) = try driver.apply(at(session, 1), .grantLease(ttl: 500))
    else { return #expect(Bool(false)) }
    var options = WriteOptions()
    options.lifetime = .lease(lease)
    let write = Command.operation(.put(Put(key: [1], value: [2], options: options)))
    _ = try driver.apply(at(session, 2), write)
    driver.time += 500_000_000
    // All in the entry of the lease's last moment: its key goes, and nothing new is attached.
    let replies = try driver.apply([
      Request(at(session, 3), write),
      Request(at(session, 4), .renewLeases([lease])),
      Request(at(session, 5), .operation(.get(Get(key: [1])))),
    ])
    #expect(replies[0] == .failure(Failure(.leaseNotFound, detail: lease)))
    #expect(replies[1] == .renewed([false]))
    #expect(replies[2] == .value(revision: Revision(2), nil))
    #expect(driver.state.keyspace.attachments.count == 0)
  }

  @Test(arguments: [0, 99, 366 * 86_400_000 + 1, UInt64(Int64.max), .max])
  func aTimeToLiveThatMakesNoSenseIsRefused(ttl: UInt64) throws {
    var driver = Driver()
    let session = try driver.openSession()
    let refusal = Reply.failure(Failure(.invalidTTL, detail: ttl))
    #expect(try driver.apply(at(session, 1), .grantLease(ttl: ttl)) == refusal)
    #expect(try driver.apply(at(session, 2), .openSession(OpenSession(ttl: ttl))) == refusal)
    var options = WriteOptions()
    options.lifetime = .milliseconds(ttl)
    let write = Command.operation(.put(Put(key: [1], value: [], options: options)))
    #expect(try driver.apply(at(session, 3), write) == refusal)
    #expect(driver.state.leases.count == 0 && driver.state.revision == .zero)
  }
}

/// What went wrong with watches elsewhere does not go wrong here.
@Suite struct WatchFailureTests {
  private func told(
    _ request: WatchRequest,
    _ driver: Driver,
    _ table: inout WatchTable
  ) throws -> [UInt64] {
    var output = WatchOutput()
    table.advance(on: driver.state, into: &output)
    return try output.events.flatMap { _, _, bytes -> [UInt64] in
      guard case .watch(let event) = try Event(decodingAll: Array(output.bytes[bytes])),
        event.watches.contains(request.watch)
      else { return [] }
      return event.changes.map { $0.entry.modified.rawValue }
    }
  }

  private func driver(revisions: UInt64) throws -> Driver {
    var driver = Driver()
    let session = try driver.openSession()
    for number in UInt64(0)..<revisions {
      _ = try driver.apply(at(session, number + 1), put("a", "\(number)"))
    }
    return driver
  }

  @Test func aWatchOfTheFutureHearsNothingOfBefore() throws {
    var driver = try driver(revisions: 3)
    var table = WatchTable(beside: driver.state)
    var request = WatchRequest(watch: 1, range: .everything, start: Revision(6))
    request.wantsProgress = true
    let id = WatcherID(connection: 1, watch: 1)
    #expect(try table.start(request, as: id, by: .zero, on: driver.state) == Revision(6))
    var output = WatchOutput()
    table.noteProgress(into: &output)
    #expect(output.events.isEmpty, "a note would promise what is not known yet")
    for number in UInt64(4)...7 {
      _ = try driver.apply(
        .oneShot(OneShotID(high: 3, low: number), expiry: ClusterTime(driver.time)),
        put("a", "\(number)")
      )
      #expect(try told(request, driver, &table) == (number < 6 ? [] : [number]))
    }
  }

  @Test func aWatchFromNowOnBeginsWithTheNextRevision() throws {
    var driver = try driver(revisions: 3)
    var table = WatchTable(beside: driver.state)
    let request = WatchRequest(watch: 1, range: .everything)
    let id = WatcherID(connection: 1, watch: 1)
    #expect(try table.start(request, as: id, by: .zero, on: driver.state) == Revision(4))
    #expect(try told(request, driver, &table) == [])
    _ = try driver.apply(
      .oneShot(OneShotID(high: 3, low: 1), expiry: ClusterTime(driver.time)),
      put("a", "4")
    )
    #expect(try told(request, driver, &table) == [4])
  }

  @Test func aResumedWatchNeitherRepeatsNorSkips() throws {
    let driver = try driver(revisions: 8)
    for last in UInt64(1)...8 {
      // As on another node, whose table knows nothing of the watch that broke.
      var table = WatchTable(beside: driver.state)
      let request = WatchRequest(watch: 1, range: .everything, start: Revision(last + 1))
      let id = WatcherID(connection: 9, watch: 1)
      try table.start(request, as: id, by: .zero, on: driver.state)
      #expect(try told(request, driver, &table) == Array((last + 1)..<9))
    }
  }

  @Test func aStateThatCameBySnapshotTellsWhatCameBetween() throws {
    var ahead = try driver(revisions: 2)
    let behind = ahead.state
    var table = WatchTable(beside: behind)
    let request = WatchRequest(watch: 1, range: .everything)
    try table.start(
      request,
      as: WatcherID(connection: 1, watch: 1),
      by: .zero,
      on: behind
    )
    for number in UInt64(3)...6 {
      _ = try ahead.apply(
        .oneShot(OneShotID(high: 3, low: number), expiry: ClusterTime(ahead.time)),
        put("a", "\(number)")
      )
    }
    ahead.state = try ReplicatedState(chunks: ahead.state.snapshotChunks())
    #expect(try told(request, ahead, &table) == [3, 4, 5, 6])
    #expect(try told(request, ahead, &table) == [])
  }
}
