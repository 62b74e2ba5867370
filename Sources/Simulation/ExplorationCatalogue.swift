/// The clusters that `kvsim explore` goes through.
///
/// Each is about one part of the protocol, and as large as can be gone through to the end in a minute or
/// so; the last is not meant to end.
extension ExplorationModel {
  package static var catalogue: [ExplorationModel] {
    [
      elections, preVotes, replication, oldTerms, pair, reads, followerReads, transfers, snapshots,
      learner, promotion, pairReplacement, replacement, replacementMidway, amnesia, rebirth, damage,
      deep,
    ]
  }

  /// Who leads: votes, their writes, crashes and late messages.
  package static var elections: ExplorationModel {
    var model = ExplorationModel("elections")
    model.summary = "three voters, two terms, slow disks that tear, a crash, a repeated message"
    model.entryLimit = 1
    model.duplicateLimit = 1
    model.tearsWrites = true
    return model
  }

  /// The same, with the question before the vote.
  package static var preVotes: ExplorationModel {
    var model = ExplorationModel("pre-votes")
    model.summary = "three voters, two terms, pre-votes, prompt disks, a crash"
    model.entryLimit = 0
    model.hasSlowDisks = false
    model.asksPreVotes = true
    return model
  }

  /// What is in the log: requests under changing leaders.
  package static var replication: ExplorationModel {
    var model = ExplorationModel("replication")
    model.summary = "three voters, two terms, three entries, prompt disks, heartbeats, a crash"
    model.hasSlowDisks = false
    model.entryLimit = 3
    model.heartbeatLimit = 1
    model.prologue = [.elect(1)]
    return model
  }

  /// Raft Figure 8: what an older term left behind.
  package static var oldTerms: ExplorationModel {
    var model = ExplorationModel("old-terms")
    model.summary = "three voters, three terms, prompt disks, leaders that give up, a crash"
    model.hasSlowDisks = false
    model.termLimit = 3
    model.entryLimit = 1
    model.stepDownLimit = 2
    return model
  }

  /// Two voters: any crash may lose what only one of them has.
  package static var pair: ExplorationModel {
    var model = ExplorationModel("pair")
    model.summary = "two voters, three terms, two entries, slow disks that tear, any crash"
    model.voterCount = 2
    model.termLimit = 3
    model.entryLimit = 2
    model.crashLimit = .max
    model.tearsWrites = true
    model.heartbeatLimit = 1
    return model
  }

  /// Reads that no log carries, while leaders change.
  package static var reads: ExplorationModel {
    var model = ExplorationModel("reads")
    model.summary = "three voters, two terms, a read, prompt disks, a crash, a repeated message"
    model.hasSlowDisks = false
    model.readLimit = 1
    model.duplicateLimit = 1
    model.prologue = [.elect(1)]
    return model
  }

  /// Two reads that share rounds, and are asked for again.
  package static var followerReads: ExplorationModel {
    var model = ExplorationModel("follower-reads")
    model.summary = "two voters, two terms, two reads, prompt disks, a crash, repeated messages"
    model.voterCount = 2
    model.hasSlowDisks = false
    model.readLimit = 2
    model.duplicateLimit = 2
    model.prologue = [.elect(1)]
    return model
  }

  /// Leadership that is handed over.
  package static var transfers: ExplorationModel {
    var model = ExplorationModel("transfers")
    model.summary = "three voters, three terms, two hand-overs, prompt disks, a crash"
    model.termLimit = 3
    model.hasSlowDisks = false
    model.transferLimit = 2
    model.prologue = [.elect(1), .heartbeat(1)]
    return model
  }

  /// Logs that are cut short from the front.
  package static var snapshots: ExplorationModel {
    var model = ExplorationModel("snapshots")
    model.summary = "three voters, two terms, two snapshots, slow disks that tear, crashes"
    model.entryLimit = 3
    model.snapshotLimit = 2
    model.crashLimit = 2
    model.tearsWrites = true
    model.prologue = [.elect(1), .deaf([3]), .propose(1), .heartbeat(1)]
    return model
  }

  /// A copy that must not count.
  package static var learner: ExplorationModel {
    var model = ExplorationModel("learner")
    model.summary = "two voters and a learner, two terms, two entries, slow disks, crashes"
    model.voterCount = 2
    model.learnerCount = 1
    model.crashLimit = 2
    return model
  }

  /// A learner that becomes a voter.
  package static var promotion: ExplorationModel {
    var model = ExplorationModel("promotion")
    model.summary = "two voters, and a learner becomes the third, slow disks, a crash"
    model.voterCount = 2
    model.learnerCount = 1
    model.changes = [Change(voters: [1, 2, 3])]
    model.prologue = [.elect(1), .heartbeat(1)]
    return model
  }

  /// One of two voters is replaced, by way of a joint membership.
  package static var pairReplacement: ExplorationModel {
    var model = ExplorationModel("pair-replacement")
    model.summary = "two voters, a stranger takes the place of one, slow disks, a crash"
    model.voterCount = 2
    model.strangerCount = 1
    model.changes = [Change(voters: [1, 3]), Change(voters: [2, 3])]
    model.prologue = [.elect(1), .heartbeat(1)]
    return model
  }

  /// One of three voters is replaced: two majorities that need not meet, were it not joint.
  package static var replacement: ExplorationModel {
    var model = ExplorationModel("replacement")
    model.summary = "three voters, a stranger takes the place of one, prompt disks"
    model.strangerCount = 1
    model.hasSlowDisks = false
    model.crashLimit = 0
    model.entryLimit = 0
    model.changes = [Change(voters: [1, 2, 4])]
    model.prologue = [.elect(1), .heartbeat(1)]
    return model
  }

  /// A change that is under way when the leader changes.
  package static var replacementMidway: ExplorationModel {
    var model = replacement
    model.name = "replacement-midway"
    model.summary = "the same from the joint membership on, with a crash"
    model.crashLimit = 1
    model.prologue = [
      .elect(1), .heartbeat(1), .slow([4]), .change(1, 0), .slow([2, 3, 4]), .propose(1),
      .slow([2, 3]),
    ]
    return model
  }

  /// A node that has forgotten what it promised.
  package static var amnesia: ExplorationModel {
    var model = ExplorationModel("amnesia")
    model.summary = "three voters, two terms, one loses its journal, slow disks"
    model.crashLimit = 0
    model.entryLimit = 1
    model.amnesiaLimit = 1
    return model
  }

  /// A node that has forgotten what it promised, and is taken in again.
  package static var rebirth: ExplorationModel {
    var model = ExplorationModel("rebirth")
    model.summary = "three voters, one lost its journal, left, and comes back as another"
    model.hasSlowDisks = false
    model.entryLimit = 0
    model.crashLimit = 1
    model.changes = [Change(voters: [1, 2]), Change(voters: [1, 2, 3], reborn: [3])]
    model.prologue = [.elect(1), .heartbeat(1), .loseJournal(3), .heartbeat(1), .change(1, 0)]
    return model
  }

  /// A log that has lost its end after it was acknowledged.
  package static var damage: ExplorationModel {
    var model = ExplorationModel("damage")
    model.summary = "three voters, three terms, a log is cut by damage, prompt disks"
    model.hasSlowDisks = false
    model.termLimit = 3
    model.crashLimit = 0
    model.damageLimit = 1
    return model
  }

  /// As far as time and memory go.
  package static var deep: ExplorationModel {
    var model = ExplorationModel("deep")
    model.summary = "three voters, three terms, three entries, slow disks, crashes, repetitions"
    model.termLimit = 3
    model.entryLimit = 3
    model.crashLimit = 2
    model.duplicateLimit = 1
    model.heartbeatLimit = 1
    model.stepDownLimit = 1
    return model
  }
}
