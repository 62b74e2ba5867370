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
    The exit code is 1 if a mistake was not found.
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
      let start = Machine.seconds
      var work = SwarmWork(first: 1, step: 1, seconds: UInt64(seconds))
      work.flaw = name
      work.end = start + Double(minutes) * 60
      let finding = SwarmParent(work, jobs: jobs).firstFinding()
      let took = Int((Machine.seconds - start).rounded())
      let padding = String(repeating: " ", count: max(1, 34 - name.count))
      print("\(name)\(padding)\(took) s  \(finding.map { String($0.prefix(150)) } ?? "NOT FOUND")")
      Machine.flush()
      if finding == nil { missed.append(name) }
    }
    print("\(wanted.count - missed.count) of \(wanted.count) mistakes found")
    return missed.isEmpty ? 0 : 1
  }
}
