internal import RoostSimulation

/// One run of the storm.
enum RunCommand: Subcommand {
  static let name = "run"
  static let summary = "simulate one cluster under the faults that a seed stands for"
  static let flags: Set<String> = ["trace"]
  static let values: Set<String> = ["seed", "seconds"]

  static let usage = """
    usage: kvsim run [OPTIONS]

      --seed N     which run; default 1
      --seconds S  how long things go wrong, in virtual time; default 60
      --trace      tell what happens as it happens

    The same seed gives the same run, byte for byte. It ends with exit code 1 if a judge found something.
    """

  static func run(_ options: Options) throws(UsageError) -> Int32 {
    let seed = try options.number("seed", in: 0...Int.max) ?? 1
    let seconds = try options.number("seconds", in: 1...100_000) ?? 60
    let plan = StormPlan(seed: UInt64(seed), length: UInt64(seconds) * 1_000_000_000)
    let cluster = SimulatedCluster(plan, narrator: options.has("trace") ? { print($0) } : nil)
    let report = cluster.run()
    print(report)
    return report.isGood ? 0 : 1
  }
}
