internal import RoostSimulation

/// A failing run made smaller.
enum ShrinkCommand: Subcommand {
  static let name = "shrink"
  static let summary = "leave out of a failing run whatever it fails without"
  static let flags: Set<String> = []
  static let values: Set<String> = ["seed", "seconds", "flaw", "minutes", "out"]

  static let usage = """
    usage: kvsim shrink --seed N [OPTIONS]

      --seed N      the run
      --seconds S   for how long it was drawn; default 60
      --flaw NAME   with a planted mistake; needs a build with the trait PlantedBugs
      --minutes M   how long to try; default 5
      --out FILE    where the smaller run goes; default storm-N.txt

    'kvsim replay FILE' runs it. The exit code is 1 if the run did not fail at all.
    """

  static func run(_ options: Options) throws(UsageError) -> Int32 {
    guard let seed = try options.number("seed", in: 0...Int.max) else {
      throw UsageError("say which run: --seed N")
    }
    let seconds = try options.number("seconds", in: 1...100_000) ?? 60
    let minutes = try options.number("minutes", in: 1...10_000) ?? 5
    var recipe = StormRecipe(seed: UInt64(seed), seconds: UInt64(seconds))
    recipe.flaw = try options.flaw
    guard var shrinker = StormShrinker(recipe) else {
      print("seed \(seed) finds nothing")
      return 1
    }
    print("\(recipe.faultCount) faults: \(shrinker.violation.kind)")
    let end = Machine.seconds + Double(minutes) * 60
    shrinker.shrink(
      isOver: { Machine.seconds > end },
      tell: { step in
        Machine.complain("run \(step.runCount): \(step.recipe.faultCount) faults")
      }
    )
    let file = options.text("out") ?? "storm-\(seed).txt"
    let small = shrinker.recipe
    let comment = "# \(shrinker.violation.kind): \(shrinker.violation.text)\n"
    guard Machine.write(comment + small.text, to: file) else {
      throw UsageError("'\(file)' can't be written")
    }
    for fault in small.plan.faults { print("\(fault.time / 1_000_000) ms: \(fault.action)") }
    print("\(small.faultCount) faults: \(shrinker.violation.text)")
    print("'kvsim replay \(file) --trace' tells its story")
    return 0
  }
}

/// A run from a file.
enum ReplayCommand: Subcommand {
  static let name = "replay"
  static let summary = "simulate the run that a file of 'shrink' describes"
  static let flags: Set<String> = ["trace"]
  static let values: Set<String> = ["trace"]
  static let takesFile = true

  static let usage = """
    usage: kvsim replay FILE [OPTIONS]

      --trace         tell what happens as it happens
      --trace=ndjson  each step of the protocol as a line of JSON, and nothing else

    The file is one that 'kvsim shrink' wrote; Docs/SIMULATION.md says what may stand in it.
    """

  static func run(_ options: Options) throws(UsageError) -> Int32 {
    guard let file = options.file else { throw UsageError("say which file") }
    guard let text = Machine.read(file) else { throw UsageError("'\(file)' can't be read") }
    guard let recipe = StormRecipe(text) else {
      throw UsageError("'\(file)' does not describe a run")
    }
    return try RunCommand.run(recipe, options)
  }
}
