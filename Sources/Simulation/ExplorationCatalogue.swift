/// The clusters that `kvsim explore` goes through.
extension ExplorationModel {
  package static var catalogue: [ExplorationModel] {
    [elections, replication]
  }

  /// Who leads: votes, their writes, crashes and late messages.
  package static var elections: ExplorationModel {
    var model = ExplorationModel("elections")
    model.summary = "three voters elect leaders in two terms, with slow disks and a crash"
    model.entryLimit = 1
    return model
  }

  /// What is in the log: requests under changing leaders.
  package static var replication: ExplorationModel {
    var model = ExplorationModel("replication")
    model.summary = "three voters, two terms, two entries, prompt disks"
    model.hasSlowDisks = false
    return model
  }
}
