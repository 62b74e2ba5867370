import RoostClientCore
import RoostWire
import Testing

/// A client with a stand-in for the world: time moves when told, nodes answer what the test says.
struct Conversation {
  var machine: ClientMachine
  var effects = ClientEffects()
  var now = Instant(nanoseconds: 1_000_000_000)
  /// Every request that was looked at.
  var sentRequests: [(correlation: UInt64, body: [UInt8])] = []

  init(endpoints: Int = 3, _ change: (inout ClientSettings) -> Void = { _ in }) {
    var settings = ClientSettings()
    change(&settings)
    machine = ClientMachine(
      endpoints: (1...endpoints).map { "n\($0)" },
      settings: settings,
      random: SplitMix64(seed: 1)
    )
  }

  mutating func call(_ kind: CallKind, within timeout: Duration = .seconds(5)) -> CallID {
    machine.call(kind, deadline: now.advanced(by: timeout), now: now, into: &effects)
  }

  mutating func put(_ key: String = "k") -> CallID {
    call(.command(.operation(.put(Put(key: Array(key.utf8), value: [1])))))
  }

  /// Lets time pass until the machine wants to be called, at most `limit`.
  mutating func wait(_ duration: Duration) {
    let end = now.advanced(by: duration)
    var turns = 0
    while machine.nextDeadline <= end {
      turns += 1
      guard turns < 10_000 else {
        Issue.record("the machine is due again and again and does nothing: it would spin")
        return
      }
      now = max(machine.nextDeadline, now.advanced(byNanoseconds: 1))
      machine.tick(now: now, into: &effects)
    }
    now = max(now, end)
  }

  /// The endpoint and the link of the connection that was asked for last.
  mutating func takeConnect() -> (link: LinkID, endpoint: Int)? {
    defer { effects.connects = [] }
    return effects.connects.last
  }

  /// Makes the connection that was asked for last, and greets.
  mutating func accept(leader: UInt64 = 1) throws -> LinkID {
    let (link, endpoint) = try #require(takeConnect())
    machine.didConnect(link, now: now, into: &effects)
    effects.sends = effects.sends.filter { $0.bytes.count != Hello.byteCount }
    let reply = HelloReply(
      verdict: .accepted,
      cluster: ClusterID(1),
      node: NodeID(UInt64(endpoint + 1)),
      leader: NodeID(leader),
      clusterTime: ClusterTime(0)
    )
    receive(reply.encoded(), on: link)
    return link
  }

  mutating func refuse() throws {
    let (link, _) = try #require(takeConnect())
    machine.didBreak(link, because: "connection refused", now: now, into: &effects)
  }

  mutating func receive(_ bytes: [UInt8], on link: LinkID) {
    machine.didReceive(bytes.span, on: link, now: now, into: &effects)
  }

  mutating func answer(_ id: CallID, _ reply: Reply, on link: LinkID) {
    var bytes: [UInt8] = []
    bytes.appendFrame(.reply, correlation: id.rawValue) { reply.encode(into: &$0) }
    receive(bytes, on: link)
  }

  /// An event comes; `session` is the correlation of news of locks.
  mutating func tell(_ event: Event, of session: UInt64 = 0, on link: LinkID) {
    var bytes: [UInt8] = []
    bytes.appendFrame(.event, correlation: session) { event.encode(into: &$0) }
    receive(bytes, on: link)
  }

  /// The frames that were sent since the last look.
  mutating func takeFrames() throws -> [(kind: FrameKind, correlation: UInt64, body: [UInt8])] {
    var frames: [(FrameKind, UInt64, [UInt8])] = []
    for send in effects.sends {
      var input = send.bytes.span
      while let header = try FrameHeader.next(in: &input, bodyLimit: 1 << 21) {
        let body = try input.readBytes(header.bodyByteCount)
        frames.append((header.kind, header.correlation, body))
      }
    }
    effects.sends = []
    sentRequests += frames.filter { $0.0 == .request }.map { ($0.1, $0.2) }
    return frames
  }

  func result(of id: CallID) -> CallResult? {
    effects.results.first { $0.call == id }?.result
  }

  func failure(of id: CallID) -> CallFailure? {
    guard case .failed(let failure) = result(of: id) else { return nil }
    return failure
  }
}

@Suite struct ClientMachineTests {
  private static let written = Reply.written(Written(revision: Revision(1), version: 1))

  @Test func aRetryIsTheSameRequest() throws {
    var world = Conversation()
    let id = world.put()
    let first = try world.accept()
    let sent = try world.takeFrames()
    #expect(sent.count == 1 && sent.first?.kind == .request)
    world.machine.didBreak(first, because: "reset", now: world.now, into: &world.effects)
    let second = try world.accept()
    let again = try world.takeFrames()
    #expect(again.first?.body == sent.first?.body)
    world.answer(id, Self.written, on: second)
    #expect(world.result(of: id) == .answered(Self.written.encoded()))
    #expect(world.effects.results.count == 1)
  }

  @Test func aClientNeverGoesBackInTime() throws {
    var world = Conversation(endpoints: 2)
    let put = world.put()
    let first = try world.accept()
    _ = try world.takeFrames()
    world.answer(put, .written(Written(revision: Revision(9), version: 1)), on: first)
    let query = Query.get(Get(key: [1]))
    let read = world.call(.query(.serializable, query))
    #expect(try world.takeFrames().last?.body == Self.bounded(9, query))
    // A node that lags refuses, and another one is asked for the same.
    world.answer(read, .failure(Failure(.tooOld, detail: 8)), on: first)
    world.wait(.milliseconds(50))
    let second = try world.accept()
    #expect(try world.takeFrames().last?.body == Self.bounded(9, query))
    let seen = Reply.observed(age: 5, .value(revision: Revision(12), nil))
    world.answer(read, seen, on: second)
    #expect(world.result(of: read) == .answered(seen.encoded()))
    let recent = world.call(.recent(query, age: 77))
    #expect(try world.takeFrames().last?.body == Self.bounded(12, query, age: 77))
    // Whoever finds nobody that is new enough is told so before its time is over.
    for _ in 0..<400 where world.result(of: recent) == nil {
      world.answer(recent, .failure(Failure(.tooOld, detail: 12)), on: second)
      world.wait(.milliseconds(25))
    }
    #expect(world.failure(of: recent)?.reason == .noQuorum)
  }

  private static func bounded(_ revision: UInt64, _ query: Query, age: UInt64 = 0) -> [UInt8] {
    var bytes = [ReadLevel.bounded.rawValue]
    ReadBound(revision: Revision(revision), age: age).encode(into: &bytes)
    query.encode(into: &bytes)
    return bytes
  }

  /// The refusal speaks of the copy that it answers; the first one was in the log all the time.
  @Test(arguments: [ErrorCode.diskFull, .overloaded, .windowExceeded])
  func aFullDiskThatRefusesARetryLeavesItOpen(code: ErrorCode) throws {
    var world = Conversation()
    let id = world.put()
    let first = try world.accept()
    _ = try world.takeFrames()
    world.machine.didBreak(first, because: "reset", now: world.now, into: &world.effects)
    let second = try world.accept(leader: 2)
    #expect(try world.takeFrames().contains { $0.kind == .request })
    world.answer(id, .failure(Failure(code)), on: second)
    #expect(world.result(of: id) == nil)
    world.wait(.milliseconds(50))
    #expect(try world.takeFrames().contains { $0.kind == .request })
    world.answer(id, Self.written, on: second)
    #expect(world.result(of: id) == .answered(Self.written.encoded()))
  }

  @Test func leadershipThatIsLostIsARetryToo() throws {
    var world = Conversation()
    let id = world.put()
    let link = try world.accept()
    let sent = try world.takeFrames()
    world.answer(id, .failure(Failure(.leadershipLost)), on: link)
    world.wait(.milliseconds(50))
    _ = try world.accept()
    world.wait(.milliseconds(50))
    let again = try world.takeFrames()
    #expect(again.first?.body == sent.first?.body && world.result(of: id) == nil)
  }

  @Test func endpointsThatAllRefuseTwiceEndACallAtOnce() throws {
    var world = Conversation()
    let started = world.now
    let id = world.put()
    for _ in 0..<6 {
      if world.effects.connects.isEmpty { world.wait(.milliseconds(100)) }
      try world.refuse()
    }
    let failure = try #require(world.failure(of: id))
    #expect(failure.reason == .unreachable && !failure.mayHaveExecuted)
    #expect(failure.endpoints.map(\.failure) == Array(repeating: "connection refused", count: 3))
    #expect(world.now.nanoseconds(since: started) < 500_000_000)
  }

  @Test func aPatientClientGoesOnUntilTheDeadline() throws {
    var world = Conversation { $0.unreachableRounds = nil }
    let id = world.call(.query(.linearizable, .status), within: .seconds(2))
    for _ in 0..<12 {
      if world.effects.connects.isEmpty { world.wait(.milliseconds(100)) }
      try world.refuse()
    }
    #expect(world.result(of: id) == nil)
    world.effects.connects = []
    world.wait(.seconds(2))
    #expect(world.failure(of: id)?.reason == .timedOut)
  }

  @Test func aRefusalByEveryNodeLeavesNoDoubt() throws {
    var world = Conversation(endpoints: 1)
    let id = world.put()
    let link = try world.accept()
    for _ in 0..<400 where world.result(of: id) == nil {
      for frame in try world.takeFrames() where frame.kind == .request {
        world.answer(CallID(frame.correlation), .failure(Failure(.noQuorum)), on: link)
      }
      world.wait(.milliseconds(10))
    }
    let failure = try #require(world.failure(of: id))
    #expect(failure.reason == .noQuorum && !failure.mayHaveExecuted)
  }

  @Test func anUnansweredRequestMayHaveHappened() throws {
    var world = Conversation(endpoints: 1)
    let id = world.put()
    _ = try world.accept()
    world.wait(.seconds(6))
    #expect(world.failure(of: id)?.mayHaveExecuted == true)
  }

  @Test func aSilentNodeIsAskedForASignAndThenLeft() throws {
    var world = Conversation()
    let id = world.call(.query(.linearizable, .status), within: .seconds(10))
    let link = try world.accept()
    _ = try world.takeFrames()
    world.wait(.milliseconds(800))
    let ping = try world.takeFrames()
    #expect(ping.map(\.kind) == [.status] && ping.first?.correlation == 0)
    world.wait(.milliseconds(800))
    #expect(world.effects.closes == [link] && world.result(of: id) == nil)
    #expect(world.takeConnect()?.endpoint == 1)
  }

  @Test func theNamedLeaderIsAskedNext() throws {
    var world = Conversation()
    let status = world.call(.status(endpoint: 2))
    let third = try world.accept()
    world.answer(status, .done, on: third)
    let id = world.put()
    let first = try world.accept()
    _ = try world.takeFrames()
    world.answer(id, .failure(Failure(.notLeader, detail: 3)), on: first)
    world.wait(.milliseconds(50))
    #expect(world.effects.sends.map(\.link) == [third])
  }

  @Test func aLateAnswerOverAnOldLinkIsNotForAnotherCall() throws {
    var world = Conversation(endpoints: 1)
    let old = world.call(.query(.linearizable, .status), within: .milliseconds(100))
    let link = try world.accept()
    world.wait(.milliseconds(200))
    #expect(world.failure(of: old)?.reason == .timedOut)
    let new = world.put()
    world.answer(old, .done, on: link)
    #expect(world.result(of: new) == nil)
  }

  @Test func brokenBytesEndTheLinkAndNotTheCall() throws {
    var world = Conversation()
    let id = world.put()
    let link = try world.accept()
    world.receive([UInt8](repeating: 7, count: 64), on: link)
    #expect(world.effects.closes == [link] && world.result(of: id) == nil)
    #expect(world.takeConnect()?.endpoint == 1)
  }

  @Test func aOneShotThatCameTooLateForTheFirstTimeTakesAnotherName() throws {
    var world = Conversation(endpoints: 1)
    let id = world.put()
    let link = try world.accept()
    let sent = try world.takeFrames()
    let time: UInt64 = 3_600_000_000_000
    world.answer(id, .failure(Failure(.oneShotExpired, detail: time)), on: link)
    let expiry = try Self.expiryOfAnother(sent.first?.body, in: &world)
    #expect(expiry.rawValue > time && expiry.rawValue < time + 60_000_000_000)
  }

  /// The expiry of the request that takes the place of a refused one, under another name.
  private static func expiryOfAnother(
    _ refused: [UInt8]?,
    in world: inout Conversation
  ) throws -> ClusterTime {
    world.wait(.milliseconds(50))
    let again = try world.takeFrames()
    #expect(again.count == 1 && again.first?.body != refused)
    let request = try Request(decodingAll: try #require(again.first?.body))
    guard case .oneShot(_, let expiry) = request.identity else {
      Issue.record("it stays a one-shot")
      return .zero
    }
    return expiry
  }

  /// The cluster was without a leader for a minute, and its time stood still; the client's idea of it went on, and all that it
  /// asked for on that connection was refused, for ever.
  @Test func aOneShotFromAheadOfTheClustersTimeTakesAnotherName() throws {
    var world = Conversation(endpoints: 1)
    let id = world.put()
    let link = try world.accept()
    let sent = try world.takeFrames()
    let refusal = Reply.failure(Failure(.oneShotTooFarAhead, detail: 5))
    world.answer(id, refusal, on: link)
    #expect(world.result(of: id) == nil)
    let expiry = try Self.expiryOfAnother(sent.first?.body, in: &world)
    #expect(expiry.rawValue < 60_000_000_000)
  }

  @Test func thousandsOfCallsKeepTheirOrderWhenALinkBreaks() throws {
    var world = Conversation()
    var ids = (0..<3000).map { world.put("\($0)") }
    let first = try world.accept()
    #expect(try world.takeFrames().map(\.correlation) == ids.map(\.rawValue))
    for id in ids[..<1000] { world.answer(id, Self.written, on: first) }
    world.machine.didBreak(first, because: "reset", now: world.now, into: &world.effects)
    ids.append(world.put("later"))
    _ = try world.accept()
    #expect(try world.takeFrames().map(\.correlation) == ids[1000...].map(\.rawValue))
    #expect(world.effects.results.map(\.call) == Array(ids[..<1000]))
  }

  @Test func theFramesOfATurnAreOneWrite() throws {
    var world = Conversation()
    _ = world.put()
    _ = try world.accept()
    _ = try world.takeFrames()
    for _ in 0..<100 { _ = world.put() }
    #expect(world.effects.sends.count == 1)
    #expect(try world.takeFrames().count == 100)
  }

  @Test func deadlinesEndTheirCallsAndNoOthers() throws {
    var world = Conversation()
    let link: LinkID
    let long = world.call(.query(.linearizable, .status), within: .seconds(60))
    link = try world.accept()
    let many = (1...300).map { number in
      world.call(
        .query(.linearizable, .status),
        within: .milliseconds(10 + Int64(number * 7 % 300))
      )
    }
    for id in many where id.rawValue % 3 == 0 { world.answer(id, .done, on: link) }
    world.wait(.milliseconds(400))
    for id in many {
      #expect(id.rawValue % 3 == 0 || world.failure(of: id)?.reason == .timedOut)
    }
    #expect(world.effects.results.count == 300 && world.result(of: long) == nil)
  }
}
