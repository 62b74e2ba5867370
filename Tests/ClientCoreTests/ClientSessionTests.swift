import RoostClientCore
import RoostWire
import Testing

/// A client that numbers its requests within a session.
@Suite struct ClientSessionTests {
  private static let ttl = Duration.seconds(30)
  private static let written = Reply.written(Written(revision: Revision(1), version: 1))

  /// A conversation with a session open, and the link that it is open on.
  static func opened() throws -> (Conversation, LinkID, CallID) {
    var world = Conversation(endpoints: 1) { $0.identity = .session(ttl: ttl) }
    let id = world.put()
    let link = try world.accept()
    let frames = try world.takeFrames()
    #expect(frames.count == 1, "the session is opened before anything is asked under it")
    let open = try #require(frames.first)
    let reply = SessionOpened(session: SessionID(9), ttl: 30_000, time: .zero)
    world.answer(CallID(open.correlation), .sessionOpened(reply), on: link)
    return (world, link, id)
  }

  static func identities(
    in frames: [(kind: FrameKind, correlation: UInt64, body: [UInt8])]
  ) throws -> [RequestIdentity] {
    try frames.map { try Request(decodingAll: $0.body).identity }
  }

  @Test func requestsAreNumberedAndRepliesAcknowledged() throws {
    var (world, link, first) = try Self.opened()
    let second = world.put("second")
    let sent = try world.takeFrames()
    #expect(
      try Self.identities(in: sent) == [
        .session(SessionID(9), SequenceNumber(1), firstIncomplete: SequenceNumber(1)),
        .session(SessionID(9), SequenceNumber(2), firstIncomplete: SequenceNumber(1)),
      ]
    )
    world.answer(second, Self.written, on: link)
    world.answer(first, Self.written, on: link)
    _ = world.put("third")
    let third = try world.takeFrames()
    #expect(
      try Self.identities(in: third) == [
        .session(SessionID(9), SequenceNumber(3), firstIncomplete: SequenceNumber(3))
      ]
    )
  }

  @Test func theSessionIsKeptAlive() throws {
    var (world, link, first) = try Self.opened()
    world.answer(first, Self.written, on: link)
    _ = try world.takeFrames()
    world.wait(Self.ttl / 3)
    let renewal = try world.takeFrames()
    #expect(
      try Self.identities(in: renewal) == [
        .session(SessionID(9), .zero, firstIncomplete: SequenceNumber(2))
      ]
    )
    world.answer(CallID(try #require(renewal.first).correlation), .done, on: link)
    #expect(world.effects.results.count == 1, "the session's own calls are nobody's")
  }

  @Test func noRequestIsMovedToAnotherSession() throws {
    var (world, link, first) = try Self.opened()
    _ = try world.takeFrames()
    world.answer(first, .failure(Failure(.sessionExpired)), on: link)
    #expect(world.failure(of: first)?.reason == .sessionEnded)
    let next = world.put("next")
    let frames = try world.takeFrames()
    let open = try Request(decodingAll: try #require(frames.first).body)
    guard case .openSession = open.command else {
      Issue.record("a new session is opened for what comes after")
      return
    }
    #expect(frames.count == 1 && world.result(of: next) == nil)
  }

  @Test func aFullWindowWaits() throws {
    var (world, link, first) = try Self.opened()
    for number in 0..<600 { _ = world.put("\(number)") }
    #expect(try world.takeFrames().count == 512)
    world.answer(first, Self.written, on: link)
    #expect(try world.takeFrames().count == 1)
  }

  /// The numbers and first incomplete numbers of requests.
  private static func numbers(
    in frames: [(kind: FrameKind, correlation: UInt64, body: [UInt8])]
  ) throws -> [(number: UInt64, first: UInt64)] {
    try identities(in: frames).map { identity in
      guard case .session(_, let number, let first) = identity else { return (0, 0) }
      return (number.rawValue, first.rawValue)
    }
  }

  @Test func aRequestThatWasGivenUpDoesNotHoldUpTheRest() throws {
    var (world, link, first) = try Self.opened()
    _ = try world.takeFrames()
    let patient = world.put("patient")
    world.wait(.milliseconds(500))
    _ = try world.takeFrames()
    world.machine.cancel(patient, now: world.now, into: &world.effects)
    #expect(world.failure(of: patient)?.reason == .cancelled)
    #expect(world.failure(of: patient)?.mayHaveExecuted == true)
    let name = Outcome(session: SessionID(9), sequence: SequenceNumber(2))
    #expect(world.failure(of: patient)?.request == name)
    var highest = (number: UInt64(0), first: UInt64(0))
    for _ in 0..<510 {
      let id = world.put()
      highest = try #require(try Self.numbers(in: world.takeFrames()).last)
      #expect(highest.number - highest.first < 512, "the cluster would refuse it")
      world.answer(id, Self.written, on: link)
    }
    // The first call, which nobody answered, is not given up: its number is as far as the window may go.
    #expect(highest.number == 512 && highest.first == 1)
    _ = world.put()
    #expect(try world.takeFrames().isEmpty)
    world.answer(first, Self.written, on: link)
    let next = try #require(try Self.numbers(in: world.takeFrames()).last)
    #expect(next.number == 513 && next.first == 513)
  }

  @Test func theOutcomeOfAGivenUpRequestCanBeAskedForUntilRoomIsNeeded() throws {
    var (world, link, first) = try Self.opened()
    _ = try world.takeFrames()
    world.machine.cancel(first, now: world.now, into: &world.effects)
    var firsts: [UInt64] = []
    for _ in 0..<600 {
      let id = world.put()
      firsts.append(try #require(try Self.numbers(in: world.takeFrames()).last).first)
      world.answer(id, Self.written, on: link)
    }
    #expect(firsts[254] == 1, "the number stays open while half of the window is free")
    #expect(firsts[256] > 200, "then all that is done with is passed over")
    #expect(firsts.last == 601)
  }

  @Test func repliesThatTheClusterCannotStoreMakeRoom() throws {
    var (world, link, first) = try Self.opened()
    _ = try world.takeFrames()
    world.machine.cancel(first, now: world.now, into: &world.effects)
    let id = world.put("big")
    _ = try world.takeFrames()
    world.answer(id, .failure(Failure(.storedReplyLimit)), on: link)
    world.wait(.milliseconds(50))
    let again = try Self.numbers(in: world.takeFrames())
    #expect(again.count == 1 && again.first?.number == 2 && again.first?.first == 2)
    world.answer(id, Self.written, on: link)
    #expect(world.result(of: id) == .answered(Self.written.encoded()))
  }

  @Test func aClusterThatTakesNoSessionIsTheAnswer() throws {
    var world = Conversation(endpoints: 1) { $0.identity = .session(ttl: Self.ttl) }
    let id = world.put()
    let link = try world.accept()
    let open = try #require(try world.takeFrames().first)
    let refusal = Reply.failure(Failure(.tooManySessions, detail: 100_000))
    world.answer(CallID(open.correlation), refusal, on: link)
    #expect(world.result(of: id) == .answered(refusal.encoded()))
    #expect(try world.takeFrames().isEmpty)
  }

  @Test func theNextSessionGoesOnCounting() throws {
    var (world, link, first) = try Self.opened()
    _ = try world.takeFrames()
    world.answer(first, .failure(Failure(.sessionExpired)), on: link)
    #expect(world.failure(of: first)?.mayHaveExecuted == false, "no other copy was ever sent")
    _ = world.put("next")
    let open = try #require(try world.takeFrames().first)
    let reply = SessionOpened(session: SessionID(11), ttl: 30_000, time: .zero)
    world.answer(CallID(open.correlation), .sessionOpened(reply), on: link)
    #expect(
      try Self.identities(in: world.takeFrames()) == [
        .session(SessionID(11), SequenceNumber(2), firstIncomplete: SequenceNumber(2))
      ]
    )
  }
}
