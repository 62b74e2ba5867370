import RoostRaft
import RoostWire
import Testing

/// The rules of the paper's Figure 2, one test each, in its order and in its words.
@Suite struct PaperTests {
  // MARK: RequestVote, receiver

  @Test func requestVote1ReplyFalseIfTermIsOld() {
    var node = Bench(term: 5)
    node.hear(.voteRequest(VoteRequest(last: .start, isTransfer: false)), from: 2, term: 4)
    #expect(node.said == [.newerTerm])
    #expect(node.core.vote == .zero)
  }

  @Test func requestVote2GrantIfFreeAndTheLogIsUpToDate() {
    for (last, isGranted) in [
      (Bench.place(2, 2), true), (Bench.place(3, 2), true), (Bench.place(1, 3), true),
      (Bench.place(1, 2), false), (Bench.place(9, 1), false),
    ] {
      var node = Bench(log: [1, 2])
      node.hear(.voteRequest(VoteRequest(last: last, isTransfer: false)), from: 2, term: 5)
      node.sync()
      #expect(node.core.vote == (isGranted ? NodeID(2) : .zero), "\(last)")
      #expect(node.said == (isGranted ? [.voteReply(granted: true)] : []), "\(last)")
    }
  }

  @Test func requestVote2OneVoteATermAndTheSameAgain() {
    var node = Bench()
    let request = Message.Body.voteRequest(VoteRequest(last: .start, isTransfer: false))
    node.hear(request, from: 2, term: 1)
    #expect(node.said.isEmpty, "the vote is not on the disk")
    node.sync()
    #expect(node.said == [.voteReply(granted: true)])
    node.hear(request, from: 3, term: 1)
    #expect(node.said == [.voteReply(granted: false)])
    node.hear(request, from: 2, term: 1)
    #expect(node.said == [.voteReply(granted: true)])
  }

  // MARK: AppendEntries, receiver

  @Test func appendEntries1ReplyFalseIfTermIsOld() {
    var node = Bench(term: 5)
    node.append(after: .start, [1], term: 4)
    #expect(node.said == [.newerTerm])
    #expect(node.terms.isEmpty)
  }

  @Test func appendEntries2ReplyFalseWithoutThePreviousEntry() {
    var node = Bench(log: [1, 1])
    node.append(after: Bench.place(3, 1), [2], term: 2)
    #expect(
      node.said == [.rejected(Rejection(previous: LogIndex(3), hint: Bench.place(2, 1)))]
    )
    node = Bench(log: [1, 2, 2])
    node.append(after: Bench.place(3, 3), [3], term: 3)
    #expect(
      node.said == [.rejected(Rejection(previous: LogIndex(3), hint: Bench.place(3, 2)))]
    )
  }

  @Test func appendEntries3DeleteAConflictingEntryAndAllThatFollowIt() {
    var node = Bench(log: [1, 1, 1, 1])
    node.append(after: Bench.place(1, 1), [2], term: 2)
    #expect(node.terms == [1, 2])
    #expect(node.effects.write.truncateFrom == LogIndex(2))
  }

  @Test func appendEntries3DeleteNothingWithoutAConflict() {
    var node = Bench(log: [1, 1, 1, 1])
    node.append(after: Bench.place(1, 1), [1], term: 1)
    #expect(node.terms == [1, 1, 1, 1])
    #expect(node.effects.write.isEmpty)
    node.append(after: Bench.place(2, 1), [], term: 1)
    #expect(node.terms == [1, 1, 1, 1])
  }

  @Test func appendEntries4AppendWhatIsNotInTheLog() {
    var node = Bench(log: [1, 1])
    node.append(after: Bench.place(1, 1), [1, 1, 2], term: 2)
    #expect(node.terms == [1, 1, 1, 2])
    #expect(node.effects.write.entries.map(\.index.rawValue) == [3, 4])
  }

  @Test func appendEntries5CommitAtMostTheLastNewEntry() {
    var node = Bench(log: [1, 1, 1, 1])
    node.append(after: Bench.place(1, 1), [1], commit: 9, term: 2)
    #expect(node.core.commitIndex == LogIndex(2), "3 and 4 were not compared")
    node = Bench(log: [1, 1])
    node.append(after: Bench.place(2, 1), [2, 2], commit: 3, term: 2)
    #expect(node.core.commitIndex == LogIndex(3))
  }

  @Test func appendEntriesIsAcknowledgedOnceItIsOnTheDisk() {
    var node = Bench()
    node.append(after: .start, [1, 1], term: 1)
    #expect(node.said.isEmpty)
    node.sync()
    #expect(
      node.said
        == [.accepted(Acceptance(match: LogIndex(2), received: LogIndex(2), round: 0))]
    )
  }

  // MARK: All servers

  @Test func allServersTakeOverANewerTermFromAnyMessage() {
    let bodies: [Message.Body] = [
      .preVoteReply(round: 1, granted: false), .voteReply(granted: false), .newerTerm,
      .voteRequest(VoteRequest(last: .start, isTransfer: true)),
      .append(AppendRequest(previous: .start, commit: .zero, entries: [])),
      .heartbeat(Heartbeat(commit: .zero, round: 1, time: .zero)),
      .accepted(Acceptance(match: .zero, received: .zero, round: 0)),
      .rejected(Rejection(previous: .zero, hint: .start)),
      .readRequest(ReadTicket(boot: 1, sequence: 1)),
      .readReply(ReadTicket(boot: 1, sequence: 1), .zero), .campaignNow,
    ]
    for body in bodies {
      var node = Bench()
      node.lead()
      #expect(node.core.role == .leader)
      node.hear(body, from: 2, term: 7)
      #expect(node.core.term == Term(7), "\(body)")
      #expect(node.core.role == .follower, "\(body)")
    }
  }

  @Test func aPreVoteMovesNoTerm() {
    var node = Bench(term: 3)
    let request = PreVoteRequest(proposed: Term(9), last: .start, round: 4)
    node.hear(.preVoteRequest(request), from: 2, term: 8)
    #expect(node.said == [.preVoteReply(round: 4, granted: true)])
    #expect(node.core.term == Term(3))
    #expect(node.effects.write.isEmpty)
  }

  // MARK: Followers

  @Test func followersCampaignWhenTheTimeoutPassesWithoutALeader() {
    var node = Bench()
    node.wait(200)
    node.tick()
    #expect(node.core.role == .follower)
    node.now = node.core.nextDeadline
    node.tick()
    #expect(node.core.role == .preCandidate)
  }

  @Test func followersWaitAnewWhenTheyHearALeaderOrVote() {
    for body in [
      .heartbeat(Heartbeat(commit: .zero, round: 1, time: .zero)),
      .append(AppendRequest(previous: .start, commit: .zero, entries: [])),
      .voteRequest(VoteRequest(last: .start, isTransfer: false)),
    ] as [Message.Body] {
      var node = Bench()
      node.wait(290)
      node.hear(body, from: 2, term: 1)
      #expect(node.core.nextDeadline >= node.now.advanced(by: .milliseconds(300)), "\(body)")
    }
  }

  @Test func followersThatSleptLookAroundBeforeTheyCampaign() {
    var node = Bench()
    node.wait(60_000)
    node.tick()
    #expect(node.core.role == .follower)
    #expect(node.core.nextDeadline > node.now)
  }

  // MARK: Candidates

  @Test func candidatesTakeTheNextTermVoteForThemselvesAndAskTheOthers() {
    var node = Bench(term: 4, log: [2])
    node.core.expireTimer(now: node.now, into: &node.effects)
    #expect(node.core.term == Term(4))
    node.hear(
      .preVoteReply(round: node.now.nanoseconds, granted: true),
      from: 2
    )
    #expect(node.core.role == .candidate)
    #expect(node.effects.write.hardState == HardState(term: Term(5), vote: NodeID(1)))
    #expect(node.said.isEmpty, "its own vote is not on the disk")
    node.sync()
    let request = VoteRequest(last: Bench.place(1, 2), isTransfer: false)
    #expect(node.said == [.voteRequest(request), .voteRequest(request)])
  }

  @Test func candidatesLeadWithVotesFromAMajority() {
    var node = Bench(voters: 5)
    node.core.expireTimer(now: node.now, into: &node.effects)
    for voter in [2, 3] as [UInt64] {
      node.hear(.preVoteReply(round: node.now.nanoseconds, granted: true), from: voter)
    }
    node.sync()
    node.hear(.voteReply(granted: true), from: 2)
    node.hear(.voteReply(granted: true), from: 2)
    node.hear(.voteReply(granted: false), from: 4)
    #expect(node.core.role == .candidate)
    node.hear(.voteReply(granted: true), from: 3)
    #expect(node.core.role == .leader)
  }

  @Test func candidatesDoNotCountAnswersToAnEarlierPreVote() {
    var node = Bench()
    node.core.expireTimer(now: node.now, into: &node.effects)
    let earlier = node.now.nanoseconds
    node.wait(600)
    node.core.expireTimer(now: node.now, into: &node.effects)
    node.hear(.preVoteReply(round: earlier, granted: true), from: 2)
    #expect(node.core.role == .preCandidate)
  }

  @Test func candidatesFollowALeaderOfTheirTerm() {
    var node = Bench()
    node.core.expireTimer(now: node.now, into: &node.effects)
    node.hear(.preVoteReply(round: node.now.nanoseconds, granted: true), from: 2)
    node.append(after: .start, [1], from: 3)
    #expect(node.core.role == .follower)
    #expect(node.core.leader == NodeID(3))
  }

  @Test func candidatesTryAgainWhenNobodyWins() {
    var node = Bench()
    node.core.expireTimer(now: node.now, into: &node.effects)
    node.hear(.preVoteReply(round: node.now.nanoseconds, granted: true), from: 2)
    node.sync()
    node.now = node.core.nextDeadline
    node.tick()
    #expect(node.core.role == .preCandidate)
    #expect(node.said.count == 2)
  }

  // MARK: Leaders

  @Test func leadersSpeakAtOnceAndAgainBeforeTheTimeout() {
    var node = Bench()
    node.lead()
    #expect(node.said.count == 2)
    #expect(node.core.nextDeadline <= node.now.advanced(by: .milliseconds(50)))
    node.wait(50)
    node.tick()
    #expect(node.said.count == 2)
  }

  @Test func leadersAppendWhatClientsAsk() throws {
    var node = Bench()
    node.lead()
    let place = try node.core.propose([9], now: node.now, into: &node.effects)
    #expect(place == Bench.place(2, 1))
    #expect(node.core.commitIndex == .zero)
  }

  @Test func leadersGoBackWhereAFollowerDisagreesAndAWholeTermAtOnce() throws {
    var node = Bench(log: [1, 1, 1, 4, 4, 4])
    node.lead()
    // The follower has 1 1 1 2 2 2: its last place with a term of at most 4.
    node.hear(.rejected(Rejection(previous: LogIndex(6), hint: Bench.place(6, 2))), from: 2)
    guard case .append(let request) = node.said.first else {
      Issue.record("nothing was sent")
      return
    }
    #expect(request.previous == Bench.place(3, 1))
    #expect(request.entries.count == 4)
  }

  @Test func leadersIgnoreRejectionsThatComeLate() {
    var node = Bench(log: [1, 1])
    node.lead()
    node.hear(
      .accepted(Acceptance(match: LogIndex(3), received: LogIndex(3), round: 0)),
      from: 2
    )
    node.hear(.rejected(Rejection(previous: LogIndex(2), hint: .start)), from: 2)
    #expect(node.said.isEmpty)
    #expect(node.core.memberStatus[1].match == LogIndex(3))
  }

  @Test func leadersCommitWhatAMajorityHasInTheirOwnTerm() {
    var node = Bench(log: [1, 1])
    node.lead()
    node.hear(
      .accepted(Acceptance(match: LogIndex(2), received: LogIndex(2), round: 0)),
      from: 2
    )
    #expect(node.core.commitIndex == .zero, "2 is of an older term (§5.4.2)")
    node.hear(
      .accepted(Acceptance(match: LogIndex(3), received: LogIndex(3), round: 0)),
      from: 2
    )
    #expect(node.core.commitIndex == .zero, "its own disk does not have 3")
    node.sync()
    #expect(node.core.commitIndex == LogIndex(3))
  }

  @Test func leadersDoNotBelieveAFollowerThatHasMoreThanThey() {
    var node = Bench()
    node.lead()
    node.sync()
    node.hear(
      .accepted(Acceptance(match: LogIndex(9), received: LogIndex(9), round: 0)),
      from: 2
    )
    #expect(node.core.commitIndex == .zero)
  }

  @Test func leadersDoNotGiveWayToASecondLeaderOfTheirTerm() {
    var node = Bench()
    node.lead()
    node.append(after: .start, [1], from: 3)
    #expect(node.core.role == .leader)
  }

  @Test func leadersThatReadAllTheTimeStillNoticeThatNobodyAnswers() {
    var node = Bench()
    node.lead()
    for id in 1...100 as ClosedRange<UInt64> {
      node.wait(10)
      node.core.read(ReadID(id), now: node.now, into: &node.effects)
      if node.now >= node.core.nextDeadline { node.tick() }
    }
    #expect(node.core.role != .leader)
  }

  // MARK: §5.2, §6: disturbance

  @Test func aNodeThatHearsALeaderTakesNoNewerTermFromACandidate() {
    var node = Bench()
    node.append(after: .start, [1], term: 1)
    node.wait(299)
    let request = Message.Body.voteRequest(
      VoteRequest(last: Bench.place(9, 9), isTransfer: false)
    )
    node.hear(request, from: 3, term: 10)
    #expect(node.core.term == Term(1))
    node.wait(1)
    node.hear(request, from: 3, term: 10)
    #expect(node.core.term == Term(10))
  }

  @Test func aLeaderThatAsksForACampaignIsNoReasonToRefuseIt() {
    var node = Bench()
    node.append(after: .start, [1], term: 1)
    let request = VoteRequest(last: Bench.place(1, 1), isTransfer: true)
    node.hear(.voteRequest(request), from: 3, term: 2)
    node.sync()
    #expect(node.said.contains(.voteReply(granted: true)))
  }

  // MARK: §7

  @Test func nothingIsCompactedThatNoSnapshotOnTheDiskHas() {
    var node = Bench(voters: 1, log: [1, 1, 1])
    node.core.expireTimer(now: node.now, into: &node.effects)
    node.sync()
    node.sync()
    #expect(node.core.commitIndex == LogIndex(4))
    node.core.compact(through: LogIndex(3))
    #expect(node.core.firstIndex == LogIndex(1))

    guard let mark = node.core.mark(at: LogIndex(2)) else {
      Issue.record("what is committed and held has a mark")
      return
    }
    node.core.didSaveSnapshot(SnapshotDescriptor(mark: mark, byteCount: 1, checksum: 1))
    node.core.compact(through: LogIndex(3))
    #expect(node.core.firstIndex == LogIndex(3))
    #expect(node.core.lastIndex == LogIndex(4))
    #expect(node.core.mark(at: LogIndex(1)) == nil)
  }

  // MARK: The restart

  @Test func aRestartKeepsTermVoteAndLogAndForgetsTheRest() {
    var node = Bench()
    node.hear(.voteRequest(VoteRequest(last: .start, isTransfer: false)), from: 2, term: 3)
    #expect(node.effects.write.hardState == HardState(term: Term(3), vote: NodeID(2)))
    let membership = Membership(voters: [NodeID(1), NodeID(2), NodeID(3)])
    let core = Consensus(
      id: NodeID(1),
      settings: Settings(),
      restored: Restored(
        hardState: HardState(term: Term(3), vote: NodeID(2)),
        mark: SnapshotMark(founding: membership),
        entries: Bench.entries([1, 2], after: 0)
      ),
      random: SplitMix64(seed: 2),
      now: node.now
    )
    #expect(core.term == Term(3) && core.vote == NodeID(2))
    #expect(core.lastPosition == Bench.place(2, 2))
    #expect(core.commitIndex == .zero && core.leader == .zero)
  }
}
