internal import RoostSimulation

/// One run of the storm.
enum RunCommand: Subcommand {
  static let name = "run"
  static let summary = "simulate one cluster under the faults that a seed stands for"
  static let flags: Set<String> = ["trace"]
  static let values: Set<String> = ["seed", "seconds", "flaw", "trace"]

  static let usage = """
    usage: kvsim run [OPTIONS]

      --seed N        which run; default 1
      --seconds S     how long things go wrong, in virtual time; default 60
      --flaw NAME     plant a mistake; needs a build with the trait PlantedBugs
      --trace         tell what happens as it happens
      --trace=ndjson  each step of the protocol as a line of JSON, and nothing else

    The same seed gives the same run, byte for byte. It ends with exit code 1 if a judge found something.
    """

  static func run(_ options: Options) throws(UsageError) -> Int32 {
    let seed = try options.number("seed", in: 0...Int.max) ?? 1
    let seconds = try options.number("seconds", in: 1...100_000) ?? 60
    var recipe = StormRecipe(seed: UInt64(seed), seconds: UInt64(seconds))
    recipe.flaw = try options.flaw
    return try run(recipe, options)
  }

  /// Runs a recipe and tells of it as the options want.
  static func run(_ recipe: StormRecipe, _ options: Options) throws(UsageError) -> Int32 {
    if let format = options.text("trace"), format != "ndjson" {
      throw UsageError("--trace knows no format '\(format)'; it is 'ndjson', or none for a story")
    }
    let isRecorded = options.text("trace") != nil
    let cluster = SimulatedCluster(
      recipe.plan,
      narrator: options.has("trace") ? { print($0) } : nil,
      recorder: isRecorded ? { print($0) } : nil
    )
    let report = cluster.run()
    if isRecorded { Machine.complain("\(report)") } else { print(report) }
    return report.isGood ? 0 : 1
  }
}

extension Options {
  /// The name of a mistake that is to be planted.
  var flaw: String? {
    get throws(UsageError) {
      guard let name = text("flaw") else { return nil }
      guard StormFlaw.canPlant else {
        throw UsageError("this build can't plant mistakes; build it with --traits PlantedBugs")
      }
      guard StormFlaw(name) != nil else {
        throw UsageError("there is no mistake '\(name)'; 'kvsim plant --list' names them")
      }
      return name
    }
  }
}
