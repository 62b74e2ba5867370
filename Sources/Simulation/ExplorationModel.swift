package import RoostRaft
internal import RoostWire

/// A small cluster and what may befall it: what one exhaustive search goes through.
///
/// Whatever has a limit here makes the search finite; whatever has none may happen at any time and any
/// number of times. What the limits mean is said in `Docs/SEARCH.md`.
package struct ExplorationModel: Sendable {
  package var name: String
  /// What the model is for, in one line.
  package var summary = ""

  // Who is there. Nodes are numbered from 1: voters, then learners, then strangers.
  package var voterCount = 3
  package var learnerCount = 0
  /// Nodes that are started empty and know nobody, to be invited.
  package var strangerCount = 0

  // How far it goes.
  package var termLimit: UInt64 = 2
  /// A leader is given requests while its log is shorter.
  package var entryLimit: UInt64 = 2
  /// States with more messages under way are looked at, and not gone on from.
  package var messageLimit = 24

  // What may happen.
  package var crashLimit = 1
  /// How often a message may arrive a second time, or later again.
  package var duplicateLimit = 0
  /// How often a leader may lose heart by itself, as when its quorum is silent.
  package var stepDownLimit = 0
  /// How many quorum rounds a leader begins by itself in one reign.
  package var heartbeatLimit = 0
  package var readLimit = 0
  package var transferLimit = 0
  package var snapshotLimit = 0
  /// How often a node comes back with an empty disk, as another incarnation.
  package var amnesiaLimit = 0
  /// How often a node comes back with a log that damage has cut, and knows where it once ended.
  package var damageLimit = 0
  /// Otherwise it takes what it has for all that there ever was.
  package var seesDamage = true
  /// The memberships that a leader may be asked for, each by its voters and its learners.
  package var changes: [Change] = []
  package var changeLimit = 1
  /// Writes reach the disk at any later moment, and a crash loses those that have not.
  ///
  /// Otherwise each is on the disk before anything else happens.
  package var hasSlowDisks = true
  /// A crash may leave a part of a write.
  package var tearsWrites = false
  /// Pre-votes are asked and answered; otherwise each attempt to campaign succeeds.
  package var asksPreVotes = false

  /// What has happened before the search begins.
  package var prologue: [Scene] = []

  /// Promises of single nodes are checked too: no word before its sync.
  package var checksPromises = true
  /// A planted mistake; without effect in a build that has none.
  package var flaw: Flaw?

  /// Spent messages are dropped, and mirror images count once.
  ///
  /// Without, the search is much longer and should find the same situations.
  package var takesShortcuts = true
  /// Keeps count of ``Explorer/situationCount``.
  package var countsSituations = false

  package init(_ name: String) { self.name = name }

  package struct Change: Sendable {
    package var voters: [UInt64]
    package var learners: [UInt64]
    /// Those that come in their second life, after they have lost their journal.
    package var reborn: Set<UInt64>

    package init(voters: [UInt64], learners: [UInt64] = [], reborn: Set<UInt64> = []) {
      self.voters = voters
      self.learners = learners
      self.reborn = reborn
    }

    var members: [Member] {
      let all = voters.map { member($0, .voter) } + learners.map { member($0, .learner) }
      return all.sorted { $0.id < $1.id }
    }

    private func member(_ id: UInt64, _ goal: Goal) -> Member {
      Member(NodeID(id), goal: goal, incarnation: Incarnation(reborn.contains(id) ? 1 : 0))
    }
  }

  /// A part of a prologue.
  ///
  /// After each that is something to do, everything under way arrives and is written.
  package enum Scene: Sendable {
    case elect(UInt64)
    case heartbeat(UInt64)
    case propose(UInt64)
    case snapshot(UInt64)
    case crash(UInt64)
    case loseJournal(UInt64)
    /// Asks for one of the model's changes.
    case change(UInt64, Int)
    /// From here on messages from and to these nodes are lost.
    case deaf([UInt64])
    /// From here on messages from and to these nodes stay under way.
    case slow([UInt64])
  }
}

extension ExplorationModel {
  var nodeCount: Int { voterCount + learnerCount + strangerCount }

  var founding: Membership {
    Membership(
      founding: (1...UInt64(voterCount + learnerCount)).map {
        Member(NodeID($0), goal: $0 <= UInt64(voterCount) ? .voter : .learner)
      }
    )
  }

  /// Whether disks may lose what they were told to keep.
  var trustsDisks: Bool { amnesiaLimit == 0 && damageLimit == 0 }

  func isFounder(_ id: NodeID) -> Bool { id.rawValue <= UInt64(voterCount + learnerCount) }

  /// One entry a message, and a window of few.
  var settings: Settings {
    var settings = Settings()
    settings.electionTimeout = .seconds(10) ... .seconds(10)
    settings.messageByteLimit = 1
    settings.inFlightMessageLimit = 2
    settings.snapshotChunkByteLimit = 1
    return settings
  }

  /// The moment at which everything happens.
  static let moment = Instant(nanoseconds: 1_000_000_000)
  /// A moment at which nobody is loyal to a leader that it has heard.
  static let lateMoment = moment.advanced(by: .seconds(60))
  /// A moment at which an unanswered question is asked again, and no leader is given up.
  static let patientMoment = moment.advanced(by: .seconds(1))

  /// The ways to rename the nodes that leave every membership as it is; the first changes nothing.
  ///
  /// Each gives the new number of node 1, 2 and so on.
  var renamings: [[UInt64]] {
    let ids = (1...UInt64(nodeCount)).map { $0 }
    var groups: [Set<UInt64>] = [
      Set(1...UInt64(voterCount)), Set(ids.filter { isFounder(NodeID($0)) }),
    ]
    for change in changes { groups += [Set(change.voters), Set(change.learners), change.reborn] }
    return Self.permutations(of: ids).filter { names in
      groups.allSatisfy { group in Set(group.map { names[Int($0) - 1] }) == group }
    }
  }

  private static func permutations(of items: [UInt64]) -> [[UInt64]] {
    guard items.count > 1 else { return [items] }
    return items.indices.flatMap { index in
      var rest = items
      let first = rest.remove(at: index)
      return permutations(of: rest).map { [first] + $0 }
    }
  }
}
