import RoostRaft
@testable import RoostSimulation
import RoostStateMachine
import RoostWire
import Testing

/// The judges of locks, sessions, leases and time refuse what must never be.
@Suite struct JudgeTests {
  private static let lock = Array("lock".utf8)
  private static let millisecond: UInt64 = 1_000_000

  private static func request(_ session: UInt64, _ number: UInt64, _ command: Command) -> Request {
    let sequence = SequenceNumber(number)
    return Request(
      .session(SessionID(session), sequence, firstIncomplete: sequence),
      command
    )
  }

  /// Sessions 1 and 2, each for a second from time 0 on.
  private static func model() -> LockModel {
    var model = LockModel()
    for session in 1...2 as ClosedRange<UInt64> {
      let opened = SessionOpened(session: SessionID(session), ttl: 1000, time: .zero)
      let open = Request(
        .oneShot(OneShotID(high: 0, low: session), expiry: .zero),
        .openSession(OpenSession(ttl: 1000))
      )
      #expect(model.follow(open, .sessionOpened(opened), at: .zero, isFirst: true) == nil)
    }
    return model
  }

  private static func acquire(
    _ model: inout LockModel,
    _ session: UInt64,
    token: UInt64,
    _ mode: Acquire.Mode = .exclusive,
    delay: UInt64 = 0,
    at milliseconds: UInt64 = 1
  ) -> String? {
    model.beginEntry()
    let acquire = Acquire([Acquire.Want(lock, mode)], wait: 0, delay: delay)
    return model.follow(
      request(session, token, .acquire(acquire)),
      .lock(.granted(token: token)),
      at: ClusterTime(milliseconds * millisecond),
      isFirst: true
    )
  }

  @Test func aLockThatIsHeldIsNotGranted() {
    var model = Self.model()
    #expect(Self.acquire(&model, 1, token: 1) == nil)
    #expect(Self.acquire(&model, 2, token: 2) != nil)
  }

  @Test func readersShareAndWritersDoNot() {
    var model = Self.model()
    #expect(Self.acquire(&model, 1, token: 1, .shared) == nil)
    #expect(Self.acquire(&model, 2, token: 2, .shared) == nil)
    #expect(Self.acquire(&model, 2, token: 3) != nil)
  }

  @Test func moreThanAllPermitsAreRefused() {
    var model = Self.model()
    #expect(Self.acquire(&model, 1, token: 1, .permits(2, of: 3)) == nil)
    #expect(Self.acquire(&model, 2, token: 2, .permits(1, of: 3)) == nil)
    #expect(Self.acquire(&model, 2, token: 3, .permits(1, of: 3)) != nil)
  }

  @Test func aTokenThatDoesNotGrowIsRefused() {
    var model = Self.model()
    #expect(Self.acquire(&model, 1, token: 5) == nil)
    let release = Self.request(1, 9, .release(Release(token: 5, name: Self.lock)))
    #expect(model.follow(release, .released(depth: 0), at: .zero, isFirst: true) == nil)
    #expect(Self.acquire(&model, 2, token: 5) != nil)
    #expect(Self.acquire(&model, 2, token: 4) != nil)
    #expect(Self.acquire(&model, 2, token: 6) == nil)
  }

  @Test func aLockRestsAfterItsHolderDied() {
    var early = Self.model()
    #expect(Self.acquire(&early, 1, token: 1, delay: 300) == nil)
    let renewal = Self.request(2, 0, .keepAlive)
    #expect(
      early.follow(renewal, .done, at: ClusterTime(900 * Self.millisecond), isFirst: true) == nil
    )
    var late = early
    #expect(Self.acquire(&early, 2, token: 2, at: 1200) != nil)
    #expect(Self.acquire(&late, 2, token: 2, at: 1300) == nil)
  }

  /// What the dead holder had stays taken; what it did not have never was.
  @Test func otherPermitsDoNotRest() {
    var model = Self.model()
    #expect(Self.acquire(&model, 1, token: 1, .permits(2, of: 3), delay: 300) == nil)
    let renewal = Self.request(2, 0, .keepAlive)
    let time = ClusterTime(900 * Self.millisecond)
    #expect(model.follow(renewal, .done, at: time, isFirst: true) == nil)
    var greedy = model
    #expect(Self.acquire(&model, 2, token: 2, .permits(1, of: 3), at: 1200) == nil)
    #expect(Self.acquire(&greedy, 2, token: 2, .permits(2, of: 3), at: 1200) != nil)
  }

  @Test func aSessionEndsWhenItShould() {
    for (milliseconds, code) in [(999, ErrorCode.sessionExpired), (1000, .conditionFailed)] {
      var model = Self.model()
      let time = ClusterTime(UInt64(milliseconds) * Self.millisecond)
      let put = Self.request(1, 1, .operation(.put(Put(key: [1], value: []))))
      #expect(model.follow(put, .failure(Failure(code)), at: time, isFirst: true) != nil)
    }
  }

  @Test func aWriteUnderAnOldTokenIsRefused() {
    var model = Self.model()
    #expect(Self.acquire(&model, 1, token: 1) == nil)
    let release = Self.request(1, 9, .release(Release(token: 1, name: Self.lock)))
    #expect(model.follow(release, .released(depth: 0), at: .zero, isFirst: true) == nil)
    let options = WriteOptions(lockGuard: LockGuard(lock: Self.lock, token: 1))
    let put = Self.request(1, 10, .operation(.put(Put(key: [1], value: [], options: options))))
    let written = Reply.written(Written(revision: Revision(1), version: 1))
    #expect(model.follow(put, written, at: .zero, isFirst: true) != nil)
  }

  @Test func onlyTheOwnerReleases() {
    var model = Self.model()
    #expect(Self.acquire(&model, 1, token: 1) == nil)
    let release = Self.request(2, 9, .release(Release(token: 1, name: Self.lock)))
    #expect(model.follow(release, .released(depth: 0), at: .zero, isFirst: true) != nil)
  }

  @Test func nobodyPassesThoseWhoWait() {
    var model = Self.model()
    let wait = Self.request(1, 1, .acquire(Acquire([Acquire.Want(Self.lock)])))
    #expect(model.follow(wait, .lock(.waiting(ahead: 0)), at: .zero, isFirst: true) == nil)
    #expect(Self.acquire(&model, 2, token: 1) == nil, "it is not through yet")
    #expect(model.endEntry() != nil)
  }

  /// In one entry a lock came to a request that waited, and another request of the same session took it once more.
  @Test func whatComesToAWaiterCanBeTakenOnceMore() {
    var model = Self.model()
    let wait = Self.request(1, 1, .acquire(Acquire([Acquire.Want(Self.lock)])))
    #expect(model.follow(wait, .lock(.waiting(ahead: 0)), at: .zero, isFirst: true) == nil)
    model.beginEntry(grantingLater: [5])
    let again = Acquire([Acquire.Want(Self.lock)], isReentrant: true)
    let granted = Reply.lock(.granted(token: 5))
    let request = Self.request(1, 2, .acquire(again))
    #expect(model.follow(request, granted, at: .zero, isFirst: true) == nil)
    #expect(model.follow(SessionID(1), SequenceNumber(1), granted, at: .zero) == nil)
    #expect(model.endEntry() == nil)
  }

  @Test func whoWaitsIsPassedByNobodyWhoCameLater() {
    var model = Self.model()
    for session in 1...2 as ClosedRange<UInt64> {
      let wait = Self.request(session, 1, .acquire(Acquire([Acquire.Want(Self.lock)])))
      let reply = Reply.lock(.waiting(ahead: session - 1))
      #expect(model.follow(wait, reply, at: .zero, isFirst: true) == nil)
    }
    var fair = model
    let (first, granted) = (SequenceNumber(1), Reply.lock(.granted(token: 1)))
    fair.beginEntry()
    #expect(fair.follow(SessionID(1), first, granted, at: .zero) == nil)
    #expect(fair.endEntry() == nil)
    model.beginEntry()
    #expect(model.follow(SessionID(2), first, granted, at: .zero) == nil)
    #expect(model.endEntry() != nil)
  }

  @Test func aGrantToNobodyIsRefused() {
    var model = Self.model()
    let granted = Reply.lock(.granted(token: 1))
    #expect(model.follow(SessionID(1), SequenceNumber(1), granted, at: .zero) != nil)
  }

  @Test func aLeaseThatEndsEarlyIsRefused() {
    var model = Self.model()
    let grant = Self.request(1, 1, .grantLease(ttl: 500))
    #expect(model.follow(grant, .leaseGranted(id: 7, ttl: 500), at: .zero, isFirst: true) == nil)
    #expect(model.judgeEnd(of: 7, at: ClusterTime(499 * Self.millisecond)) != nil)
    #expect(model.judgeEnd(of: 7, at: ClusterTime(500 * Self.millisecond)) == nil)
  }

  private static func change(
    _ key: String,
    lease: UInt64,
    isRemoval: Bool = false
  )
    -> WatchEvent.Change
  {
    let entry = KeyValue(
      key: Array(key.utf8),
      value: [],
      revisions: (Revision(1), Revision(1)),
      version: 1,
      lease: lease
    )
    return WatchEvent.Change(isRemoval: isRemoval, entry: entry)
  }

  /// Lease 7 for half a second from time 0 on, and a key that lives as long.
  private static func leased() -> LockModel {
    var model = Self.model()
    let grant = Self.request(1, 1, .grantLease(ttl: 500))
    #expect(model.follow(grant, .leaseGranted(id: 7, ttl: 500), at: .zero, isFirst: true) == nil)
    #expect(model.follow(change("k", lease: 7), was: nil, at: .zero) == nil)
    return model
  }

  @Test func aKeyThatGoesBeforeItsLeaseIsRefused() {
    let before = Self.change("k", lease: 7).entry
    for (milliseconds, isGood) in [(499, false), (500, true)] as [(UInt64, Bool)] {
      var model = Self.leased()
      let removal = Self.change("k", lease: 0, isRemoval: true)
      let time = ClusterTime(milliseconds * Self.millisecond)
      #expect((model.follow(removal, was: before, at: time) == nil) == isGood)
    }
  }

  /// One entry attached a key to a lease, gave it a life of its own, and revoked the lease; the judge hears of requests before
  /// changes, and took the lease for the key's own (seed 74002273).
  @Test func aLeaseThatIsRevokedInTheEntryThatAttachesAKeyEndsNothingEarly() {
    var model = Self.leased()
    let options = WriteOptions(lifetime: .milliseconds(9000))
    let put = Put(key: Array("k".utf8), value: [], options: options)
    let written = Reply.written(Written(revision: Revision(2), version: 2))
    let own = Self.request(1, 2, .operation(.put(put)))
    #expect(model.follow(own, written, at: .zero, isFirst: true) == nil)
    #expect(
      model.follow(Self.request(1, 3, .revokeLease(7)), .done, at: .zero, isFirst: true) == nil
    )
    let attached = Self.change("k", lease: 7)
    #expect(model.follow(attached, was: nil, at: .zero) == nil)
    let removal = Self.change("k", lease: 0, isRemoval: true)
    #expect(model.follow(removal, was: attached.entry, at: .zero) == nil)
  }

  @Test func aKeyThatOutlivesItsLeaseIsRefused() {
    var model = Self.leased()
    for time in 1...70 as ClosedRange<UInt64> {
      #expect(model.judgeOrphans(at: ClusterTime((500 + time) * Self.millisecond)) == nil)
    }
    #expect(model.judgeOrphans(at: ClusterTime(5000 * Self.millisecond)) != nil)
  }

  @Test func aKeyThatGoesForNoReasonIsRefused() {
    var model = Self.model()
    let before = Self.change("k", lease: 0).entry
    let removal = Self.change("k", lease: 0, isRemoval: true)
    #expect(model.follow(removal, was: before, at: .zero) != nil)
    model.beginEntry()
    let delete = Self.request(1, 1, .operation(.delete(Delete(key: Array("k".utf8)))))
    let deleted = Reply.deleted(Deleted(revision: Revision(2), count: 1))
    #expect(model.follow(delete, deleted, at: .zero, isFirst: true) == nil)
    #expect(model.follow(removal, was: before, at: .zero) == nil)
  }

  @Test func aKeysOwnTimeIsKept() {
    var model = Self.model()
    model.beginEntry()
    let options = WriteOptions(lifetime: .milliseconds(200))
    let put = Put(key: Array("k".utf8), value: [], options: options)
    let written = Reply.written(Written(revision: Revision(1), version: 1))
    let request = Self.request(1, 1, .operation(.put(put)))
    #expect(model.follow(request, written, at: .zero, isFirst: true) == nil)
    let change = Self.change("k", lease: 9)
    #expect(model.follow(change, was: nil, at: .zero) == nil)
    let removal = Self.change("k", lease: 0, isRemoval: true)
    let early = ClusterTime(199 * Self.millisecond)
    #expect(model.follow(removal, was: change.entry, at: early) != nil)
  }

  @Test func aBeliefInWhatIsOverIsRefused() {
    var judge = ClusterJudge(ReplicatedState(), judgesTime: true)
    let open = Request(
      .oneShot(OneShotID(high: 0, low: 1), expiry: ClusterTime(1_000_000_000)),
      .openSession(OpenSession(ttl: 100))
    )
    func add(_ request: Request?, _ index: UInt64, at milliseconds: UInt64) {
      var payload: [UInt8] = []
      if let request { RequestBatch.append(request.encoded().span, to: &payload) }
      let entry = Entry(
        term: Term(1),
        index: LogIndex(index),
        time: ClusterTime(milliseconds * Self.millisecond),
        kind: .requests,
        payload: payload
      )
      #expect(judge.didApply(entry, in: Term(1), at: milliseconds * Self.millisecond) == nil)
    }
    add(open, 1, at: 1)
    let session = judge.locks.sessions.keys.first ?? 0
    let (now, later) = (Instant(nanoseconds: 5), Instant(nanoseconds: 6))
    #expect(judge.judgeBelief(in: session, until: later, at: now) == nil)
    add(nil, 2, at: 101)
    #expect(judge.judgeBelief(in: session, until: later, at: now) != nil)
    #expect(judge.judgeBelief(in: session, until: now, at: now) == nil)
    #expect(judge.judgeBelief(in: session, until: nil, at: now) == nil)
  }

  @Test func timeThatRunsAheadIsRefused() {
    func judge(_ stamp: UInt64) -> String? {
      var judge = TimeJudge()
      for (index, time) in [(1, 1000), (2, 2000)] as [(UInt64, UInt64)] {
        judge.willWrite(LogIndex(index), term: 1, at: time * Self.millisecond)
      }
      let first = ClusterTime(500 * Self.millisecond)
      _ = judge.didApply(LogIndex(1), term: 1, stamp: first, at: 1001 * Self.millisecond)
      return judge.didApply(
        LogIndex(2),
        term: 1,
        stamp: ClusterTime(stamp * Self.millisecond),
        at: 2001 * Self.millisecond
      )
    }
    #expect(judge(1500) == nil)
    #expect(judge(1600) != nil)
  }

  /// A leader of old woke up and wrote at the same index; when others copied the entry later, they seemed to be the first.
  @Test func anEntryIsFirstWrittenOnceHoweverOftenItsPlaceIs() {
    var judge = TimeJudge()
    let second = 1000 * Self.millisecond
    judge.willWrite(LogIndex(1), term: 2, at: second)
    judge.willWrite(LogIndex(1), term: 1, at: 3 * second)
    judge.willWrite(LogIndex(1), term: 2, at: 4 * second)
    judge.willWrite(LogIndex(2), term: 2, at: 4 * second)
    let first = ClusterTime(500 * Self.millisecond)
    let later = ClusterTime(3400 * Self.millisecond)
    #expect(judge.didApply(LogIndex(1), term: 2, stamp: first, at: 4 * second) == nil)
    #expect(judge.didApply(LogIndex(2), term: 2, stamp: later, at: 4 * second) == nil)
  }
}
