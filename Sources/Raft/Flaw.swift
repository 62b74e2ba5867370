/// Mistakes that can be planted into ``Consensus``, to see that the tests would find them.
///
/// A plain release build has no way to plant one: there ``Consensus/has(_:)`` is always false.
package enum Flaw: String, CaseIterable, Sendable {
  /// A vote is sent before term and vote are on the disk.
  case voteBeforeSync
  /// A candidate counts itself and asks others before its own vote is on the disk.
  case campaignBeforeSync
  /// A follower acknowledges what it has in memory only.
  case acknowledgeBeforeSync
  /// A leader counts its own copy before it is on the disk.
  case countOwnBeforeSync
  /// A vote is granted to a candidate whose log is behind.
  case voteWithoutLogCheck
  /// A second candidate gets a vote in the same term.
  case voteTwice
  /// A leader commits an entry of an older term because a majority has it (Raft figure 8).
  case commitOlderTerm
  /// A follower commits what the leader has, though it has not compared its log so far.
  case commitUnverified
  /// A learner's copy and vote count.
  case countLearner
  /// A majority of the new voters is enough in a joint membership.
  case ignoreOldVoters
  /// The joint phase is left before it is committed.
  case leaveJointEarly
  /// A higher term in a reply is ignored.
  case ignoreTermOfReplies
  /// Entries are accepted without a look at what should precede them.
  case skipPreviousCheck
  /// An append cuts the log although nothing conflicts.
  case truncateWithoutConflict
  /// A write that completes counts for entries that came after a cut.
  case forgetTruncationInLedger
  /// Reads are confirmed by answers to a round that began before they came.
  case reuseReadRound
  /// A leader answers reads before it has committed anything in its term.
  case readBeforeOpening
  /// A leader answers reads without asking anyone.
  case readWithoutQuorum
  /// A lease lasts for two election timeouts.
  case overstayLease
  /// A member that lost its journal counts under its old identity.
  case ignoreIncarnation
  /// A change of membership begins although the one before is not committed.
  case changeBeforeCommit
}

extension Consensus {
  #if PLANTED_BUGS
  /// The same node with a mistake.
  package func planted(_ flaw: Flaw) -> Consensus {
    var copy = self
    copy.flaw = flaw
    return copy
  }

  func has(_ flaw: Flaw) -> Bool { self.flaw == flaw }

  private var isPlanted: Bool { flaw != nil }
  #else
  @inline(__always)
  func has(_ flaw: Flaw) -> Bool { false }

  private var isPlanted: Bool { false }
  #endif

  /// Stops the process if `condition` is false, or answers so if that is a planted mistake's doing.
  @discardableResult
  func insist(_ condition: Bool, _ sentence: String) -> Bool {
    precondition(condition || isPlanted, sentence)
    return condition
  }
}
