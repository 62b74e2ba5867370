import RoostClientCore
import RoostWire
import Testing

/// Locks and leases: what the client waits for, holds, and knows that it can't prove any more.
@Suite struct ClientHoldTests {
  private static let ttl = Duration.seconds(10)

  private static func acquire(_ name: UInt8 = 108) -> CallKind {
    .command(.acquire(Acquire([Acquire.Want([name])])))
  }

  /// A conversation with session 9 of 10 s, opened by a request that was sent at its beginning.
  private static func opened(endpoints: Int = 1) throws -> (Conversation, LinkID) {
    var world = Conversation(endpoints: endpoints) { $0.identity = .session(ttl: ttl) }
    let id = world.put()
    let link = try world.accept()
    let open = try #require(try world.takeFrames().first)
    let reply = SessionOpened(session: SessionID(9), ttl: 10_000, time: .zero)
    world.answer(CallID(open.correlation), .sessionOpened(reply), on: link)
    world.answer(id, .done, on: link)
    _ = try world.takeFrames()
    return (world, link)
  }

  private static func holding() throws -> (Conversation, LinkID) {
    var (world, link) = try opened()
    let id = world.call(acquire())
    world.answer(id, .lock(.granted(token: 41)), on: link)
    #expect(world.machine.holds(41))
    _ = try world.takeFrames()
    return (world, link)
  }

  @Test func anAcquireIsAnsweredWhenItWaitsNoLonger() throws {
    var (world, link) = try Self.opened()
    let id = world.call(Self.acquire(), within: .seconds(60))
    world.answer(id, .lock(.waiting(ahead: 3)), on: link)
    #expect(world.result(of: id) == nil)
    let granted = Reply.lock(.granted(token: 41))
    world.tell(.lockResolved(SequenceNumber(2), granted), of: 8, on: link)
    #expect(world.result(of: id) == nil, "another session's news")
    world.tell(.lockResolved(SequenceNumber(2), granted), of: 9, on: link)
    #expect(world.result(of: id) == .answered(granted.encoded()) && world.machine.holds(41))
  }

  @Test func newsThatWasLostWithALinkIsAskedFor() throws {
    var (world, link) = try Self.opened(endpoints: 2)
    let id = world.call(Self.acquire(), within: .seconds(60))
    let sent = try #require(try world.takeFrames().first)
    world.answer(id, .lock(.waiting(ahead: 3)), on: link)
    world.machine.didBreak(link, because: "reset", now: world.now, into: &world.effects)
    let second = try world.accept()
    let again = try #require(try world.takeFrames().first)
    #expect(again.body == sent.body, "the same request finds its place, or its grant")
    world.answer(id, .lock(.granted(token: 41)), on: second)
    #expect(world.result(of: id) == .answered(Reply.lock(.granted(token: 41)).encoded()))
  }

  /// It was told that its request was refused, while that stood in the queue and got the lock.
  @Test func anAcquireThatWaitsIsNotRefusedByAFullDisk() throws {
    var (world, link) = try Self.opened(endpoints: 2)
    let id = world.call(Self.acquire(), within: .seconds(60))
    world.answer(id, .lock(.waiting(ahead: 3)), on: link)
    world.machine.didBreak(link, because: "reset", now: world.now, into: &world.effects)
    let second = try world.accept()
    _ = try world.takeFrames()
    world.answer(id, .failure(Failure(.diskFull)), on: second)
    #expect(world.result(of: id) == nil)
    world.wait(.milliseconds(50))
    #expect(try world.takeFrames().contains { $0.kind == .request })
    world.answer(id, .lock(.granted(token: 41)), on: second)
    #expect(world.result(of: id) == .answered(Reply.lock(.granted(token: 41)).encoded()))
  }

  @Test func aPlaceThatIsGoneIsATimeout() throws {
    var (world, link) = try Self.opened(endpoints: 2)
    let id = world.call(Self.acquire(), within: .seconds(60))
    world.answer(id, .lock(.waiting(ahead: 3)), on: link)
    world.machine.didBreak(link, because: "reset", now: world.now, into: &world.effects)
    let second = try world.accept()
    world.answer(id, .failure(Failure(.stale)), on: second)
    let gone = Reply.failure(Failure(.lockTimedOut)).encoded()
    #expect(world.result(of: id) == .answered(gone))
  }

  @Test func aHolderIsToldBeforeItsSessionCanHaveEnded() throws {
    var (world, _) = try Self.holding()
    let started = Instant(nanoseconds: 1_000_000_000)
    world.effects.notices = []
    var turns = 0
    while world.effects.notices.isEmpty, turns < 1000 {
      world.wait(.milliseconds(10))
      turns += 1
    }
    #expect(world.effects.notices == [.lockLost(token: 41, .unproven)])
    let passed = world.now.nanoseconds(since: started)
    #expect(passed >= 8_900_000_000 && passed < 9_000_000_000, "a tenth before 9.9 s: \(passed)")
    #expect(!world.machine.holds(41))
    world.wait(.seconds(5))
    #expect(world.effects.notices.count == 1, "it is told once")
  }

  @Test func arenewalProvesMore() throws {
    var (world, link) = try Self.holding()
    for _ in 0..<20 {
      world.wait(.milliseconds(1700))
      for frame in try world.takeFrames() where frame.kind == .request {
        world.answer(CallID(frame.correlation), .done, on: link)
      }
      // A node that is asked for a sign gives it.
      world.receive([], on: link)
    }
    #expect(world.machine.holds(41) && world.effects.notices.isEmpty)
    let left = try #require(world.machine.surelyHeldUntil).nanoseconds(since: world.now)
    #expect(left > 4_900_000_000, "\(left)")
  }

  @Test func aRefusedRenewalProvesNothing() throws {
    var (world, link) = try Self.holding()
    world.effects.notices = []
    for _ in 0..<100 where world.effects.notices.isEmpty {
      world.wait(.milliseconds(100))
      for frame in try world.takeFrames() where frame.kind == .request {
        world.answer(CallID(frame.correlation), .failure(Failure(.diskFull)), on: link)
      }
      world.receive([], on: link)
    }
    #expect(world.effects.notices == [.lockLost(token: 41, .unproven)])
  }

  @Test func theEndOfASessionEndsWhatItHeldAndWhatItWaitedFor() throws {
    var (world, link) = try Self.holding()
    let waiting = world.call(Self.acquire(109), within: .seconds(60))
    world.answer(waiting, .lock(.waiting(ahead: 1)), on: link)
    let put = world.put()
    world.answer(put, .failure(Failure(.sessionExpired)), on: link)
    #expect(
      world.effects.notices == [
        .lockLost(token: 41, .sessionEnded), .sessionEnded(SessionID(9)),
      ]
    )
    #expect(world.failure(of: waiting)?.reason == .sessionEnded)
    #expect(world.failure(of: waiting)?.mayHaveExecuted == false)
  }

  @Test func anOperatorTakesAGrantAway() throws {
    var (world, link) = try Self.holding()
    world.tell(.lockLost(token: 41, name: [108]), of: 9, on: link)
    #expect(world.effects.notices == [.lockLost(token: 41, .forced)])
    #expect(!world.machine.holds(41))
  }

  @Test func whatIsReleasedIsNotLost() throws {
    var (world, link) = try Self.holding()
    let id = world.call(.command(.release(Release(token: 41))))
    world.answer(id, .released(depth: 0), on: link)
    #expect(!world.machine.holds(41))
    let close = world.call(.command(.closeSession))
    world.answer(close, .done, on: link)
    #expect(world.effects.notices == [.sessionEnded(SessionID(9))])
  }

  @Test func leasesAreRenewedTogetherUntilTheyEnd() throws {
    var world = Conversation(endpoints: 1)
    for lease: UInt64 in [7, 5, 6] {
      world.machine.keepLease(lease, ttl: .seconds(9), now: world.now, into: &world.effects)
    }
    let link = try world.accept()
    _ = try world.takeFrames()
    world.wait(.milliseconds(700))
    // Nothing was answered so far: the first requests are still under way.
    world.answer(CallID(0), .done, on: link)
    #expect(world.machine.surelyLives(5) == nil)
    let frames = world.sentRequests
    for frame in frames {
      let request = try Request(decodingAll: frame.body)
      guard case .renewLeases(let ids) = request.command else { continue }
      let lives = ids.map { _ in true }
      world.answer(CallID(frame.correlation), .renewed(lives), on: link)
    }
    #expect(world.machine.surelyLives(5) != nil)
    world.sentRequests = []
    world.wait(.milliseconds(2900))
    _ = try world.takeFrames()
    let renewal = try #require(world.sentRequests.first)
    let request = try Request(decodingAll: renewal.body)
    #expect(request.command == .renewLeases([5, 6, 7]), "one request for all")
    world.answer(CallID(renewal.correlation), .renewed([true, false, true]), on: link)
    #expect(world.effects.notices == [.leaseEnded(6)])
  }
}
