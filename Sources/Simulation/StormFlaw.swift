package import RoostJournal
package import RoostRaft
package import RoostReplica
package import RoostStateMachine

/// A mistake that a storm must find: in the core, in the state machine, in a replica, or in what surrounds it.
package enum StormFlaw: Equatable, Sendable {
  case raft(RoostRaft.Flaw)
  case replica(ReplicaFlaw)
  case machine(RoostStateMachine.Flaw)
  case state(StateFlaw)
  case journal(JournalFlaw)
  case shell(ShellFlaw)
  case client(ClientFlaw)

  /// Every mistake, under a name of its own.
  package static var catalogue: [(name: String, flaw: StormFlaw)] {
    RoostRaft.Flaw.allCases.map { ("raft." + $0.rawValue, .raft($0)) }
      + RoostStateMachine.Flaw.allCases.map { ("machine.\($0)", .machine($0)) }
      + ReplicaFlaw.allCases.map { ("replica." + $0.rawValue, .replica($0)) }
      + StateFlaw.allCases.map { ("state." + $0.rawValue, .state($0)) }
      + JournalFlaw.allCases.map { ("journal." + $0.rawValue, .journal($0)) }
      + ShellFlaw.allCases.map { ("shell." + $0.rawValue, .shell($0)) }
      + ClientFlaw.allCases.map { ("client." + $0.rawValue, .client($0)) }
  }

  package init?(_ name: String) {
    guard let found = Self.catalogue.first(where: { $0.name == name }) else { return nil }
    self = found.flaw
  }

  /// Whether this build can plant mistakes.
  package static var canPlant: Bool {
    #if PLANTED_BUGS
    true
    #else
    false
    #endif
  }

  /// An empty state, with the mistake if it is one of the state machine.
  static func state(_ flaw: StormFlaw?, _ limits: StateLimits) -> ReplicatedState {
    planted(flaw, in: ReplicatedState(limits: limits))
  }

  /// Settings of a journal, with the mistake if it is one of the journal.
  static func settings(_ flaw: StormFlaw?, _ settings: JournalSettings) -> JournalSettings {
    if case .journal(let flaw) = flaw { return settings.planted(flaw) }
    return settings
  }

  /// A state with the mistake, if it is one of the state machine.
  static func planted(_ flaw: StormFlaw?, in state: ReplicatedState) -> ReplicatedState {
    #if PLANTED_BUGS
    switch flaw {
    case .state(let flaw): return state.planted(flaw)
    case .machine(let flaw): return state.planted(flaw)
    default: return state
    }
    #else
    return state
    #endif
  }

  static func plant(_ flaw: StormFlaw?, into replica: inout Replica) {
    #if PLANTED_BUGS
    switch flaw {
    case .raft(let flaw): replica.plant(flaw)
    case .replica(let flaw): replica.plant(flaw)
    default: break
    }
    #endif
  }
}

/// Mistakes in what a shell does between replica, disk and network.
package enum ShellFlaw: String, CaseIterable, Sendable {
  /// Writes are reported as durable when they are handed over.
  case reportBeforeSync
  /// The completion of any write is taken for that of the newest.
  case reportNewest
  /// Term and vote are not written.
  case voteNotWritten
  /// Term and vote are not read at a start.
  case voteForgottenAtStart
  /// The last entry is taken for a torn one at every start.
  case tailForgottenAtStart
  /// After damage the node forgets that it had more.
  case damageForgotten
  /// A node whose disk was lost comes back under its old identity.
  case lostDiskKeepsIdentity
  /// After a pause, what waited is looked at before the time is.
  case noTickBeforeInput
  /// Linearizable queries are answered as serializable ones.
  case readsNotConfirmed
  /// Replies of one turn on one connection go to each other's callers.
  case repliesSwapped
  /// What is handed on is sent twice, the second time under another name.
  case handedOnTwice
  /// Replies to what was handed on are dropped.
  case handedOnRepliesDropped
  /// A lost link is not dialled again.
  case linkNotRedialled
  /// The replica is not told of lost links.
  case lostLinkNotTold
}

/// Mistakes that a client could make.
package enum ClientFlaw: String, CaseIterable, Sendable {
  /// A request is sent again under another name.
  case newNameForRetry
  /// Every request says that all replies before it have come.
  case acknowledgesUnheard
}
