internal import Glibc
internal import RoostSimulation

/// Many runs of the storm, on several cores.
enum SwarmCommand: Subcommand {
  static let name = "swarm"
  static let summary = "simulate clusters from fresh seeds until the time is over"
  static let flags: Set<String> = ["go-on", "compare"]
  static let values: Set<String> = [
    "minutes", "jobs", "seconds", "from", "seeds", "of", "part", "flaw",
  ]

  static let usage = """
    usage: kvsim swarm [OPTIONS]

      --minutes N   how long to go on; default 1
      --seeds N     how many seeds at most
      --jobs J      how many processes at a time; default 1
      --from N      the first seed; default: one that the clock names
      --seconds S   virtual length of each storm; default 60
      --flaw NAME   plant a mistake; needs a build with the trait PlantedBugs
      --go-on       do not stop at the first seed that finds something
      --compare     with --flaw: run each seed without it too, and say in how many storms it changed anything

    It says which seeds found something, what went wrong how often, and which rare situations were never met. A seed that
    ends the process counts as found. The exit code is 1 if anything was found.
    """

  static func run(_ options: Options) throws(UsageError) -> Int32 {
    let minutes = try options.number("minutes", in: 0...100_000) ?? 1
    let jobs = try options.number("jobs", in: 1...256) ?? 1
    let clock = UInt64(bitPattern: Int64(Glibc.time(nil)))
    let first = try options.number("from", in: 0...Int.max / 2) ?? Int(clock % 1_000_000) * 100_000
    var work = SwarmWork(
      first: UInt64(first),
      step: 1,
      seconds: UInt64(try options.number("seconds", in: 1...100_000) ?? 60)
    )
    work.seedLimit = try options.number("seeds", in: 1...Int.max) ?? .max
    work.goesOn = options.has("go-on")
    work.compares = options.has("compare")
    work.flaw = options.text("flaw")
    work.end = Machine.seconds + Double(minutes) * 60
    guard let part = try options.number("part", in: 0...1000) else {
      return SwarmParent(work, jobs: jobs).run()
    }
    // A child: every so many seeds are its own, and it prints lines for its parent to read.
    work.step = UInt64(jobs)
    work.first += UInt64(part)
    return work.run()
  }
}

/// The seeds that one process goes through.
struct SwarmWork {
  var first: UInt64
  var step: UInt64
  var seconds: UInt64
  var seedLimit = Int.max
  var goesOn = false
  /// Whether each storm runs without the mistake too, to see whether that changes anything.
  var compares = false
  var flaw: String?
  var end = 0.0

  func plan(_ seed: UInt64) -> StormPlan {
    var plan = StormPlan(seed: seed, length: seconds * 1_000_000_000)
    plan.flaw = flaw.flatMap { StormFlaw($0) }
    return plan
  }

  /// Prints one line a seed, in words with tabs between them.
  func run() -> Int32 {
    var seed = first
    var count = 0
    var result: Int32 = 0
    while Machine.seconds < end, count < seedLimit {
      print("seed\t\(seed)")
      fflush(nil)
      let report = SimulatedCluster(plan(seed)).run()
      print(line(report))
      if compares {
        var plain = plan(seed)
        plain.flaw = nil
        let isChanged = SimulatedCluster(plain).run().fingerprint != report.fingerprint
        print(isChanged ? "changed" : "same")
      }
      for violation in report.violations { print("found\t\(violation.kind)\t\(violation.text)") }
      fflush(nil)
      if !report.isGood {
        result = 1
        guard goesOn else { break }
      }
      seed += step
      count += 1
    }
    return result
  }

  private func line(_ report: StormReport) -> String {
    var words = ["done", "\(report.virtualTime)", "\(report.callCount)", "\(report.undecidedKeys)"]
    words += report.faults.sorted { $0.key < $1.key }.map { "fault=\($0.key)=\($0.value)" }
    words += report.marks.sorted { $0.key < $1.key }.map { "mark=\($0.key)=\($0.value)" }
    return words.joined(separator: "\t")
  }
}
