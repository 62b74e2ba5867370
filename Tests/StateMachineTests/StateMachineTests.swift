import RoostStateMachine
import RoostWire
import Testing

/// Drives a state as a log would, one request an entry.
struct Driver {
  var state: ReplicatedState
  var time: UInt64 = 1_000_000_000
  var output = AppliedOutput()

  init(limits: StateLimits = StateLimits()) { state = ReplicatedState(limits: limits) }

  mutating func apply(_ requests: [Request]) throws -> [Reply] {
    var payload: [UInt8] = []
    for request in requests { RequestBatch.append(request, to: &payload) }
    return try apply(payload)
  }

  mutating func apply(_ payload: [UInt8]) throws -> [Reply] {
    output.removeAll()
    state.apply(
      payload,
      at: LogIndex(state.appliedIndex.rawValue + 1),
      time: ClusterTime(time),
      into: &output
    )
    return try (0..<output.replyCount).map { index in
      try Reply(decodingAll: Array(output.replyBytes[output.replyRange(index)]))
    }
  }

  mutating func apply(_ identity: RequestIdentity, _ command: Command) throws -> Reply {
    try #require(try apply([Request(identity, command)]).first)
  }

  mutating func openSession(ttl: UInt64 = 10_000, id: UInt64 = 1) throws -> SessionID {
    let reply = try apply(
      .oneShot(OneShotID(high: 0, low: id), expiry: ClusterTime(time + 1_000_000_000)),
      .openSession(OpenSession(ttl: ttl))
    )
    guard case .sessionOpened(let opened) = reply else {
      Issue.record("no session: \(reply)")
      return .zero
    }
    return opened.session
  }

  func read(_ query: Query) throws -> Reply {
    var bytes: [UInt8] = []
    state.read(query.encoded().span, into: &bytes)
    return try Reply(decodingAll: bytes)
  }
}

func put(_ key: String, _ value: String) -> Command {
  .operation(.put(Put(key: Array(key.utf8), value: Array(value.utf8))))
}

func at(_ session: SessionID, _ sequence: UInt64, acked: UInt64 = 1) -> RequestIdentity {
  .session(session, SequenceNumber(sequence), firstIncomplete: SequenceNumber(acked))
}

@Suite struct SessionTests {
  @Test func aRepeatedRequestGetsTheFirstReply() throws {
    var driver = Driver()
    let session = try driver.openSession()
    let first = try driver.apply(at(session, 1), put("a", "1"))
    let second = try driver.apply(at(session, 2), put("a", "2"))
    #expect(try driver.apply(at(session, 1), put("a", "1")) == first)
    #expect(first == .written(Written(revision: Revision(1), version: 1)))
    #expect(second == .written(Written(revision: Revision(2), version: 2)))
    let value = try driver.read(.get(Get(key: Array("a".utf8))))
    guard case .value(_, let entry?) = value else { return #expect(Bool(false), "\(value)") }
    #expect(entry.value == Array("2".utf8))
  }

  @Test func anAcknowledgedRequestIsStaleAndDoesNotRun() throws {
    var driver = Driver()
    let session = try driver.openSession()
    _ = try driver.apply(at(session, 1), put("a", "1"))
    _ = try driver.apply(at(session, 2, acked: 2), put("a", "2"))
    let reply = try driver.apply(at(session, 1), put("a", "1"))
    #expect(reply == .failure(Failure(.stale)))
  }

  @Test func anUnknownOrEndedSessionRunsNothing() throws {
    var driver = Driver()
    let reply = try driver.apply(at(SessionID(12345), 1), put("a", "1"))
    #expect(reply == .failure(Failure(.sessionExpired)))
    let session = try driver.openSession(ttl: 1000)
    driver.time += 1_000_000_000
    let late = try driver.apply(at(session, 1), put("a", "1"))
    #expect(late == .failure(Failure(.sessionExpired)))
    #expect(driver.state.revision == .zero)
  }

  @Test func aSessionLivesAsLongAsItIsKeptAlive() throws {
    var driver = Driver()
    let session = try driver.openSession(ttl: 1000)
    for _ in 0..<5 {
      driver.time += 900_000_000
      #expect(try driver.apply(at(session, 0, acked: 0), .keepAlive) == .done)
    }
    driver.time += 1_000_000_000
    let late = try driver.apply(at(session, 0, acked: 0), .keepAlive)
    #expect(late == .failure(Failure(.sessionExpired)))
  }

  @Test func requestsBeyondTheWindowAreRefused() throws {
    var driver = Driver()
    let session = try driver.openSession()
    let reply = try driver.apply(at(session, 513), put("a", "1"))
    #expect(reply == .failure(Failure(.windowExceeded)))
    let inside = try driver.apply(at(session, 512), put("a", "1"))
    #expect(inside == .written(Written(revision: Revision(1), version: 1)))
    // Sequences need not arrive in order.
    let earlier = try driver.apply(at(session, 3), put("a", "2"))
    #expect(earlier == .written(Written(revision: Revision(2), version: 2)))
  }
}

@Suite struct OneShotTests {
  private func once(_ id: UInt64, expiry: UInt64) -> RequestIdentity {
    .oneShot(OneShotID(high: 7, low: id), expiry: ClusterTime(expiry))
  }

  @Test func aDuplicateNeverRunsHoweverLateItComes() throws {
    var driver = Driver()
    let request = once(1, expiry: driver.time + 30_000_000_000)
    let first = try driver.apply(request, put("a", "1"))
    #expect(first == .written(Written(revision: Revision(1), version: 1)))
    // At every moment up to an hour later the answer is the first reply or a refusal.
    for _ in 0..<360 {
      driver.time += 10_000_000_000
      let again = try driver.apply(request, put("a", "1"))
      switch again {
      case first: #expect(driver.time <= 31_000_000_000)
      case .failure(let failure): #expect(failure.code == .oneShotExpired)
      default: Issue.record("\(again)")
      }
      #expect(driver.state.revision == Revision(1))
    }
  }

  @Test func anExpiryTooFarAheadIsRefused() throws {
    var driver = Driver()
    let reply = try driver.apply(once(1, expiry: driver.time + 60_000_000_001), put("a", "1"))
    #expect(reply == .failure(Failure(.oneShotTooFarAhead, detail: driver.time)))
  }

  @Test func rememberedRequestsAreForgottenOnceTheyCannotRun() throws {
    var driver = Driver()
    _ = try driver.apply(once(1, expiry: driver.time + 1_000_000_000), put("a", "1"))
    #expect(driver.state.nextDeadline == ClusterTime(driver.time + 1_000_000_001))
    driver.time += 1_000_000_001
    _ = try driver.apply([UInt8]())
    #expect(driver.state.nextDeadline == nil)
  }
}

@Suite struct MalformedRequestTests {
  @Test func bytesThatAreNoRequestGetAReplyEach() throws {
    var driver = Driver()
    var payload: [UInt8] = []
    RequestBatch.append(([UInt8](repeating: 0xFF, count: 5)).span, to: &payload)
    RequestBatch.append([UInt8]().span, to: &payload)
    payload += [9, 0, 0, 0, 1]
    let replies = try driver.apply(payload)
    #expect(replies == Array(repeating: .failure(Failure(.malformed)), count: 3))
  }
}
