/// Mistakes that can be planted into a ``Journal``, to see that the laws would find them.
///
/// A plain release build has no way to plant one.
package enum JournalFlaw: String, CaseIterable, Sendable {
  /// What was appended counts as durable at once.
  case acknowledgeBeforeSync
  /// A write counts as durable although one before it is still under way.
  case acknowledgeOutOfOrder
  /// Damage is cut off like a torn tail.
  case cutDamage
  /// What trailers say is not read.
  case ignoreTrailers
  /// A group that a later one knew to be durable is not missed.
  case ignoreDurableThrough
  /// A new segment does not say that the one before was cut.
  case forgetCut
  /// Snapshot and log before are removed when a new snapshot is begun.
  case removeBeforeSnapshot
  /// A packed segment takes the place of the other one before it is durable.
  case packWithoutProof
}

extension JournalSettings {
  /// These settings, with a mistake in the journal that is opened with them.
  package func planted(_ flaw: JournalFlaw) -> JournalSettings {
    var settings = self
    #if PLANTED_BUGS
    settings.flaw = flaw
    #endif
    return settings
  }

  func has(_ flaw: JournalFlaw) -> Bool {
    #if PLANTED_BUGS
    self.flaw == flaw
    #else
    false
    #endif
  }
}
