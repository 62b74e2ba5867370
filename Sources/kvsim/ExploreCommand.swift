internal import RoostRaft
internal import RoostSimulation

/// The exhaustive search.
enum ExploreCommand: Subcommand {
  static let name = "explore"
  static let summary = "go through every state of small clusters, and judge each"
  static let flags: Set<String> = ["list", "outcomes"]
  static let values: Set<String> = ["minutes", "model", "memory", "flaw"]

  static let usage = """
    usage: kvsim explore [OPTIONS]

      --minutes N   how long to search, over all models together; default 10
      --model NAME  one model only; --list names them
      --memory GB   how much to hold; a model that needs more is left unfinished; default 6
      --flaw NAME   plant a mistake; needs a build with the trait PlantedBugs
      --outcomes    judge only what the cluster does, not what single nodes promise: longer stories
      --list        name the models and the mistakes, and end

    For each model it prints how many distinct states were visited. A broken rule ends the search, with the shortest
    story that leads to it and exit code 1.
    """

  static func run(_ options: Options) throws(UsageError) -> Int32 {
    if options.has("list") {
      list()
      return 0
    }
    let minutes = try options.number("minutes", in: 1...10_000) ?? 10
    let gigabytes = try options.number("memory", in: 1...1000) ?? 6
    var models = ExplorationModel.catalogue
    if let name = options.text("model") {
      models.removeAll { $0.name != name }
      guard !models.isEmpty else { throw UsageError("there is no model '\(name)'") }
    }
    if let flaw = try plantedFlaw(options) {
      for place in models.indices { models[place].flaw = flaw }
    }
    if options.has("outcomes") {
      for place in models.indices { models[place].checksPromises = false }
    }
    let end = Machine.seconds + Double(minutes) * 60
    var total = 0
    for (place, model) in models.enumerated() {
      let share = (end - Machine.seconds) / Double(models.count - place)
      var run = ExploreRun(model, seconds: share, byteLimit: gigabytes << 30)
      total += run.stateCountAtEnd()
      guard !run.foundViolation else { return 1 }
    }
    print("\(total) distinct states, and no rule was broken")
    return 0
  }

  private static func plantedFlaw(_ options: Options) throws(UsageError) -> Flaw? {
    guard let name = options.text("flaw") else { return nil }
    guard let flaw = Flaw(rawValue: name) else { throw UsageError("there is no mistake '\(name)'") }
    #if PLANTED_BUGS
    return flaw
    #else
    throw UsageError("this build has no mistakes; build with --traits PlantedBugs to plant \(flaw)")
    #endif
  }

  private static func list() {
    for model in ExplorationModel.catalogue { print("model \(model.name): \(model.summary)") }
    for flaw in Flaw.allCases { print("flaw \(flaw.rawValue)") }
  }
}

/// One model's search, until it is through, time or memory are used up, or a rule is broken.
struct ExploreRun {
  private var explorer: Explorer
  private let seconds: Double
  private let byteLimit: Int
  private static let statesATurn = 20_000

  init(_ model: ExplorationModel, seconds: Double, byteLimit: Int) {
    explorer = Explorer(model)
    self.seconds = seconds
    self.byteLimit = byteLimit
  }

  var foundViolation: Bool { explorer.violation != nil }

  mutating func stateCountAtEnd() -> Int {
    print("\(explorer.model.name): \(explorer.model.summary)")
    let begin = Machine.seconds
    var ending: String?
    while explorer.explore(atMost: Self.statesATurn) {
      if Machine.seconds - begin > seconds {
        ending = "time is up"
      } else if explorer.byteCount > byteLimit {
        ending = "memory is used up"
      } else {
        continue
      }
      break
    }
    let regular = foundViolation ? "a rule is broken" : "all states visited"
    report(seconds: Machine.seconds - begin, ending ?? regular)
    return explorer.stateCount
  }

  private func report(seconds: Double, _ ending: String) {
    let rate = Int(Double(explorer.stateCount) / max(seconds, 0.001))
    print(
      """
        \(explorer.stateCount) distinct states, depth \(explorer.depth), \(explorer.eventCount) events, \
      \(explorer.nodeStateCount) node states, \(explorer.messageCount) messages, \
      \(explorer.stepCount) steps of the core
        \(Int(seconds * 10) / 10) s, \(rate) states/s, \(explorer.byteCount >> 20) MiB, \
      \(explorer.crowdedCount) states too crowded, \(explorer.frontierCount) waiting: \(ending)
      """
    )
    guard let violation = explorer.violation else { return }
    print("  BROKEN: \(violation.sentence)")
    for line in violation.story { print("  \(line)") }
  }
}
