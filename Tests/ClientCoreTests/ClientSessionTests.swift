import RoostClientCore
import RoostWire
import Testing

/// A client that numbers its requests within a session.
@Suite struct ClientSessionTests {
  private static let ttl = Duration.seconds(30)
  private static let written = Reply.written(Written(revision: Revision(1), version: 1))

  /// A conversation with a session open, and the link that it is open on.
  private static func opened() throws -> (Conversation, LinkID, CallID) {
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

  private static func identities(
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
}
