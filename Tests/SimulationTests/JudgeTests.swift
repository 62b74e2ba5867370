@testable import RoostSimulation
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
    #expect(Self.acquire(&model, 2, token: 1) != nil)
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
}
