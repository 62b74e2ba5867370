internal import RoostWire

/// Times and limits of the protocol, the same on all members of a cluster.
package struct Settings: Hashable, Sendable {
  /// How often a leader tells its followers that it lives.
  package var heartbeatInterval: Duration = .milliseconds(50)
  /// How long a follower waits for a leader; each wait is drawn from this range.
  package var electionTimeout: ClosedRange<Duration> = .milliseconds(300) ... .milliseconds(600)
  /// How long a leader waits for new entries to carry the commit index before it sends it alone.
  package var commitNoticeDelay: Duration = .milliseconds(1)
  /// The most bytes of entries in one message; a single larger entry goes alone.
  package var messageByteLimit = 1 << 20
  /// The most unanswered messages with entries to one follower.
  package var inFlightMessageLimit = 64
  /// The most unanswered bytes of entries to one follower.
  package var inFlightByteLimit = 16 << 20
  /// The most bytes of entries that may wait for commitment; above it proposals are refused.
  package var uncommittedByteLimit = 64 << 20
  /// The bytes of a snapshot that one message carries.
  package var snapshotChunkByteLimit = 512 << 10
  /// How many quorum rounds for reads may be unanswered before further reads share the next one.
  package var readRoundLimit = 4
  /// The most reads that wait for a quorum round, or for the leader's answer.
  package var waitingReadLimit = 65_536
  /// Whether a leader may answer reads within a lease.
  ///
  /// Assumes ``clockErrorPermille``.
  package var leaseReads = false
  /// How far the rates of two monotonic clocks may differ, in thousandths.
  package var clockErrorPermille = 10
  /// How long a preferred node must have been healthy before leadership is handed to it.
  package var priorityDelay: Duration = .seconds(5)

  package init() {}

  /// Limits so small that a test meets each of them.
  package static var tiny: Settings {
    var settings = Settings()
    settings.messageByteLimit = 96
    settings.inFlightMessageLimit = 2
    settings.inFlightByteLimit = 160
    settings.uncommittedByteLimit = 512
    settings.snapshotChunkByteLimit = 8
    settings.readRoundLimit = 1
    settings.waitingReadLimit = 4
    settings.priorityDelay = .seconds(1)
    return settings
  }

  /// Refuses settings under which a cluster would be unstable or could not move at all.
  package func validate() throws(SettingsError) {
    guard heartbeatInterval > .zero else { throw .notPositive("heartbeat interval") }
    guard electionTimeout.lowerBound >= heartbeatInterval * 3 else { throw .electionTooShort }
    guard electionTimeout.upperBound >= electionTimeout.lowerBound * 5 / 4 else {
      throw .electionRangeTooNarrow
    }
    guard electionTimeout.upperBound <= .seconds(3600) else { throw .electionTooLong }
    guard commitNoticeDelay >= .zero, commitNoticeDelay <= heartbeatInterval else {
      throw .noticeTooLate
    }
    for (name, limit) in [
      ("message byte limit", messageByteLimit),
      ("in-flight message limit", inFlightMessageLimit),
      ("in-flight byte limit", inFlightByteLimit),
      ("uncommitted byte limit", uncommittedByteLimit),
      ("snapshot chunk byte limit", snapshotChunkByteLimit),
      ("read round limit", readRoundLimit),
      ("waiting read limit", waitingReadLimit),
    ] {
      guard limit > 0 else { throw .notPositive(name) }
    }
    guard snapshotChunkByteLimit <= SnapshotChunk.byteLimit else { throw .chunkTooLarge }
    guard (0..<500).contains(clockErrorPermille) else { throw .clockErrorTooLarge }
  }

  /// The shortest election timeout: how long a follower stands by a leader it has heard.
  var loyalty: Duration { electionTimeout.lowerBound }
}

/// Why a cluster should not run with some ``Settings``.
package enum SettingsError: Error, Equatable {
  case notPositive(String)
  case electionTooShort
  case electionRangeTooNarrow
  case electionTooLong
  case noticeTooLate
  case chunkTooLarge
  case clockErrorTooLarge
}

extension SettingsError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .notPositive(let name): "the \(name) must be more than zero"
    case .electionTooShort: "the election timeout must be at least three heartbeat intervals"
    case .electionRangeTooNarrow:
      "the longest election timeout must be at least 1.25 times the shortest, or votes split"
    case .electionTooLong: "the election timeout must be at most an hour"
    case .noticeTooLate: "the commit notice delay must be at most a heartbeat interval"
    case .chunkTooLarge: "the snapshot chunk limit must be at most \(SnapshotChunk.byteLimit) bytes"
    case .clockErrorTooLarge: "the clock error must be below 500 thousandths"
    }
  }
}
