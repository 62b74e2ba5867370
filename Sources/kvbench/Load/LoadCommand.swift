import RoostPlatform

/// Implements `kvbench VERB`: starts what is to be measured if nobody else has, runs the load and prints its line.
struct LoadCommand {
  /// Answers the exit code.
  static func run(_ verb: Verb, _ words: [String]) -> Int32 {
    do throws(LoadError) {
      let options = try LoadOptions(verb, parsing: words)
      Progress.keepSignals()
      for line in try run(options) { print(line) }
      return 0
    } catch {
      Process.complain("kvbench \(verb.rawValue): \(error)")
      return 1
    }
  }

  private static func run(_ given: LoadOptions) throws(LoadError) -> [JSONLine] {
    guard given.endpoints.isEmpty else { return try run(given, on: nil) }
    let cluster = try LocalCluster(given)
    defer { cluster.end() }
    var options = given
    options.endpoints = cluster.addresses
    options.processes = cluster.processes
    return try run(options, on: cluster)
  }

  private static func run(
    _ options: LoadOptions,
    on cluster: LocalCluster?
  ) throws(LoadError) -> [JSONLine] {
    switch options.verb {
    case .fill:
      let (seconds, tally) = try Fill(options: options, target: try target(options)).run()
      var line = JSONLine()
      line.add("system", options.system.rawValue)
      line.add("verb", options.verb.rawValue)
      line.add("keys", options.keys)
      line.add("seconds", seconds, digits: 2)
      line.add("per_second", Double(tally.done) / seconds, digits: 1)
      return [line]
    case .watch: return [try WatchRun(options: options, target: try target(options)).run()]
    case .lease: return try LeaseRun(options: options, target: try target(options)).run()
    case .failover: return try FailoverRun(options: options, cluster: cluster).run()
    case .probe: return [try ProbeRun(options: options).run()]
    case .load:
      return [
        try MillionRun(options: options, target: try target(options), cluster: cluster).run()
      ]
    case .put, .get, .sget, .mix, .lock, .lockc:
      return [try KeyRun(options: options, target: try target(options)).run()]
    }
  }

  /// Where clients connect: the leader, unless they are to be spread.
  private static func target(_ options: LoadOptions) throws(LoadError) -> [SocketAddress] {
    if options.spreads { return options.endpoints }
    guard options.system == .roost else { return Array(options.endpoints.prefix(1)) }
    return [try LeaderSearch(options: options).run()]
  }
}
