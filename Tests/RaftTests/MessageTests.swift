import RoostRaft
import RoostWire
import TestSupport
import Testing

/// What goes over the wire comes back, and what is no message is refused.
@Suite struct MessageTests {
  private static let membership = Membership(
    founding: [
      Member(NodeID(1), priority: 3, contact: [1, 2, 3]),
      Member(NodeID(7), goal: .learner, incarnation: Incarnation(9)),
    ]
  )

  /// One message of each kind, and some with everything in them.
  private static let bodies: [Message.Body] = {
    let place = LogPosition(term: Term(3), index: LogIndex(8))
    let entries = [
      Entry(
        term: Term(3),
        index: LogIndex(9),
        time: ClusterTime(50),
        kind: .requests,
        payload: [1, 2, 3]
      ),
      Entry(
        term: Term(4),
        index: LogIndex(10),
        time: ClusterTime(60),
        kind: .membership,
        payload: membership.encoded()
      ),
    ]
    let mark = SnapshotMark(
      index: LogIndex(8),
      term: Term(3),
      time: ClusterTime(40),
      membership: membership
    )
    let snapshot = SnapshotDescriptor(mark: mark, byteCount: 100, checksum: 77)
    return [
      .preVoteRequest(PreVoteRequest(proposed: Term(5), last: place, round: 4)),
      .preVoteReply(round: 4, granted: true),
      .voteRequest(VoteRequest(last: place, isTransfer: true)),
      .voteReply(granted: false),
      .append(AppendRequest(previous: place, commit: LogIndex(7), entries: entries)),
      .append(AppendRequest(previous: .start, commit: .zero, entries: [])),
      .heartbeat(Heartbeat(commit: LogIndex(7), round: 12, time: ClusterTime(70))),
      .accepted(Acceptance(match: LogIndex(7), received: LogIndex(8), round: 12)),
      .rejected(Rejection(previous: LogIndex(8), hint: place)),
      .newerTerm,
      .readRequest(ReadTicket(boot: 1, sequence: 2)),
      .readReply(ReadTicket(boot: 1, sequence: 2), LogIndex(7)),
      .readRefused(ReadTicket(boot: 1, sequence: 2)),
      .campaignNow,
      .snapshotChunk(SnapshotChunk(snapshot: snapshot, offset: 10, bytes: [4, 5, 6])),
      .snapshotReceived(SnapshotReceipt(index: LogIndex(8), checksum: 77, byteCount: 10)),
    ]
  }()

  private static func message(_ place: Int) -> Message {
    Message(term: Term(4), incarnation: Incarnation(2), body: bodies[place])
  }

  @Test(arguments: 0..<16)
  func aMessageComesBackFromItsBytes(place: Int) {
    Laws.roundTrip(Self.message(place))
    Laws.everyBitCounts(Self.message(place))
  }

  @Test func theMessagesOfARunComeBack() {
    var world = World(voters: 3)
    world.run(for: .seconds(1)) { packet in
      #expect((try? Message(decodingAll: packet.message.encoded())) == packet.message)
      return false
    }
  }

  @Test func theBytesOfAMessageAreThese() {
    let message = Message(
      term: Term(4),
      incarnation: Incarnation(2),
      body: .accepted(Acceptance(match: LogIndex(7), received: LogIndex(8), round: 12))
    )
    let expected: [UInt8] =
      [4, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7]
      + [7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0]
    #expect(message.encoded() == expected)
  }

  @Test func anAppendWithAHoleIsRefused() {
    let entry = Entry(
      term: Term(3),
      index: LogIndex(10),
      time: ClusterTime(50),
      kind: .requests,
      payload: []
    )
    for previous in [8, 10, 11] as [UInt64] {
      let place = LogPosition(term: Term(3), index: LogIndex(previous))
      let append = AppendRequest(previous: place, commit: .zero, entries: [entry])
      refuse(.append(append), .invalid("entry index"))
    }
  }

  @Test func entriesOfALaterTermThanTheirLeadersAreRefused() {
    let entry = Entry(
      term: Term(5),
      index: LogIndex(1),
      time: ClusterTime(50),
      kind: .opening,
      payload: []
    )
    refuse(
      .append(AppendRequest(previous: .start, commit: .zero, entries: [entry])),
      .invalid("entry term")
    )
  }

  @Test func aCountOfEntriesIsCheckedBeforeRoomIsMade() {
    var bytes = Message(
      term: Term(4),
      incarnation: .zero,
      body: .append(AppendRequest(previous: .start, commit: .zero, entries: []))
    ).encoded()
    bytes.overwrite(at: bytes.count - 4, littleEndian: UInt32.max)
    #expect(throws: WireError.self) { try Message(decodingAll: bytes) }
  }

  @Test func aTermFromWhichCountingOnWouldOverflowIsRefused() {
    let message = Message(term: Term(.max), incarnation: .zero, body: .newerTerm)
    #expect(throws: WireError.invalid("term")) { try Message(decodingAll: message.encoded()) }
  }

  private func refuse(_ body: Message.Body, _ error: WireError) {
    let message = Message(term: Term(4), incarnation: .zero, body: body)
    #expect(throws: error) { try Message(decodingAll: message.encoded()) }
  }

  /// A member may be broken: whatever it says, no node stops for it.
  @Test(arguments: 0..<4)
  func noDecodableMessageStopsANode(seed: UInt64) {
    var dice = SplitMix64(seed: seed)
    var world = World(voters: 3, settings: .tiny, seed: seed)
    for round in 0..<60 {
      var packets: [World.Packet] = []
      world.run(for: .milliseconds(100)) { packet in
        packets.append(packet)
        return false
      }
      for packet in packets where dice.chance(1, in: 4) { spoil(packet, in: world, &dice) }
      if let leader = world.leader { world.propose(leader, "\(round)") }
      if round % 7 == 0 { world.saveSnapshot(NodeID(1 + dice.below(3)), keeping: 2) }
    }
  }

  /// Gives copies of the recipient some messages that are almost the one it gets.
  private func spoil(_ packet: World.Packet, in world: World, _ dice: inout SplitMix64) {
    guard let slot = world.slot(packet.recipient), let core = world.nodes[slot].core else { return }
    let bytes = packet.message.encoded()
    for _ in 0..<6 {
      var spoiled = bytes
      for _ in 0...dice.below(3) {
        let place = Int(dice.below(UInt64(bytes.count)))
        spoiled[place] = dice.chance(1, in: 2) ? UInt8(dice.below(4)) : UInt8(dice.below(256))
      }
      guard let message = try? Message(decodingAll: spoiled) else { continue }
      var copy = core
      var effects = Effects()
      copy.step(message, from: packet.sender, now: world.now, into: &effects)
      effects.removeAll()
      copy.tick(now: copy.nextDeadline, into: &effects)
    }
  }
}
