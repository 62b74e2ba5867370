/// A client's patience and habits.
package struct ClientSettings: Hashable, Sendable {
  /// How a mutating request is told from every other.
  package enum Identity: Hashable, Sendable {
    /// By 128 random bits: one round trip, for programs that make a few requests.
    case oneShot
    /// By its number in a session, which lives that long without a sign of life.
    case session(ttl: Duration)
  }

  package var identity = Identity.oneShot
  /// How long one endpoint may take to be connected.
  package var connectTimeout = Duration.milliseconds(500)
  /// How long a node may be silent while a call waits before it is asked for a sign of life, and again as long before it is given up.
  package var silence = Duration.milliseconds(700)
  /// How often every endpoint must fail before a call that was sent nowhere gives up; nil: its deadline decides.
  package var unreachableRounds: Int? = 2
  /// How long nodes may answer that they have no leader before a call gives up.
  package var quorumPatience = Duration.seconds(3)
  /// The pause before the same thing is tried again.
  package var retryDelay = Duration.milliseconds(20)
  /// The longest life of a one-shot request; the cluster takes none that ends more than a minute ahead.
  package var oneShotLifetime = Duration.seconds(45)
  /// How long before the end of the time for which a lock is surely held its holder is told to stop; nil: a tenth of the session's
  /// time to live.
  package var lossLead: Duration?
  /// Bytes that a watch may have told and the application not read; above it the watch pauses, and later goes on from history.
  package var watchByteBudget = 4 << 20
  /// The label of the session, for people who look at the cluster.
  package var label: [UInt8] = []

  package init() {}
}
