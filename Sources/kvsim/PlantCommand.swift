internal import RoostSimulation

/// The test of the tests: every mistake that can be planted must be found.
enum PlantCommand: Subcommand {
  static let name = "plant"
  static let summary = "plant mistakes one by one, and see whether a swarm finds each"
  static let flags: Set<String> = ["list"]
  static let values: Set<String> = ["minutes", "jobs", "flaw", "module", "seconds"]

  static let usage = """
    usage: kvsim plant [OPTIONS]

      --minutes N    how long each mistake is looked for; default 10
      --jobs J       how many processes at a time; default 1
      --seconds S    virtual length of each storm; default 40
      --flaw NAME    one mistake alone
      --module NAME  those of one module: raft, replica, state, shell or client
      --list         name the mistakes, and end

    It needs a build with the trait PlantedBugs:
      swift build -c release --product kvsim --traits PlantedBugs
    Found is what a judge found: a process that ended itself does not count. Of what is not found it says in how many of a
    hundred storms the mistake changed anything at all. The exit code is 1 if a mistake was not found.
    """

  static func run(_ options: Options) throws(UsageError) -> Int32 {
    let wanted = StormFlaw.catalogue.map(\.name).filter { name in
      (options.text("flaw") ?? name) == name
        && (options.text("module").map { name.hasPrefix($0 + ".") } ?? true)
    }
    if options.has("list") {
      for name in wanted { print(name) }
      return 0
    }
    guard StormFlaw.canPlant else {
      throw UsageError("this build can't plant mistakes; build it with --traits PlantedBugs")
    }
    let minutes = try options.number("minutes", in: 1...10_000) ?? 10
    let jobs = try options.number("jobs", in: 1...256) ?? 1
    let seconds = try options.number("seconds", in: 1...100_000) ?? 40
    var missed: [String] = []
    for name in wanted {
      let work = Self.work(name, minutes: minutes, seconds: seconds)
      let start = Machine.seconds
      let swarm = SwarmParent(work, jobs: jobs).quietly()
      let took = Int((Machine.seconds - start).rounded())
      let padding = String(repeating: " ", count: max(1, 34 - name.count))
      let end = swarm.finding.map { String($0.prefix(150)) } ?? miss(work, swarm, jobs: jobs)
      print("\(name)\(padding)\(took) s  \(end)")
      Machine.flush()
      if swarm.finding == nil { missed.append(name) }
    }
    print("\(wanted.count - missed.count) of \(wanted.count) mistakes found")
    return missed.isEmpty ? 0 : 1
  }

  private static func work(_ flaw: String, minutes: Int, seconds: Int) -> SwarmWork {
    var work = SwarmWork(first: 1, step: 1, seconds: UInt64(seconds))
    work.flaw = flaw
    work.end = Machine.seconds + Double(minutes) * 60
    return work
  }

  /// Whether what was not found ever mattered.
  private static func miss(_ work: SwarmWork, _ swarm: SwarmParent, jobs: Int) -> String {
    var work = work
    work.compares = true
    work.goesOn = true
    work.seedLimit = 100
    work.end = Machine.seconds + 60
    let compared = SwarmParent(work, jobs: jobs).quietly()
    let stop = swarm.stop.map { "; the process ended itself at \($0)" } ?? ""
    return "NOT FOUND in \(swarm.seedCount) storms; changed \(compared.changedCount) of "
      + "\(compared.seedCount)" + stop
  }
}
