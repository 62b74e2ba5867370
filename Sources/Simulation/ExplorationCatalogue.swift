/// The clusters that `kvsim explore` goes through.
extension ExplorationModel {
  package static var catalogue: [ExplorationModel] {
    [
      elections, preVotes, replication, oldTerms, pair, reads, learner, replacement, handover,
      amnesia,
      snapshots, transfers, deep,
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
    model.summary = "three voters, two terms, pre-votes, slow disks, a crash"
    model.entryLimit = 1
    model.asksPreVotes = true
    return model
  }

  /// What is in the log: requests under changing leaders.
  package static var replication: ExplorationModel {
    var model = ExplorationModel("replication")
    model.summary = "three voters, two terms, three entries, prompt disks, heartbeats, any crash"
    model.hasSlowDisks = false
    model.entryLimit = 3
    model.crashLimit = .max
    model.heartbeatLimit = 1
    return model
  }

  /// Raft Figure 8: what an older term left behind.
  package static var oldTerms: ExplorationModel {
    var model = ExplorationModel("old-terms")
    model.summary = "three voters, three terms, prompt disks, leaders that give up"
    model.hasSlowDisks = false
    model.termLimit = 3
    model.entryLimit = 1
    model.crashLimit = 0
    model.stepDownLimit = 2
    return model
  }

  /// Two voters: any crash may lose what only one of them has.
  package static var pair: ExplorationModel {
    var model = ExplorationModel("pair")
    model.summary = "two voters, three terms, three entries, slow disks that tear, any crash"
    model.voterCount = 2
    model.termLimit = 3
    model.entryLimit = 3
    model.crashLimit = .max
    model.tearsWrites = true
    model.heartbeatLimit = 1
    return model
  }

  /// Reads that no log carries.
  package static var reads: ExplorationModel {
    var model = ExplorationModel("reads")
    model.summary = "three voters, two terms, two reads, prompt disks, repeated messages"
    model.hasSlowDisks = false
    model.readLimit = 2
    model.heartbeatLimit = 1
    model.duplicateLimit = 1
    model.crashLimit = 0
    model.prologue = [.elect(1)]
    model.entryLimit = 2
    return model
  }

  /// A copy that must not count.
  package static var learner: ExplorationModel {
    var model = ExplorationModel("learner")
    model.summary = "two voters and a learner, two terms, slow disks, a crash"
    model.voterCount = 2
    model.learnerCount = 1
    return model
  }

  /// One voter takes another's place, by way of a joint membership.
  package static var replacement: ExplorationModel {
    var model = ExplorationModel("replacement")
    model.summary = "three voters, and a stranger takes the place of one; prompt disks"
    model.strangerCount = 1
    model.hasSlowDisks = false
    model.crashLimit = 0
    model.entryLimit = 0
    model.changes = [Change(voters: [1, 2, 4])]
    model.prologue = [.elect(1), .heartbeat(1)]
    return model
  }

  /// A change that is under way when the leader changes.
  package static var handover: ExplorationModel {
    var model = replacement
    model.name = "replacement-midway"
    model.summary = "the same from the middle of the change on, with a request"
    model.prologue = [
      .elect(1), .heartbeat(1), .slow([4]), .change(1, 0), .slow([2, 3, 4]), .propose(1),
    ]
    return model
  }

  /// A node that has forgotten what it promised.
  package static var amnesia: ExplorationModel {
    var model = ExplorationModel("amnesia")
    model.summary = "three voters, two terms, one loses its journal; prompt disks"
    model.hasSlowDisks = false
    model.amnesiaLimit = 1
    return model
  }

  /// Logs that are cut short from the front.
  package static var snapshots: ExplorationModel {
    var model = ExplorationModel("snapshots")
    model.summary = "three voters, two terms, two snapshots, slow disks, a crash"
    model.snapshotLimit = 2
    model.prologue = [.elect(1), .deaf([3]), .propose(1), .heartbeat(1)]
    return model
  }

  /// Leadership that is handed over.
  package static var transfers: ExplorationModel {
    var model = ExplorationModel("transfers")
    model.summary = "three voters, three terms, two hand-overs, slow disks, a crash"
    model.termLimit = 3
    model.transferLimit = 2
    model.prologue = [.elect(1), .heartbeat(1)]
    model.heartbeatLimit = 1
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
