import RoostRaft
import RoostWire
import TestSupport
import Testing

/// Who decides, and that no two majorities ever decide apart.
@Suite struct MembershipTests {
  /// A membership as it may stand in a log: who votes now, and who shall.
  private static func membership(
    _ phase: MembershipPhase,
    old: [Bool],
    new: [Bool]
  ) -> Membership? {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt64(1))
    bytes.append(phase.rawValue)
    let present = old.indices.filter { old[$0] || new[$0] }
    bytes.append(littleEndian: UInt16(present.count))
    for place in present {
      NodeID(UInt64(place) + 1).encode(into: &bytes)
      Incarnation.zero.encode(into: &bytes)
      bytes += [1, old[place] ? 1 : 0, new[place] ? Goal.voter.rawValue : Goal.gone.rawValue]
      bytes.append(prefixed: [])
    }
    return try? Membership(decodingAll: bytes)
  }

  private static func flags(_ bits: Int) -> [Bool] { (0..<4).map { bits >> $0 & 1 == 1 } }

  private static func decides(_ membership: Membership, _ bits: Int) -> Bool {
    membership.hasQuorum { bits >> Int($0.rawValue - 1) & 1 == 1 }
  }

  @Test func majoritiesOfOneMembershipAndTheNextMeet() throws {
    for old in 1..<16 {
      for new in 1..<16 {
        let before = try #require(
          Self.membership(.settled, old: Self.flags(old), new: Self.flags(old))
        )
        let joint = try #require(
          Self.membership(.joint, old: Self.flags(old), new: Self.flags(new))
        )
        let after = try #require(
          Self.membership(.settled, old: Self.flags(new), new: Self.flags(new))
        )
        for one in 0..<16 where Self.decides(joint, one) {
          for other in 0..<16 where one & other == 0 {
            #expect(!Self.decides(before, other), "\(old) to \(new): \(one) and \(other)")
            #expect(!Self.decides(after, other), "\(old) to \(new): \(one) and \(other)")
            #expect(!Self.decides(joint, other), "\(old) to \(new): \(one) and \(other)")
          }
        }
      }
    }
  }

  @Test func whoCatchesUpDecidesNothing() throws {
    let membership = try #require(
      Self.membership(.catchingUp, old: Self.flags(0b0011), new: Self.flags(0b1100))
    )
    #expect(Self.decides(membership, 0b0011))
    #expect(!Self.decides(membership, 0b1101))
    #expect(!membership.isVoter(NodeID(3)))
  }

  @Test func nobodyDecidesWithoutVoters() {
    #expect(!Membership.none.hasQuorum { _ in true })
  }

  @Test func aMembershipComesBackFromItsBytes() {
    let founders = [
      Member(NodeID(3), incarnation: Incarnation(5), priority: 0, contact: [1, 2]),
      Member(NodeID(1), goal: .learner), Member(NodeID(9), priority: 255),
    ]
    let membership = Membership(founding: founders)
    #expect(membership.members.map(\.id.rawValue) == [1, 3, 9])
    Laws.roundTrip(membership)
    Laws.everyBitCounts(membership)
    Laws.roundTrip(Membership.none)
  }

  @Test func anUnsoundMembershipIsRefused() {
    #expect(Self.membership(.settled, old: Self.flags(0b0011), new: Self.flags(0b0111)) == nil)
    #expect(Self.membership(.joint, old: Self.flags(0), new: Self.flags(0b0111)) == nil)
    #expect(Self.membership(.joint, old: Self.flags(0b0111), new: Self.flags(0)) == nil)
    var twice = Membership(voters: [NodeID(1), NodeID(2)]).encoded()
    twice.overwrite(at: twice.count - 23, littleEndian: UInt64(1))
    #expect(throws: WireError.invalid("member order")) { try Membership(decodingAll: twice) }
  }

  @Test func foundersMustBeSound() async {
    await #expect(processExitsWith: .failure) {
      _ = Membership(founding: [Member(NodeID(1), goal: .learner)])
    }
    await #expect(processExitsWith: .failure) { _ = Membership(voters: [NodeID(1), NodeID(1)]) }
    await #expect(processExitsWith: .failure) { _ = Member(.zero) }
  }

  @Test func aNodeStopsWhenItsShellBreaksTheirContract() async {
    await #expect(processExitsWith: .failure) {
      // A write that was never asked for.
      var node = Bench()
      node.core.didPersist(through: WriteTicket(1), now: node.now, into: &node.effects)
    }
    await #expect(processExitsWith: .failure) {
      // A gap between the snapshot and the log.
      _ = Consensus(
        id: NodeID(1),
        settings: Settings(),
        restored: Restored(
          mark: SnapshotMark(founding: Membership(voters: [NodeID(1)])),
          entries: Bench.entries([1], after: 4)
        ),
        random: SplitMix64(seed: 1),
        now: Instant(nanoseconds: 1)
      )
    }
    await #expect(processExitsWith: .failure) {
      // The write of an earlier turn was neither performed nor kept apart.
      var node = Bench(voters: 1)
      node.core.expireTimer(now: node.now, into: &node.effects)
      let kept = node.effects
      node.sync()
      node.effects = kept
      _ = try? node.core.propose([1], now: node.now, into: &node.effects)
    }
  }
}

@Suite struct SettingsTests {
  @Test func theDefaultsAreSound() throws {
    try Settings().validate()
    try Settings.tiny.validate()
  }

  @Test func unstableTimesAreRefused() {
    refuse(.electionTooShort) { $0.heartbeatInterval = .milliseconds(101) }
    refuse(.electionRangeTooNarrow) {
      $0.electionTimeout = .milliseconds(300) ... .milliseconds(310)
    }
    refuse(.electionTooLong) { $0.electionTimeout = .seconds(300) ... .seconds(4000) }
    refuse(.noticeTooLate) { $0.commitNoticeDelay = .seconds(1) }
    refuse(.notPositive("heartbeat interval")) { $0.heartbeatInterval = .zero }
    refuse(.notPositive("read round limit")) { $0.readRoundLimit = 0 }
    refuse(.chunkTooLarge) { $0.snapshotChunkByteLimit = 5 << 20 }
    refuse(.clockErrorTooLarge) { $0.clockErrorPermille = 500 }
  }

  private func refuse(_ error: SettingsError, _ change: (inout Settings) -> Void) {
    var settings = Settings()
    change(&settings)
    #expect(throws: error) { try settings.validate() }
  }
}
