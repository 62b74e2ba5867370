/// Mistakes beside those of ``Flaw`` that can be planted, to see that the storm would find them.
///
/// A plain release build has no way to plant one: there ``ReplicatedState/has(_:)`` is always false.
package enum StateFlaw: String, CaseIterable, Sendable {
  /// A request without a session that was answered runs again.
  case oneShotRunsTwice
  /// A repeated request is answered that it is done, and not what was answered first.
  case replyNotKept
  /// A session that was kept alive once lives on and on.
  case sessionOutlivesItsTime
  /// A session lives half as long as it was promised.
  case sessionEndsEarly
  /// Conditions of writes are not looked at.
  case conditionIgnored
  /// A transaction that fails midway leaves what it did before.
  case noRollBack
  /// The last operation of a transaction does not run.
  case lastOperationForgotten
  /// A lock is given to everybody who asks.
  case lockGrantedTwice
  /// Fencing tokens are given out again.
  case tokenReused
  /// A dead session's locks are free before it is dead.
  case timeAhead
  /// The outcome of what was executed is told as barred.
  case outcomeForgotten
}

extension ReplicatedState {
  #if PLANTED_BUGS
  /// The same state with a mistake.
  package func planted(_ flaw: StateFlaw) -> ReplicatedState {
    var copy = self
    copy.flaw = flaw
    return copy
  }

  func has(_ flaw: StateFlaw) -> Bool { self.flaw == flaw }
  #else
  @inline(__always)
  func has(_ flaw: StateFlaw) -> Bool { false }
  #endif
}
