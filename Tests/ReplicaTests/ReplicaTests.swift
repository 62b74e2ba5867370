import RoostRaft
import RoostReplica
import RoostStateMachine
import RoostWire
import Testing

/// A few replicas whose messages and writes the test moves by hand.
private struct Trio {
  var replicas: [Replica] = []
  var effects: [ReplicaEffects]
  var now = Instant(nanoseconds: 1_000_000_000)
  var replies: [ClientTicket: Reply] = [:]
  /// Members whose messages are lost, both ways.
  var isolated: Set<Int> = []
  /// Whether the leader's answers to what was handed on are lost.
  var losesForwardReplies = false
  /// How many snapshots each was asked to write, and could not.
  var failedSnapshots: [Int]

  /// `start` tells the dice of one start from those of another.
  init(
    _ count: Int = 3,
    start: UInt64 = 0,
    snapshotByteCount: Int = Replica.defaultSnapshotByteCount
  ) {
    let ids = (1...count).map { NodeID(UInt64($0)) }
    failedSnapshots = Array(repeating: 0, count: count)
    effects = Array(repeating: ReplicaEffects(), count: count)
    for id in ids {
      replicas.append(
        Replica(
          id: id,
          settings: Settings(),
          restored: Restored(mark: SnapshotMark(founding: Membership(voters: ids))),
          state: ReplicatedState(),
          random: SplitMix64(seed: id.rawValue + start),
          now: now,
          snapshotByteCount: snapshotByteCount
        )
      )
    }
  }

  /// Finishes turns, moves messages and makes writes durable until nothing is left to do.
  mutating func settle() {
    var isQuiet = false
    while !isQuiet {
      isQuiet = true
      for index in replicas.indices {
        replicas[index].finishTurn(now: now, into: &effects[index])
        replicas[index].applyCommitted(now: now, into: &effects[index])
        if !effects[index].isEmpty { isQuiet = false }
        perform(index)
      }
    }
  }

  private mutating func perform(_ index: Int) {
    let asked = effects[index]
    effects[index] = ReplicaEffects()
    for reply in asked.replies {
      let bytes = [UInt8](asked.replyBytes[reply.range])
      replies[reply.ticket] = try? Reply(decodingAll: bytes)
    }
    if let ticket = asked.writes.last?.ticket {
      replicas[index].didPersist(through: ticket, now: now)
    }
    if asked.snapshotToSave != nil {
      failedSnapshots[index] += 1
      replicas[index].didFailToSaveSnapshot()
    }
    let own = replicas[index].id
    for envelope in asked.messages {
      let target = Int(envelope.recipient.rawValue) - 1
      guard isolated.isDisjoint(with: [index, target]) else { continue }
      replicas[target].receive(envelope.message, from: own, now: now)
    }
    for forward in asked.forwards {
      let target = Int(forward.ticket.member.rawValue) - 1
      guard isolated.isDisjoint(with: [index, target]) else { continue }
      let ticket = ForwardTicket(member: own, correlation: forward.ticket.correlation)
      if forward.isReply, losesForwardReplies { continue }
      if forward.isReply {
        replicas[target].receiveForwardReply(
          forward.bytes.span,
          for: ticket,
          into: &effects[target]
        )
      } else {
        replicas[target].receiveForward(
          forward.bytes.span,
          from: ticket,
          now: now,
          into: &effects[target]
        )
      }
    }
  }

  mutating func run(for duration: Duration) {
    let end = now.advanced(by: duration)
    while now < end {
      now = now.advanced(by: .milliseconds(10))
      for index in replicas.indices { replicas[index].tick(now: now) }
      settle()
    }
  }

  /// The place of the one replica that leads.
  mutating func elect() throws -> Int {
    run(for: .seconds(2))
    let leaders = replicas.indices.filter {
      !isolated.contains($0) && replicas[$0].consensus.isEstablished
    }
    #expect(leaders.count == 1)
    return try #require(leaders.first)
  }

  mutating func request(_ bytes: [UInt8], at index: Int, _ correlation: UInt64) -> ClientTicket {
    let ticket = ClientTicket(connection: UInt64(index), correlation: correlation)
    replicas[index].request(bytes.span, from: ticket, now: now, into: &effects[index])
    return ticket
  }

  mutating func query(
    _ key: String,
    _ level: ReadLevel,
    at index: Int,
    _ correlation: UInt64
  ) -> ClientTicket {
    let ticket = ClientTicket(connection: UInt64(index), correlation: correlation)
    var bytes = [level.rawValue]
    Query.get(Get(key: Array(key.utf8))).encode(into: &bytes)
    replicas[index].query(bytes.span, from: ticket, now: now, into: &effects[index])
    return ticket
  }
}

extension Trio {
  fileprivate mutating func observe(
    _ key: String,
    _ bound: ReadBound,
    at index: Int,
    _ correlation: UInt64
  ) -> ClientTicket {
    let ticket = ClientTicket(connection: UInt64(index), correlation: correlation)
    var bytes = [ReadLevel.bounded.rawValue]
    bound.encode(into: &bytes)
    Query.get(Get(key: Array(key.utf8))).encode(into: &bytes)
    replicas[index].query(bytes.span, from: ticket, now: now, into: &effects[index])
    return ticket
  }
}

@Suite struct ReplicaTests {
  /// A put as a one-shot client asks for it; the same number is the same request.
  private static func put(_ key: String, _ value: String, number: UInt64) -> [UInt8] {
    let put = Put(key: Array(key.utf8), value: Array(value.utf8))
    let id = OneShotID(high: 1, low: number)
    let expiry = ClusterTime(30_000_000_000)
    return Request(.oneShot(id, expiry: expiry), .operation(.put(put))).encoded()
  }

  private static func value(in reply: Reply?) -> String? {
    guard case .value(_, let found?) = reply else { return nil }
    return String(decoding: found.value, as: UTF8.self)
  }

  @Test func aRequestAtAnyNodeIsAnsweredOnceItIsCommitted() throws {
    var trio = Trio()
    let leader = try trio.elect()
    for index in 0..<3 {
      let ticket = trio.request(Self.put("k\(index)", "v", number: UInt64(index)), at: index, 1)
      #expect(trio.replies[ticket] == nil)
      trio.settle()
      guard case .written = trio.replies[ticket] else {
        Issue.record("node \(index), leader \(leader): \(String(describing: trio.replies[ticket]))")
        continue
      }
    }
    trio.run(for: .milliseconds(200))
    #expect(Set(trio.replicas.map(\.state.stateHash)).count == 1)
    #expect(trio.replicas.allSatisfy { $0.state.revision == Revision(3) })
  }

  /// Seen as a client that got the reply to another's request: the leader answered what an earlier start of the member
  /// had handed on, and the present one had given the same number to something else.
  @Test func aLaterStartNumbersWhatItHandsOnOtherwise() throws {
    func number(_ start: UInt64) throws -> UInt64 {
      var trio = Trio(start: start)
      let follower = (try trio.elect() + 1) % 3
      _ = trio.request(Self.put("a", "1", number: 1), at: follower, 1)
      return try #require(trio.effects[follower].forwards.first).ticket.correlation
    }
    #expect(try number(0) != number(100))
  }

  @Test func requestsOfOneTurnAreOneEntry() throws {
    var trio = Trio()
    let leader = try trio.elect()
    let before = trio.replicas[leader].consensus.lastIndex
    let tickets = (0..<100).map {
      trio.request(Self.put("k\($0)", "v", number: UInt64($0)), at: leader, UInt64($0))
    }
    trio.settle()
    #expect(tickets.allSatisfy { trio.replies[$0] != nil })
    #expect(trio.replicas[leader].consensus.lastIndex.rawValue == before.rawValue + 1)
  }

  @Test func aRetryAtAnotherNodeGetsTheFirstReply() throws {
    var trio = Trio()
    let leader = try trio.elect()
    let request = Self.put("k", "v", number: 7)
    let first = trio.request(request, at: leader, 1)
    trio.settle()
    let second = trio.request(request, at: (leader + 1) % 3, 2)
    trio.settle()
    #expect(trio.replies[first] == trio.replies[second] && trio.replies[first] != nil)
    #expect(trio.replicas[leader].state.revision == Revision(1))
  }

  @Test func whoWaitsForADeposedLeaderHearsThatTheOutcomeIsOpen() throws {
    var trio = Trio()
    let leader = try trio.elect()
    trio.isolated = [leader]
    let request = Self.put("k", "v", number: 7)
    let ticket = trio.request(request, at: leader, 1)
    let read = trio.query("k", .linearizable, at: leader, 2)
    let next = try trio.elect()
    #expect(next != leader)
    #expect(trio.replies[ticket] == .failure(Failure(.leadershipLost)))
    #expect(trio.replies[read] == .failure(Failure(.noQuorum)), "no old answer is given")
    let retry = trio.request(request, at: next, 3)
    trio.isolated = []
    trio.run(for: .seconds(1))
    guard case .written = trio.replies[retry] else {
      Issue.record("the retry is answered")
      return
    }
    #expect(Set(trio.replicas.map(\.state.stateHash)).count == 1)
    #expect(trio.replicas.allSatisfy { $0.state.revision == Revision(1) })
  }

  /// The leader answered over a connection that had just broken; the member's own stayed whole, and its client waited until
  /// its deadline, for an answer that was nowhere any more.
  @Test func whoeverWaitsForALostAnswerOfTheLeaderIsToldToAskAgain() throws {
    var trio = Trio()
    let follower = (try trio.elect() + 1) % 3
    let request = Self.put("k", "v", number: 7)
    trio.losesForwardReplies = true
    let ticket = trio.request(request, at: follower, 1)
    trio.run(for: .milliseconds(2500))
    #expect(trio.replies[ticket] == nil, "the leader may be slow")
    #expect(!trio.replicas[follower].isIdle)
    trio.run(for: .seconds(1))
    #expect(trio.replies[ticket] == .failure(Failure(.leadershipLost)))
    #expect(trio.replicas[follower].isIdle)
    trio.losesForwardReplies = false
    let retry = trio.request(request, at: follower, 2)
    trio.settle()
    guard case .written(let written) = trio.replies[retry] else {
      Issue.record("the retry is answered: \(String(describing: trio.replies[retry]))")
      return
    }
    #expect(written.revision == Revision(1), "it was executed once")
  }

  @Test func anOperatorsRequestWhoseAnswerIsLostHasAnEndToo() throws {
    var trio = Trio()
    let leader = try trio.elect()
    let follower = (leader + 1) % 3
    trio.losesForwardReplies = true
    let body = AdminRequest.transferLeadership(NodeID(UInt64(leader + 1))).encoded()
    let ticket = ClientTicket(connection: UInt64(follower), correlation: 1)
    trio.replicas[follower].admin(
      body.span,
      from: ticket,
      now: trio.now,
      into: &trio.effects[follower]
    )
    trio.run(for: .seconds(60))
    #expect(trio.replies[ticket] == nil, "a change of members may take long")
    trio.run(for: .seconds(61))
    #expect(trio.replies[ticket] == .failure(Failure(.leadershipLost)))
    #expect(trio.replicas[follower].isIdle)
  }

  /// Two of three had dropped what the third lacked, and their disks were full when they tried to write a snapshot.
  ///
  /// When there was room again nobody tried: nothing was applied any more, since the third was what was missing for that.
  @Test func aSnapshotThatAFollowerNeedsIsTriedUntilItIsSaved() throws {
    var trio = Trio(snapshotByteCount: 500)
    let leader = try trio.elect()
    let follower = (leader + 1) % 3
    trio.isolated = [follower]
    for number in 1...60 as ClosedRange<UInt64> {
      _ = trio.request(Self.put("k", "0123456789", number: number), at: leader, number)
      trio.run(for: .milliseconds(20))
    }
    trio.run(for: .seconds(3))
    let before = trio.failedSnapshots[leader]
    #expect(before > 0)
    trio.isolated = []
    trio.run(for: .seconds(5))
    let tries = trio.failedSnapshots[leader] - before
    #expect((3...7).contains(tries), "\(tries) tries in five seconds, one a second")
  }

  @Test func linearizableReadsSeeWhatWasAcknowledged() throws {
    var trio = Trio()
    let leader = try trio.elect()
    for number in 0..<20 {
      let value = "v\(number)"
      _ = trio.request(Self.put("k", value, number: UInt64(number)), at: leader, UInt64(number))
      trio.settle()
      let asked = (leader + number) % 3
      let ticket = trio.query("k", .linearizable, at: asked, 1000 + UInt64(number))
      trio.settle()
      trio.run(for: .milliseconds(60))
      #expect(Self.value(in: trio.replies[ticket]) == value, "asked \(asked)")
    }
  }

  @Test func aCutOffNodeStillReadsItsOwnState() throws {
    var trio = Trio()
    let leader = try trio.elect()
    _ = trio.request(Self.put("k", "v", number: 1), at: leader, 1)
    trio.run(for: .milliseconds(200))
    let alone = (leader + 1) % 3
    trio.isolated = [alone]
    trio.run(for: .seconds(2))
    let local = trio.query("k", .serializable, at: alone, 2)
    let request = trio.request(Self.put("k", "w", number: 2), at: alone, 3)
    trio.settle()
    #expect(Self.value(in: trio.replies[local]) == "v")
    guard case .failure(let failure) = trio.replies[request] else {
      Issue.record("a write needs a leader")
      return
    }
    #expect(failure.code == .noQuorum && failure.detail > 1_000_000_000, "and says since when")
  }

  @Test func aNodesOwnStateAnswersIfItIsNewEnough() throws {
    var trio = Trio()
    let fresh = trio.observe("k", ReadBound(revision: .zero), at: 0, 1)
    trio.settle()
    #expect(trio.replies[fresh] == .observed(age: .max, .value(revision: .zero, nil)))
    let leader = try trio.elect()
    _ = trio.request(Self.put("k", "v", number: 1), at: leader, 2)
    trio.run(for: .milliseconds(200))
    let alone = (leader + 1) % 3
    trio.isolated = [alone]
    _ = trio.request(Self.put("k", "w", number: 2), at: leader, 3)
    trio.run(for: .milliseconds(100))
    let bounds = [
      ReadBound(revision: Revision(1)), ReadBound(revision: Revision(2)),
      ReadBound(revision: .zero, age: 1_000_000), ReadBound(revision: .zero, age: 1_000_000_000),
    ]
    let asked = bounds.enumerated().map { trio.observe("k", $1, at: alone, 10 + UInt64($0)) }
    let newest = trio.observe(
      "k",
      ReadBound(revision: Revision(2), age: 200_000_000),
      at: leader,
      20
    )
    trio.settle()
    for place in [0, 3] {
      guard case .observed(let age, let reply) = trio.replies[asked[place]] else {
        Issue.record("\(bounds[place]): \(String(describing: trio.replies[asked[place]]))")
        continue
      }
      #expect(Self.value(in: reply) == "v" && (90_000_000...200_000_000).contains(age))
    }
    for place in [1, 2] {
      #expect(trio.replies[asked[place]] == .failure(Failure(.tooOld, detail: 1)))
    }
    guard case .observed(_, let reply) = trio.replies[newest] else {
      Issue.record(
        "the leader's own state is new enough: \(String(describing: trio.replies[newest]))"
      )
      return
    }
    #expect(Self.value(in: reply) == "w")
  }

  @Test func aFullDiskRefusesWritesAndHandsLeadershipOver() throws {
    var trio = Trio()
    let leader = try trio.elect()
    _ = trio.request(Self.put("k", "v", number: 1), at: leader, 1)
    trio.settle()
    trio.replicas[leader].admitsRequests = false
    let refused = trio.request(Self.put("k", "w", number: 2), at: leader, 2)
    trio.settle()
    #expect(trio.replies[refused] == .failure(Failure(.diskFull)))
    let read = trio.query("k", .linearizable, at: leader, 3)
    trio.settle()
    #expect(Self.value(in: trio.replies[read]) == "v")
    let isHandedOver = trio.replicas[leader].handOver(now: trio.now)
    #expect(isHandedOver)
    let next = try trio.elect()
    #expect(next != leader)
    let taken = trio.request(Self.put("k", "w", number: 3), at: next, 4)
    trio.settle()
    guard case .written = trio.replies[taken] else {
      Issue.record("the other leader has room")
      return
    }
  }

  @Test func aRequestOverTheLimitIsRefusedBeforeItIsReplicated() throws {
    var trio = Trio(1)
    let leader = try trio.elect()
    let before = trio.replicas[leader].consensus.lastIndex
    let huge = [UInt8](repeating: 1, count: Request.byteLimit + 1)
    let ticket = trio.request(huge, at: leader, 1)
    trio.settle()
    let limit = UInt64(Request.byteLimit)
    #expect(trio.replies[ticket] == .failure(Failure(.tooLarge, detail: limit)))
    #expect(trio.replicas[leader].consensus.lastIndex == before)
  }
}
