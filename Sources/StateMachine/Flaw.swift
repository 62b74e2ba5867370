/// Mistakes that others have made, switched on to see that the tests find them.
///
/// Plain release builds know none: ``StateLimits/has(_:)`` is false there, and the code behind it is gone.
package enum Flaw: CaseIterable, Sendable {
  /// A repeated request runs again.
  case runsTwice
  /// A session's end leaves its keys.
  case leavesOrphans
  /// A failed transaction keeps the attachments of its writes.
  case rollsBackHalf
  /// A newcomer passes those who wait.
  case letsPass
  /// A lock does not rest when its holder dies.
  case neverRests
  /// Anybody may release.
  case releasesForAnybody
  /// A token of the past still guards writes.
  case fencesNothing
  /// A renewal is acknowledged and has no effect.
  case forgetsRenewals
  /// Counting leaves out the first key of a range.
  case countsShort
}

#if PLANTED_BUGS
extension ReplicatedState {
  /// The same state with a mistake.
  package func planted(_ flaw: Flaw) -> ReplicatedState {
    var copy = self
    copy.limits.flaw = flaw
    return copy
  }
}
#endif

extension StateLimits {
  /// Whether a flaw is switched on.
  @inline(__always)
  func has(_ flaw: Flaw) -> Bool {
    #if PLANTED_BUGS
    return self.flaw == flaw
    #else
    return false
    #endif
  }
}
