/// A storm that can be told in a few lines: a seed, and what of its plan is left out.
///
/// As text it has one thing a line, in any order; `#` begins a comment:
///
///     seed 7              which plan
///     seconds 60          for how long it was drawn
///     end 8500000000      when it is over, in nanoseconds; default: then
///     clients 2           how many of its clients work; default: all
///     without weather     what is as usual: weather, clocks, limits, disks or turns
///     faults 0 4 17       which of its faults strike, counted from 0; default: all
///     flaw raft.voteTwice which mistake is planted; default: none
package struct StormRecipe: Equatable, Sendable {
  /// What of a plan can be as usual.
  package enum Extra: String, CaseIterable, Sendable {
    case weather, clocks, limits, disks, turns
  }

  package var seed: UInt64
  package var seconds: UInt64
  package var end: UInt64?
  package var clients: Int?
  package var without: [Extra] = []
  package var faults: [Int]?
  package var flaw: String?

  package init(seed: UInt64, seconds: UInt64 = 60) {
    self.seed = seed
    self.seconds = seconds
  }

  /// Reads a recipe; nil if it is none.
  package init?(_ text: String) {
    self.init(seed: 0)
    var hasSeed = false
    for line in text.split(separator: "\n") {
      let words = line.prefix { $0 != "#" }.split(separator: " ").map(String.init)
      guard let name = words.first else { continue }
      let number = words.count == 2 ? UInt64(words[1]) : nil
      switch (name, number) {
      case ("seed", let number?):
        seed = number
        hasSeed = true
      case ("seconds", let number?) where (1...100_000).contains(number): seconds = number
      case ("end", let number?): end = number
      case ("clients", let number?) where number < 1000: clients = Int(number)
      case ("faults", _):
        let numbers = words.dropFirst().compactMap { Int($0) }
        guard numbers.count == words.count - 1 else { return nil }
        faults = numbers
      case ("without", _):
        let extras = words.dropFirst().compactMap { Extra(rawValue: $0) }
        guard extras.count == words.count - 1 else { return nil }
        without += extras
      case ("flaw", _) where words.count == 2 && StormFlaw(words[1]) != nil: flaw = words[1]
      default: return nil
      }
    }
    guard hasSeed else { return nil }
  }

  package var text: String {
    var lines = ["seed \(seed)", "seconds \(seconds)"]
    if let end { lines.append("end \(end)") }
    if let clients { lines.append("clients \(clients)") }
    if !without.isEmpty { lines.append("without " + words(without.map(\.rawValue))) }
    if let faults { lines.append("faults " + words(faults.map { "\($0)" })) }
    if let flaw { lines.append("flaw \(flaw)") }
    return lines.map { $0 + "\n" }.joined()
  }

  private func words(_ words: [String]) -> String { words.joined(separator: " ") }

  package var plan: StormPlan {
    var plan = StormPlan(seed: seed, length: seconds * StormPlan.second)
    if let faults {
      plan.faults = faults.filter { plan.faults.indices.contains($0) }.map { plan.faults[$0] }
    }
    plan.length = min(end ?? plan.length, plan.length)
    plan.faults.removeAll { $0.time > plan.length }
    if let clients { plan.keepClients(clients) }
    for extra in without { plan.leaveOut(extra) }
    plan.flaw = flaw.flatMap { StormFlaw($0) }
    return plan
  }

  /// How many faults strike.
  package var faultCount: Int { plan.faults.count }
}

extension StormPlan {
  fileprivate mutating func keepClients(_ count: Int) {
    clients = Array(clients.prefix(max(1, count)))
    faults.removeAll { fault in
      if case .clientDeath(let client) = fault.action { client >= clients.count } else { false }
    }
  }

  fileprivate mutating func leaveOut(_ extra: StormRecipe.Extra) {
    let usual = StormPlan(calm: seed, nodeCount: nodeCount)
    switch extra {
    case .weather: weather = usual.weather
    case .clocks: clocks = usual.clocks
    case .limits:
      settings = usual.settings
      stateLimits = usual.stateLimits
    case .disks: diskLatency = usual.diskLatency
    case .turns: turnDelay = usual.turnDelay
    }
  }
}

/// Makes a storm that fails smaller: leaves out what it fails without.
package struct StormShrinker {
  /// The smallest that fails so far.
  package private(set) var recipe: StormRecipe
  /// What it found: the kind of thing that must be found again.
  package private(set) var violation: Violation
  package private(set) var runCount = 0

  /// Answers nil if nothing is found.
  package init?(_ recipe: StormRecipe) {
    guard let violation = SimulatedCluster(recipe.plan).run().violations.first else { return nil }
    self.recipe = recipe
    self.violation = violation
  }

  /// Leaves out what can be left out; `isOver` ends it early, `tell` hears of each step.
  package mutating func shrink(isOver: () -> Bool, tell: (StormShrinker) -> Void) {
    if recipe.faults == nil { recipe.faults = Array(recipe.plan.faults.indices) }
    var known = 0
    repeat {
      known = size
      let end = violation.time + StormPlan.millisecond
      if end < recipe.plan.length { attempt(tell) { $0.end = end } }
      leaveOutFaults(isOver, tell)
      for count in 1..<max(2, recipe.plan.clients.count) where !isOver() {
        if attempt(tell, { $0.clients = count }) { break }
      }
      for extra in StormRecipe.Extra.allCases where !recipe.without.contains(extra) && !isOver() {
        attempt(tell) { $0.without.append(extra) }
      }
    } while size < known && !isOver()
  }

  private var size: Int {
    recipe.faultCount * 100 + (recipe.clients ?? 99) * 10 - recipe.without.count
  }

  /// First whole halves, at last one by one.
  private mutating func leaveOutFaults(_ isOver: () -> Bool, _ tell: (StormShrinker) -> Void) {
    var length = max(1, (recipe.faults?.count ?? 0) / 2)
    while true {
      var start = 0
      while start < recipe.faults?.count ?? 0, !isOver() {
        let range = start..<min(start + length, recipe.faults?.count ?? 0)
        if !attempt(tell, { $0.faults?.removeSubrange(range) }) { start += length }
      }
      if length == 1 || isOver() { return }
      length /= 2
    }
  }

  @discardableResult
  private mutating func attempt(
    _ tell: (StormShrinker) -> Void,
    _ change: (inout StormRecipe) -> Void
  ) -> Bool {
    var smaller = recipe
    change(&smaller)
    runCount += 1
    let found = SimulatedCluster(smaller.plan).run().violations.first
    guard let found, found.kind == violation.kind else { return false }
    recipe = smaller
    violation = found
    tell(self)
    return true
  }
}
