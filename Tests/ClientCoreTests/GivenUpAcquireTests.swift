import RoostClientCore
import RoostWire
import Testing

/// An acquire that nobody wants any more must not leave a lock behind that nobody gives back.
@Suite struct GivenUpAcquireTests {
  private static let acquire = Command.acquire(Acquire([Acquire.Want([108])]))
  private static let number = SequenceNumber(2)

  /// A conversation in which an acquire was sent, and then given up.
  private static func givenUp() throws -> (Conversation, LinkID) {
    var (world, link, first) = try ClientSessionTests.opened()
    world.answer(first, .done, on: link)
    let id = world.call(.command(acquire))
    _ = try world.takeFrames()
    world.machine.cancel(id, now: world.now, into: &world.effects)
    #expect(world.failure(of: id)?.mayHaveExecuted == true)
    return (world, link)
  }

  /// Answers the one command that the client sends, and says which it was.
  private static func exchange(
    _ world: inout Conversation,
    _ link: LinkID,
    _ reply: Reply
  ) throws -> Command {
    let frame = try #require(try world.takeFrames().last)
    world.answer(CallID(frame.correlation), reply, on: link)
    return try Request(decodingAll: frame.body).command
  }

  @Test func whatWasNotExecutedIsBarred() throws {
    var (world, link) = try Self.givenUp()
    let name = Outcome(session: SessionID(9), sequence: Self.number)
    #expect(try Self.exchange(&world, link, .outcome(.barred)) == .outcome(name))
    #expect(try world.takeFrames().isEmpty)
  }

  @Test func whatWasGrantedIsReleased() throws {
    var (world, link) = try Self.givenUp()
    _ = try Self.exchange(&world, link, .outcome(.executed(.lock(.granted(token: 41)))))
    let release = Command.release(Release(token: 41, name: [108]))
    #expect(try Self.exchange(&world, link, .released(depth: 0)) == release)
    #expect(try world.takeFrames().isEmpty)
  }

  @Test func whatWaitsIsCancelledAndReleasedIfThatCameTooLate() throws {
    var (world, link) = try Self.givenUp()
    _ = try Self.exchange(&world, link, .outcome(.waiting))
    let cancel = Command.cancelAcquire(Self.number)
    #expect(try Self.exchange(&world, link, .lock(.granted(token: 41))) == cancel)
    let release = Command.release(Release(token: 41, name: [108]))
    #expect(try Self.exchange(&world, link, .released(depth: 0)) == release)
    #expect(world.effects.results.count == 2, "nobody hears of it")
  }
}
