@testable import RoostRaft
@testable import RoostSimulation
import RoostWire
import Testing

/// The judges of disks and logs refuse nodes that go back on what they told others.
@Suite struct OathTests {
  private static func position(_ index: UInt64, _ term: UInt64 = 1) -> LogPosition {
    LogPosition(term: Term(term), index: LogIndex(index))
  }

  private static func entry(_ index: UInt64, _ term: UInt64 = 1, _ payload: [UInt8] = []) -> Entry {
    Entry(
      term: Term(term),
      index: LogIndex(index),
      time: .zero,
      kind: .requests,
      payload: payload
    )
  }

  private static func write(
    _ ticket: UInt64,
    _ hardState: HardState? = nil,
    cutFrom: UInt64? = nil,
    _ entries: [Entry] = []
  ) -> Write {
    var write = Write()
    write.ticket = WriteTicket(ticket)
    write.hardState = hardState
    write.truncateFrom = cutFrom.map { LogIndex($0) }
    write.entries = entries
    return write
  }

  private static func vote(_ node: UInt64, in term: UInt64 = 1) -> HardState {
    HardState(term: Term(term), vote: NodeID(node))
  }

  private static func restored(
    _ hardState: HardState,
    endingAt index: UInt64,
    promised: LogPosition = .start
  ) -> Restored {
    Restored(
      hardState: hardState,
      mark: SnapshotMark(founding: .none),
      entries: index == 0 ? [] : (1...index).map { entry($0) },
      promised: promised
    )
  }

  private static func accepted(_ index: UInt64, _ term: UInt64 = 1) -> Message {
    let acceptance = Acceptance(match: LogIndex(index), received: LogIndex(index), round: 1)
    return Message(term: Term(term), incarnation: .zero, body: .accepted(acceptance))
  }

  /// A node that voted for 2 in term 1 and has three entries, all of it synced.
  private static func oath() -> DiskOath {
    var oath = DiskOath()
    let write = write(1, vote(2), [entry(1), entry(2), entry(3)])
    #expect(oath.willWrite(write, in: Term(1), endingAt: position(3)) == nil)
    oath.didPersist(through: 1)
    return oath
  }

  @Test func aVoteOrAnEntryThatIsMissingAtAStartIsRefused() {
    var oath = Self.oath()
    #expect(oath.didStart(Self.restored(Self.vote(2), endingAt: 3)) == nil)
    oath = Self.oath()
    #expect(oath.didStart(Self.restored(Self.vote(0), endingAt: 3)) != nil)
    oath = Self.oath()
    #expect(oath.didStart(Self.restored(Self.vote(3), endingAt: 3)) != nil)
    oath = Self.oath()
    #expect(oath.didStart(Self.restored(Self.vote(2, in: 0), endingAt: 3)) != nil)
    oath = Self.oath()
    #expect(oath.didStart(Self.restored(Self.vote(2), endingAt: 2)) != nil)
    oath = Self.oath()
    let damaged = Self.restored(Self.vote(2), endingAt: 2, promised: Self.position(3))
    #expect(oath.didStart(damaged) == nil, "it knows what it has lost")
  }

  @Test func whatWasNotSyncedMayBeMissing() {
    var oath = Self.oath()
    let write = Self.write(2, Self.vote(3, in: 2), [Self.entry(4, 2)])
    #expect(oath.willWrite(write, in: Term(2), endingAt: Self.position(4, 2)) == nil)
    #expect(oath.didStart(Self.restored(Self.vote(2), endingAt: 3)) == nil)
  }

  @Test func aSecondVoteInATermIsRefused() {
    var oath = Self.oath()
    let second = Self.write(2, Self.vote(3))
    #expect(oath.willWrite(second, in: Term(1), endingAt: Self.position(3)) != nil)
  }

  @Test func anAcknowledgementOrAVoteBeforeItsSyncIsRefused() {
    var oath = Self.oath()
    #expect(oath.willSend(Self.accepted(3), to: NodeID(2)) == nil)
    let more = Self.write(2, nil, [Self.entry(4)])
    #expect(oath.willWrite(more, in: Term(1), endingAt: Self.position(4)) == nil)
    #expect(oath.willSend(Self.accepted(4), to: NodeID(2)) != nil)
    oath.didPersist(through: 2)
    #expect(oath.willSend(Self.accepted(4), to: NodeID(2)) == nil)

    let vote = Message(term: Term(2), incarnation: .zero, body: .voteReply(granted: true))
    let write = Self.write(3, Self.vote(3, in: 2))
    #expect(oath.willWrite(write, in: Term(2), endingAt: Self.position(4)) == nil)
    #expect(oath.willSend(vote, to: NodeID(3)) != nil)
    oath.didPersist(through: 3)
    #expect(oath.willSend(vote, to: NodeID(3)) == nil)
    #expect(oath.willSend(vote, to: NodeID(2)) != nil)
  }

  @Test func aLeaderWithoutItsOwnVoteIsRefused() {
    #expect(Self.oath().judgeLeadership(of: NodeID(2), in: Term(1)) == nil)
    #expect(Self.oath().judgeLeadership(of: NodeID(1), in: Term(1)) != nil)
    #expect(Self.oath().judgeLeadership(of: NodeID(2), in: Term(2)) != nil)
  }

  @Test func aCutOfWhatWasAcknowledgedInTheTermIsRefused() {
    var oath = Self.oath()
    #expect(oath.willSend(Self.accepted(2), to: NodeID(2)) == nil)
    var other = oath
    let cut = Self.write(2, cutFrom: 2, [Self.entry(2, 2)])
    #expect(oath.willWrite(cut, in: Term(1), endingAt: Self.position(2, 2)) != nil)
    #expect(other.willWrite(cut, in: Term(2), endingAt: Self.position(2, 2)) == nil)
    #expect(other.willSend(Self.accepted(2, 2), to: NodeID(2)) != nil, "the new one is not synced")
  }

  /// The damaged group may have been the one that cut the end of what is left, and that goes once more then.
  @Test func whatIsLeftAfterDamageMayBeCutAgain() {
    var oath = Self.oath()
    #expect(oath.willSend(Self.accepted(3), to: NodeID(2)) == nil)
    let damaged = Self.restored(Self.vote(2), endingAt: 2, promised: Self.position(3))
    #expect(oath.didStart(damaged) == nil)
    let cut = Self.write(1, cutFrom: 2, [Self.entry(2), Self.entry(3)])
    #expect(oath.willWrite(cut, in: Term(1), endingAt: Self.position(3)) == nil)
    oath.didPersist(through: 1)
    #expect(oath.willSend(Self.accepted(3), to: NodeID(2)) == nil)
    let again = Self.write(2, cutFrom: 3)
    #expect(oath.willWrite(again, in: Term(1), endingAt: Self.position(2)) != nil)
  }

  @Test func logsThatAgreeAtOnePlaceAgreeBefore() {
    var judge = LogJudge()
    #expect(judge.willWrite([Self.entry(1, 1), Self.entry(2, 2)], behind: .zero) == nil)
    #expect(judge.willWrite([Self.entry(2, 2)], behind: Term(1)) == nil)
    #expect(judge.willWrite([Self.entry(2, 2)], behind: Term(2)) != nil)
    #expect(judge.willWrite([Self.entry(1, 1, [7])], behind: .zero) != nil)
  }

  @Test func aLeaderLacksNothingThatWasCommittedBefore() {
    var judge = LogJudge()
    let committed = [Self.entry(1, 1), Self.entry(2, 2)]
    judge.didCommit(in: Term(1))
    judge.didCommit(in: Term(2))
    func leads(in term: UInt64, _ terms: [UInt64]) -> String? {
      judge.judgeLeader(in: Term(term), committed: committed, from: LogIndex(1)) { index in
        terms.count < index.rawValue ? nil : Term(terms[Int(index.rawValue) - 1])
      }
    }
    #expect(leads(in: 3, [1, 2]) == nil)
    #expect(leads(in: 3, [1]) != nil)
    #expect(leads(in: 3, [1, 1]) != nil)
    #expect(leads(in: 2, [1]) == nil, "the second entry was committed in its own term")
    #expect(leads(in: 2, []) != nil)
  }
}
